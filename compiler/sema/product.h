// What a model needs so that programs and libraries can be made of it.
#pragma once
#include "compiler/sema/model.h"

namespace netc::sema {

/// Reports outputs that are not f32 of known extents, and images of any size that nothing resizes.
void check_product(const ast::File&, const Model&, Diagnostics&);

}  // namespace netc::sema
