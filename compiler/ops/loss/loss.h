// What the losses share: the mean over positions and batch, labels' types, checks of what the user wrote.
#pragma once
#include "compiler/ops/support.h"

namespace netc::ops {

/// Class indices, one for each row: i32[N, ...] of f32[N, ..., C].
Type class_labels(const Type& rows);
/// The loss of each element or row, f32[N, ...], as one number: the mean of each sample, then of the batch.
ValueId mean_loss(Graph& g, const OpTable& ops, ValueId each);
/// The operand of `value` when it is the result of the operator `name`, else kNone: a softmax under its cross-entropy.
ValueId operand_of(const Graph& g, ValueId value, const char* name);

/// Checks for LossDef::check: f32 with known extents and at least `rank` dims.
bool check_output(const Graph& g, ValueId output, const char* loss, int rank, std::string& error, std::string& help);
/// from_logits = true of an output that is `activation`'s result already.
bool check_logits(const Graph& g, ValueId output, const char* loss, bool from_logits, const char* op,
                  const char* activation, std::string& error, std::string& help);
bool check_weights(const std::vector<double>& weights, int64_t classes, const char* loss, std::string& error,
                   std::string& help);

ArgDef from_logits_arg();
ArgDef smoothing_arg();
ArgDef class_weights_arg(const char* doc);
ArgDef gamma_arg();

}  // namespace netc::ops
