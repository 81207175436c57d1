// Functions of tensors for the tests of the language: small stand-ins where the table of operators has none of that name.
#include <algorithm>

#include "tests/frontend/support.h"

namespace netc::frontend {
namespace {

using namespace netc::ir;
using Build = decltype(FunctionDef::build);
using Values = std::vector<ValueId>;
using Axes = std::vector<int64_t>;

FunctionDef binary(const char* name, const char* op) {
  Build build = [op = std::string(op)](Graph& g, const OpTable& ops, const Values& in, const Axes&, int32_t layer, std::string& error) {
    std::vector<Type> types{g.type(in[0]), g.type(in[1])}, out;
    if (ops.at(op).shape(types, {}, out, error)) return g.add(ops.at(op), in, {}, layer);
    error = "cannot combine " + shape_for_user(types[0]) + " and " + shape_for_user(types[1]);
    return kNone;
  };
  return {name, "", 2, 2, false, std::move(build)};
}

FunctionDef unary(const char* name, const char* op, Attrs attrs = {}) {
  Build build = [op = std::string(op), attrs](Graph& g, const OpTable& ops, const Values& in, const Axes&, int32_t layer, std::string&) {
    return g.add(ops.at(op), {in[0]}, attrs, layer);
  };
  return {name, "", 1, 1, false, std::move(build)};
}

/// As a reduction reads to the language: an op that says its axes.
FunctionDef mean() {
  Build build = [](Graph& g, const OpTable& ops, const Values& in, const Axes& axes, int32_t layer, std::string&) {
    Attrs attrs{{"factor", 1.0}};
    attrs.set("axes", axes);
    return g.add(ops.at("scale"), {in[0]}, attrs, layer);
  };
  return {"mean", "", 1, 1, true, std::move(build)};
}

}  // namespace

const ir::Registry& registry() {
  static const FunctionDef stand_ins[] = {binary("+", "add"), binary("-", "sub"), binary("*", "mul"), unary("neg", "scale", {{"factor", -1.0}}),
                                          unary("tanh", "tanh"), mean()};
  static const ir::Registry all = [] {
    ir::Registry r = ops::registry();
    for (const FunctionDef& f : stand_ins)
      if (std::none_of(r.functions.begin(), r.functions.end(), [&](const FunctionDef* known) { return known->name == f.name; })) r.functions.push_back(&f);
    return r;
  }();
  return all;
}

}  // namespace netc::frontend
