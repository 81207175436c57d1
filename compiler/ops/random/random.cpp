#include "compiler/ops/random/random.h"
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

constexpr uint32_t kMultiplier = 0xD256D193u, kWeyl = 0x9E3779B9u, kMix = 0x85EBCA6Bu;
constexpr int kRounds = 7;

ValueId step_scalar(Graph& g, const char* name) {
  const int32_t v = g.find_variable(name);
  if (v != kNone) return g.variables[v].value;
  Variable var;
  var.name = name;
  var.role = Role::scalar;
  return g.add_variable(var, Type{DType::u32, false, {}});
}

}  // namespace

std::pair<Expr, Expr> philox(const Expr& element, const Expr& sample, const Expr& seed, const Expr& step,
                             uint32_t stream) {
  auto u32 = [](Expr e) { return cast<uint32_t>(std::move(e)); };
  Expr key = u32(seed) ^ (u32(step) * Expr(kMix) + Expr(stream * kWeyl));
  Expr a = u32(element), b = u32(sample);
  for (int i = 0; i < kRounds; ++i) {
    const Expr product = cast<uint64_t>(a) * cast<uint64_t>(Expr(kMultiplier));
    const Expr high = cast<uint32_t>(product >> 32);
    a = high ^ key ^ b;
    b = cast<uint32_t>(product & cast<uint64_t>(Expr(0xFFFFFFFFu)));
    key = key + Expr(kWeyl);
  }
  return {a, b};
}

std::pair<uint32_t, uint32_t> philox(uint32_t element, uint32_t sample, uint32_t seed, uint32_t step, uint32_t stream) {
  uint32_t key = seed ^ (step * kMix + stream * kWeyl), a = element, b = sample;
  for (int i = 0; i < kRounds; ++i) {
    const uint64_t product = static_cast<uint64_t>(a) * kMultiplier;
    a = static_cast<uint32_t>(product >> 32) ^ key ^ b;
    b = static_cast<uint32_t>(product);
    key += kWeyl;
  }
  return {a, b};
}

Expr element_index(const Type& t, const Exprs& coords) {
  Expr element = 0;
  for (int i = t.rank() - 1; i >= 0; --i) element = element * static_cast<int>(t.dims[t.rank() - 1 - i]) + coords[i];
  return element;
}

ShapeRule random_shape(std::string op) {
  return [op](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    const Type scalar{DType::u32, false, {}};
    if (in[0].dtype != DType::f32 || !in[0].batched || in[1] != scalar || in[2] != scalar) {
      error = fmt::format("{} needs f32[N, ...], u32[] and u32[], not {}", op, list_types(in));
      return false;
    }
    out = {in[0]};
    return true;
  };
}

ValueId emit_random(LayerBuilder& b, ValueId x, const char* op, Attrs attrs) {
  Graph& g = b.graph();
  const ValueId seed = step_scalar(g, "seed"), step = step_scalar(g, "step");
  int64_t stream = 1;
  for (const Node& n : g.nodes) stream += n.op->random ? 1 : 0;
  attrs.set("stream", stream);
  return b.emit(op, {x, seed, step}, std::move(attrs));
}

}  // namespace netc::ops
