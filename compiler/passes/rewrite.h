// What the passes share: replacing values and restoring the graph's order.
#pragma once
#include <vector>

#include "compiler/ir/op_def.h"

namespace netc::passes {

/// Every reader of `from` (nodes, outputs, updates, layers) reads `to` instead; nodes in `except` keep reading `from`.
void replace_uses(ir::Graph&, ir::ValueId from, ir::ValueId to, const std::vector<ir::NodeId>& except = {});
/// Applies all replacements at once: map[v] is what v becomes, followed to its end. Shorter for passes that replace many.
void replace_all(ir::Graph&, std::vector<ir::ValueId> map);
/// Moves nodes that were appended late before their first reader; else the order stays.
void restore_order(ir::Graph&);
/// Nodes whose results nobody reads any more go; values keep their numbers.
void drop_unread(ir::Graph&);
/// How many nodes, outputs and updates read each value.
std::vector<int> count_uses(const ir::Graph&);

}  // namespace netc::passes
