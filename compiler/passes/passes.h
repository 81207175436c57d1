// The passes over the graph, one file each. Each keeps the graph well formed (ir::verify) and is deterministic.
#pragma once
#include <map>
#include <vector>

#include "compiler/ir/layer_def.h"
#include "compiler/sema/model.h"

namespace netc::passes {

struct Loss {
  ir::ValueId data = ir::kNone;   // the batch's mean, f32[]: what autodiff starts from
  ir::ValueId total = ir::kNone;  // with the weights' penalties: the output "loss"
};
/// Adds a variable for each label that is no input or output, the weighted sum of the terms, the penalties of trainable
/// weights, and the output "loss". Where there are several terms, the outputs of kind `term` before it are
/// each term's mean, unweighted.
Loss add_loss(ir::Graph&, const ir::Registry&, const std::vector<sema::LossTerm>&);

/// Appends the gradient of `loss` (f32[]) in every trainable weight it depends on. Key: the weight's index in
/// Graph::variables.
std::map<int32_t, ir::ValueId> add_gradients(ir::Graph&, const ir::Registry&, ir::ValueId loss);

/// Adds the penalties' gradients to `gradients`, the optimiser's slots and scalars, one update of each weight and its
/// slots.
void add_updates(ir::Graph&, const ir::Registry&, const ir::OptimizerDef&, const std::vector<ir::ArgValue>& args,
                 std::map<int32_t, ir::ValueId>& gradients);

/// Every operator in its inference form, no updates, the same outputs.
[[nodiscard]] ir::Graph to_inference(ir::Graph);

/// Without nodes whose results nobody reads and without unread labels, scalars and constants; inputs, weights, state
/// and slots stay.
[[nodiscard]] ir::Graph remove_dead(const ir::Graph&);

/// Nodes that compute the same from the same are one node.
[[nodiscard]] ir::Graph merge_common(ir::Graph);

/// Small results of constants only become constants.
[[nodiscard]] ir::Graph fold_constants(ir::Graph);

/// Inference: affine maps after a contraction go into its weights and one offset; other affine maps become x * scale +
/// shift with both known at load.
[[nodiscard]] ir::Graph fold_affine(ir::Graph, const ir::Registry&);

/// Linear poolings before the contractions of single pixels that they follow, where that takes less arithmetic.
[[nodiscard]] ir::Graph pool_first(ir::Graph);

/// Outputs that are a variable, or what the data loader made of one, perhaps of another shape, are copies of it:
/// callers find them in memory of the step's own.
[[nodiscard]] ir::Graph copy_inputs(ir::Graph, const ir::Registry&);

/// The operands of contractions rounded to bf16, but for those of the net's input.
[[nodiscard]] ir::Graph round_products(ir::Graph, const ir::Registry&);

/// What becomes of a value of the forward pass once the backward pass wants it.
enum class Fate : uint8_t {
  kept,     // it was stored
  inlined,  // it never is: computed in its readers' kernels
  dropped,  // it was stored for the forward pass only: the backward pass computes it again
};
/// A training graph whose backward pass computes dropped values again, from kept ones, right before it reads them.
/// `fates`: by value. Values keep their numbers.
[[nodiscard]] ir::Graph recompute(ir::Graph, const std::vector<Fate>& fates);

}  // namespace netc::passes
