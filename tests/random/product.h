// A network as a product: the generated driver and the runtime's model interface.
#pragma once
#include <string>

#include "compiler/passes/pipeline.h"
#include "compiler/verify/verify.h"

namespace netc::random {

/// Builds the product of these plans (`train` null: inference only), takes steps with it and infers from what it
/// learned, through the interface that programs and libraries use. What is wrong, a line each; "" when all is right.
std::string check_product(const sema::Model&, const plan::Plan* train, const plan::Plan& infer, const verify::Contents&,
                          const verify::Options&);

}  // namespace netc::random
