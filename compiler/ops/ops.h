// The families of operators; table.cpp assembles them. One file each.
#pragma once
#include "compiler/ir/layer_def.h"

namespace netc::ops {

void add_dense(ir::Registry&);
void add_batch_matmul(ir::Registry&);
void add_attention(ir::Registry&);
void add_rows(ir::Registry&);
void add_embedding(ir::Registry&);
void add_recurrent(ir::Registry&);
void add_round(ir::Registry&);
void add_pack(ir::Registry&);
void add_attend(ir::Registry&);
void add_strassen(ir::Registry&);
void add_winograd(ir::Registry&);
void add_winograd_gradient(ir::Registry&);
void add_conv(ir::Registry&);
void add_dwconv(ir::Registry&);
void add_conv_layers(ir::Registry&);
void add_bias(ir::Registry&);
void add_batch_norm(ir::Registry&);
void add_batch_norm_gradients(ir::Registry&);
void add_norm(ir::Registry&);
void add_norm_layers(ir::Registry&);
void add_lrn(ir::Registry&);
void add_activation(ir::Registry&);
void add_prelu(ir::Registry&);
void add_max_pool(ir::Registry&);
void add_avg_pool(ir::Registry&);
void add_dropout(ir::Registry&);
void add_noise(ir::Registry&);
void add_flatten(ir::Registry&);
void add_concat(ir::Registry&);
void add_slice(ir::Registry&);
void add_pad(ir::Registry&);
void add_permute(ir::Registry&);
void add_repeat(ir::Registry&);
void add_softmax(ir::Registry&);
void add_loss(ir::Registry&);
void add_class_loss(ir::Registry&);
void add_binary_loss(ir::Registry&);
void add_pointwise_loss(ir::Registry&);
void add_vector_loss(ir::Registry&);
void add_metrics(ir::Registry&);
void add_arithmetic(ir::Registry&);
void add_elementary(ir::Registry&);
void add_reduce(ir::Registry&);
void add_merge(ir::Registry&);
void add_rescale(ir::Registry&);
void add_normalise(ir::Registry&);
void add_resize(ir::Registry&);
void add_regularise(ir::Registry&);
void add_initializers(ir::Registry&);
void add_constraints(ir::Registry&);
void add_sgd(ir::Registry&);
void add_adam(ir::Registry&);

}  // namespace netc::ops
