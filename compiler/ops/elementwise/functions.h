// What the functions of expressions (FunctionDef) share: operands that are checked, and nodes that are written.
#pragma once
#include "compiler/ops/support.h"

namespace netc::ops {

/// Writes the nodes of one call.
struct Writer {
  Graph& graph;
  const OpTable& ops;
  int32_t layer;
  ValueId operator()(const char* op, std::vector<ValueId> inputs, Attrs attrs = {}) const {
    return graph.add(ops.at(op), std::move(inputs), std::move(attrs), layer);
  }
};
using Write = std::function<ValueId(const Writer&, const std::vector<ValueId>& args)>;

/// A function of `least` to `most` operands, element by element; `write` is called with operands that broadcast to one
/// shape.
FunctionDef elementwise_function(const char* name, std::string doc, int least, int most, Write write);
/// The function of one operand that is the operator `op`.
FunctionDef function_of(const char* name, std::string doc, std::string op);
/// Reports and returns false unless each operand is f32 of known extents.
bool check_function_operands(const Graph& g, const std::string& function, const std::vector<ValueId>& args,
                             std::string& error);

}  // namespace netc::ops
