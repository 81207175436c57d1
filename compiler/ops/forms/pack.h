// Forms of a contraction whose weights are stored in the order in which its tiles read them.
#pragma once
#include "compiler/ops/support.h"

namespace netc::ops {

/// Elements that the tile of a contraction has along a dim of this extent: whole vectors, as many as leave registers
/// for rows. 0: the extent has none.
int64_t block_of(int64_t extent, const Machine& machine);
/// What an operator makes of weights: weights that several layers share are prepared once.
ValueId added_once(Graph& g, const OpDef& op, ValueId w, const Attrs& attrs, int32_t layer, const std::string& suffix);
/// How a contraction reads its weights: lanes run along dim `lanes` (0 is the innermost), and what is summed first
/// along dim `sums`.
struct Reads {
  int lanes = 0, sums = 1;
};
/// `w` in blocks along its dim `reads.lanes`; `pairs`: whose elements are pairs of neighbours along `reads.sums`.
ValueId packed(Graph& g, ValueId w, Reads reads, int64_t block, bool pairs, int32_t layer);
/// The node itself, with operand 1 in blocks, and in pairs where they are added in pairs; where `fits` holds.
Form packed_form(Reads reads, std::function<bool(const Node&, const Graph&)> fits = nullptr);

}  // namespace netc::ops
