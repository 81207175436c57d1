// What passes and forms share: replacing values and restoring the graph's order.
#pragma once
#include <cstdint>
#include <vector>

#include "compiler/ir/op_def.h"

namespace netc::ir {

/// Who reads each value, while a pass adds nodes and replaces values: all together in time linear in what changes.
/// Nodes may be added to the graph meanwhile, but their operands change by replace() alone. The graph must outlive it.
class Readers {
 public:
  explicit Readers(Graph&);
  /// How many nodes, outputs and updates read v; a node that reads it twice counts twice.
  int count(ValueId v);
  /// Every reader of `from` (nodes, outputs, updates, layers) reads `to` instead; nodes from `first_kept` on keep
  /// reading `from`.
  void replace(ValueId from, ValueId to, NodeId first_kept = INT32_MAX);

 private:
  struct Reader {
    enum : uint8_t { node, output, update, layer } kind;
    int32_t index;
  };
  void index_new_nodes();
  Graph& g_;
  std::vector<std::vector<Reader>> readers_;
  NodeId indexed_ = 0;
};
/// Applies all replacements at once: map[v] is what v becomes, followed to its end. Shorter for passes that replace
/// many.
void replace_all(Graph&, std::vector<ValueId> map);
/// Moves nodes that were appended late before their first reader; else the order stays.
void restore_order(Graph&);
/// Nodes whose results nobody reads any more go; values keep their numbers.
void drop_unread(Graph&);
/// How many nodes, outputs and updates read each value.
std::vector<int> count_uses(const Graph&);

}  // namespace netc::ir
