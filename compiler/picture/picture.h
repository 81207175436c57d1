// A picture of a network, as a paper would print it: SVG with nothing to fetch.
#pragma once
#include <string>

#include "compiler/plan/plan.h"
#include "compiler/sema/model.h"

namespace netc::picture {

/// The model's layers as they were written, with the shapes between them. `plan` is of its inference graph: layers of
/// one kernel are drawn as one box, what compilation takes out is pale. A chain of equal parts is drawn once.
std::string draw(const sema::Model& model, const plan::Plan& plan);

}  // namespace netc::picture
