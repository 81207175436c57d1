// Elements of tensors between double, as the interpreter has them, and memory, as kernels do.
#pragma once
#include "compiler/plan/plan.h"

namespace netc::verify {

/// Row-major elements of this type, one after another.
void write_elements(ir::DType, const ir::RefTensor&, void* to);
/// The tensor where the plan stores it: in planes, in blocks. `batch` samples of a batched one.
void write_tensor(const plan::Buffer&, const ir::RefTensor&, int batch, void* to);
ir::RefTensor read_tensor(const plan::Buffer&, int batch, const void* from);
/// The value as this type holds it: rounded to float32 or bf16.
double rounded_to(ir::DType, double);

}  // namespace netc::verify
