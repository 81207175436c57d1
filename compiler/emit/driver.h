// The C++ driver: one readable source file that implements netc::rt::Model for one net by calling compiled kernels.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "compiler/emit/unit.h"

namespace netc::emit {

/// The whole source text. Kernels are declared by the names of kernel_symbols(); `NAME_scratch_bytes` is a size_t that the link adds (see product.h).
std::string driver_source(const Unit&);

/// "lenet5_train_conv1_bias_relu" for each kernel of the plan, in its order.
std::vector<std::string> kernel_symbols(const Unit&, const schedule::Plan&);

/// The static tables behind info(): text of the namespace-scope definitions, ending in `kInfo`.
std::string info_tables(const Unit&);

/// The text of one plan's parts of the driver.
struct PlanCode {
  std::string declarations;  // extern "C" declarations of its kernels
  std::string buffers;       // struct of descriptors and the tables that place them
  std::string layout;        // body of a member function: extents and strides
  std::string set_batch;     // body
  std::vector<std::string> calls;      // one per kernel: `f(ctx, &b.x, ...)`, without a semicolon
  std::vector<std::string> comments;   // beside each call
  std::vector<std::string> ids;        // the member of each buffer
};
PlanCode plan_code(const Unit&, const schedule::Plan&, const Variables&);

}  // namespace netc::emit
