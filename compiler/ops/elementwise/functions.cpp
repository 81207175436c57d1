#include "compiler/ops/elementwise/functions.h"

namespace netc::ops {

bool check_function_operands(const Graph& g, const std::string& function, const std::vector<ValueId>& args,
                             std::string& error) {
  for (ValueId v : args) {
    const Type& t = g.type(v);
    if (t.has_any_extent())
      error = fmt::format("{} needs operands whose extents are known, but one is {}", function, shape_for_user(t));
    else if (t.dtype != DType::f32)
      error = fmt::format("{} needs f32 values, but an operand is {}", function, shape_for_user(t));
    if (!error.empty()) return false;
  }
  return true;
}

FunctionDef elementwise_function(const char* name, std::string doc, int least, int most, Write write) {
  FunctionDef f;
  f.name = name;
  f.doc = std::move(doc);
  f.min_args = least;
  f.max_args = most;
  f.build = [me = f.name, write = std::move(write)](Graph& g, const OpTable& ops, const std::vector<ValueId>& args,
                                                    const std::vector<int64_t>&, int32_t layer, std::string& error) {
    if (!check_function_operands(g, me, args, error)) return kNone;
    std::vector<Type> types;
    for (ValueId v : args) types.push_back(g.type(v));
    if (!broadcast(types)) {
      error =
          fmt::format("{} cannot combine {}: along each dimension extents must be equal, or 1", me, list_shapes(types));
      return kNone;
    }
    return write(Writer{g, ops, layer}, args);
  };
  return f;
}

FunctionDef function_of(const char* name, std::string doc, std::string op) {
  return elementwise_function(name, std::move(doc), 1, 1,
                              [op](const Writer& w, const std::vector<ValueId>& a) { return w(op.c_str(), {a[0]}); });
}

}  // namespace netc::ops
