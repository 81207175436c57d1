// Forms of a contraction whose weights are stored in the order in which its tiles read them.
#pragma once
#include "compiler/ops/support.h"

namespace netc::ops {

/// Elements that the tile of a contraction has along a dim of this extent: whole vectors, as many as leave registers for rows. 0: the extent has none.
int64_t block_of(int64_t extent, const Target& target);
/// What an operator makes of weights: weights that several layers share are prepared once.
ValueId added_once(Graph& g, const OpDef& op, ValueId w, const Attrs& attrs, int32_t layer, const std::string& suffix);
/// `w` in blocks along its dim `dim`, 0 the innermost.
ValueId packed(Graph& g, ValueId w, int dim, int64_t block, int32_t layer);
/// The node itself, with operand 1 in blocks along `dim`, that which the lanes of its result run along; where `fits` holds.
Form packed_form(int dim, std::function<bool(const Node&, const Graph&)> fits = nullptr);

}  // namespace netc::ops
