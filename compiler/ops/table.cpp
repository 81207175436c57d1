// The table of all that the language offers. Order here is the order of the language reference.
#include <cstdio>
#include <cstdlib>

#include "compiler/ops/ops.h"

namespace netc::ir {

const OpDef* OpTable::find(const std::string& name) const {
  for (const OpDef* op : ops) {
    if (op->name == name) return op;
  }
  return nullptr;
}

const OpDef& OpTable::at(const std::string& name) const {
  const OpDef* op = find(name);
  if (op == nullptr) {
    std::fprintf(stderr, "internal error: no operator '%s'\n", name.c_str());
    std::abort();
  }
  return *op;
}

}  // namespace netc::ir

namespace netc::ops {

const ir::Registry& registry() {
  static const ir::Registry all = [] {
    ir::Registry r;
    add_resize(r);
    add_rescale(r);
    add_normalise(r);
    add_round(r);
    add_pack(r);
    add_conv(r);
    add_attend(r);
    add_strassen(r);
    add_winograd(r);
    add_winograd_gradient(r);
    add_dwconv(r);
    add_conv_layers(r);
    add_dense(r);
    add_bias(r);
    add_activation(r);
    add_prelu(r);
    add_softmax(r);
    add_batch_norm(r);
    add_batch_norm_gradients(r);
    add_norm(r);
    add_norm_layers(r);
    add_lrn(r);
    add_max_pool(r);
    add_avg_pool(r);
    add_dropout(r);
    add_noise(r);
    add_flatten(r);
    add_permute(r);
    add_slice(r);
    add_pad(r);
    add_repeat(r);
    add_arithmetic(r);
    add_elementary(r);
    add_merge(r);
    add_reduce(r);
    add_concat(r);
    add_batch_matmul(r);
    add_rows(r);
    add_embedding(r);
    add_attention(r);
    add_recurrent(r);
    add_loss(r);
    add_class_loss(r);
    add_binary_loss(r);
    add_pointwise_loss(r);
    add_vector_loss(r);
    add_metrics(r);
    add_regularise(r);
    add_initializers(r);
    add_constraints(r);
    add_sgd(r);
    add_adam(r);
    r.penalty = &r.ops.at("penalty");
    r.penalty_grad = &r.ops.at("penalty_grad");
    r.accumulate = &r.ops.at("add");
    r.multiply = &r.ops.at("mul");
    r.round = &r.ops.at("round_bf16");
    r.widen = &r.ops.at("widen_bf16");
    r.copy = &r.ops.at("copy");
    r.seed_gradient = &r.ops.at("constant_fill");
    return r;
  }();
  return all;
}

}  // namespace netc::ops
