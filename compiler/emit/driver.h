// The C++ driver: one readable source file that implements netc::rt::Model for one net by calling compiled kernels.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "compiler/emit/unit.h"

namespace netc::emit {

/// The whole source text. Declares the kernels by the names of kernel_symbols() and `extern "C" const size_t
/// NAME_scratch_bytes`; the link defines them all (names_assembly). Defines NAME_info() and NAME_create(), and main()
/// when the unit asks for it.
std::string driver_source(const Unit&);

/// Of a unit with others for other processors: NAME_info() and NAME_create() of the first that runs, and main(). Their
/// drivers have the variants' names.
std::string chooser_source(const Unit&);

/// "lenet5_train_conv1_bias_relu" for each kernel of the plan, in its order.
std::vector<std::string> kernel_symbols(const Unit&, const plan::Plan&);

/// The static tables behind info(): text of the namespace-scope definitions, ending in `kInfo`.
std::string info_tables(const Unit&);

/// The definition of `struct Training` or `struct Inference`: a plan's tensors, where they lie, and its steps as
/// functions.
std::string plan_code(const Unit&, const plan::Plan&, const Variables&);

/// `extern "C"` declarations of a plan's kernels.
std::string kernel_declarations(const Unit&, const plan::Plan&);

/// Static tables of the plan's constants ("kTrainConstants0"), or "".
std::string constant_tables(const Unit&, const plan::Plan&);

/// The member that describes each buffer of the plan; "" for those that only the ingest kernel touches.
std::vector<std::string> tensor_names(const plan::Plan&);

}  // namespace netc::emit
