// What integers a net takes as numbers of rows.
#pragma once
#include "compiler/ir/graph.h"

namespace netc::ops {

/// The integers of `v` choose rows of tables: what they must stay below, so that each table has the row; 0: they do nothing of the kind.
int64_t indices_below(const ir::Graph& g, ir::ValueId v);

}  // namespace netc::ops
