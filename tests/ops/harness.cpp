#include "compiler/halide/lowering.h"
#include "tests/ops/harness.h"

#include <Halide.h>

#include <algorithm>
#include <cmath>

#include "compiler/verify/compare.h"
#include "compiler/verify/rounding.h"
#include "tests/support/bf16.h"

namespace netc::test {

using namespace ir;

// an objective of size 1, of which 1e-16 is lost, over steps of 1e-5, and what is left of their square
constexpr double kDifferences = 1e-9;

using Halide::Buffer;
using Halide::Expr;
using Halide::Func;
using Halide::Var;

std::string name_of(const Case& c) {
  std::string s = c.op + "(";
  for (size_t i = 0; i < c.in.size(); ++i) s += (i ? ", " : "") + to_string(c.in[i]);
  return s + ")";
}

RefTensor random_tensor(const Type& type, Fill fill, int64_t batch, int64_t classes, std::mt19937& random) {
  RefTensor t{type.dims, {}};
  if (type.batched) t.dims.insert(t.dims.begin(), batch);
  size_t n = 1;
  for (int64_t d : t.dims) n *= static_cast<size_t>(d);
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> uniform;
  for (size_t i = 0; i < n; ++i) {
    double v = 0;
    if (fill == Fill::normal) v = normal(random);
    if (fill == Fill::positive) v = 0.5 + uniform(random);
    if (fill == Fill::probability) v = 0.05 + 0.9 * uniform(random);
    if (fill == Fill::label) v = static_cast<double>(random() % static_cast<uint32_t>(classes));
    if (fill == Fill::byte) v = static_cast<double>(random() % 256);
    if (fill == Fill::counter) v = static_cast<double>(1 + random() % 100);
    if (type.dtype == DType::f32) v = static_cast<float>(v);
    if (type.dtype == DType::bf16) v = support::widened(support::rounded(static_cast<float>(v)));
    t.data.push_back(v);
  }
  return t;
}

std::vector<RefTensor> operands(const Case& c, int64_t batch, std::mt19937& random) {
  std::vector<RefTensor> in;
  for (size_t i = 0; i < c.in.size(); ++i) {
    Type t = c.in[i];
    if (i == 0 && !c.any.empty()) t.dims = c.any[static_cast<size_t>(batch) % c.any.size()];
    in.push_back(random_tensor(t, i < c.fill.size() ? c.fill[i] : Fill::normal, batch, c.classes, random));
  }
  if (c.fix) c.fix(in, batch);
  return in;
}

Graph graph_of(const Case& c) {
  Graph g;
  g.name = "test";
  std::vector<ValueId> in;
  for (size_t i = 0; i < c.in.size(); ++i) {
    Variable v;
    v.name = "operand" + std::to_string(i);
    v.role = c.in[i].batched ? Role::input : Role::weight;
    in.push_back(g.add_variable(v, c.in[i]));
  }
  g.add_nodes_results(ops::registry().ops.at(c.op), in, c.attrs);
  return g;
}

std::vector<RefTensor> evaluate(const Graph& g, const std::vector<RefTensor>& variables, int64_t batch) {
  std::vector<RefTensor> values(g.values.size());
  for (size_t v = 0; v < g.variables.size(); ++v) values[static_cast<size_t>(g.variables[v].value)] = variables[v];
  for (const Node& n : g.nodes) {
    std::vector<RefTensor> in;
    for (ValueId v : n.inputs) in.push_back(values[static_cast<size_t>(v)]);
    const std::vector<RefTensor> out = n.op->reference(n, g, in, batch);
    for (size_t i = 0; i < out.size(); ++i) values[static_cast<size_t>(n.results[i])] = out[i];
  }
  return values;
}

namespace {

Halide::Type halide_type(DType t) {
  if (t == DType::bf16) return Halide::BFloat(16);
  return t == DType::f32   ? Halide::Float(32)
         : t == DType::u8  ? Halide::UInt(8)
         : t == DType::i32 ? Halide::Int(32)
                           : Halide::UInt(32);
}

Buffer<> buffer_of(const RefTensor& t, DType dtype) {
  std::vector<int> dims(t.dims.rbegin(), t.dims.rend());
  Buffer<> b(halide_type(dtype), dims);
  for (size_t i = 0; i < t.data.size(); ++i) {
    if (dtype == DType::f32) static_cast<float*>(b.data())[i] = static_cast<float>(t.data[i]);
    if (dtype == DType::bf16) static_cast<uint16_t*>(b.data())[i] = support::rounded(static_cast<float>(t.data[i]));
    if (dtype == DType::u8) static_cast<uint8_t*>(b.data())[i] = static_cast<uint8_t>(t.data[i]);
    if (dtype == DType::i32) static_cast<int32_t*>(b.data())[i] = static_cast<int32_t>(t.data[i]);
    if (dtype == DType::u32) static_cast<uint32_t*>(b.data())[i] = static_cast<uint32_t>(t.data[i]);
  }
  return b;
}

std::vector<Var> variables(int n) {
  std::vector<Var> v;
  for (int i = 0; i < n; ++i) v.emplace_back("i" + std::to_string(i));
  return v;
}

/// Halide would compute them again for each element that reads them.
std::vector<Func> parts_of(const halide::Parts& parts) {
  if (const auto* a = std::get_if<halide::AttentionParts>(&parts))
    return {a->sums, a->scores, a->maximum, a->share, a->total};
  if (const auto* t = std::get_if<halide::ImageTileParts>(&parts)) return {t->half, t->tiles, t->products, t->back};
  if (const auto* t = std::get_if<halide::TileParts>(&parts)) return {t->half};
  if (const auto* b = std::get_if<halide::BlockParts>(&parts)) return {b->blocks, b->products};
  if (const auto* p = std::get_if<halide::PhaseParts>(&parts)) return p->phases;
  return {};
}

}  // namespace

double lowering_error(const Case& c, const std::vector<int64_t>& batches) {
  const Graph g = graph_of(c);
  const Node& node = g.nodes[0];
  Halide::Param<int> batch("batch");
  std::vector<Halide::ImageParam> params;
  halide::LowerContext ctx{node, g, {}, batch, {}};
  const halide::Lowering& lowering = halide::lowering_of(*node.op);
  for (size_t i = 0; i < c.in.size(); ++i) {
    const int rank = c.in[i].rank() + (c.in[i].batched ? 1 : 0);
    params.emplace_back(halide_type(c.in[i].dtype), rank);
    std::vector<Var> v = variables(rank);
    Func f("operand" + std::to_string(i));
    f(v) = params.back()(v);
    ctx.in.push_back(f);
  }
  for (int d = 0; d < params[0].dimensions(); ++d) ctx.extents.push_back(params[0].dim(d).extent());
  std::vector<Func> outs;
  if (lowering.scalar) {
    const Type& t = g.type(node.results[0]);
    const std::vector<Var> v = variables(t.rank() + (t.batched ? 1 : 0));
    std::vector<Expr> coords(v.begin(), v.end()), in;
    for (size_t i = 0; i < c.in.size(); ++i) {
      std::vector<Expr> at(coords.begin(), coords.begin() + params[i].dimensions());
      const Type& from = c.in[i];
      for (int d = 0; d < from.rank(); ++d) {
        if (from.dims.rbegin()[d] == 1 && t.dims.rbegin()[d] != 1) at[static_cast<size_t>(d)] = 0;
      }
      in.push_back(ctx.in[i](at));
    }
    for (const Expr& e : lowering.scalar(ctx, in, coords)) {
      Func f("result");
      f(v) = e;
      outs.push_back(f);
    }
  } else {
    const halide::Lowered l = lowering.algorithm(ctx);
    outs = l.funcs;
    for (const std::vector<Func>& once : {l.folds, l.padded, parts_of(l.parts)})
      for (Func f : once) f.compute_root();
  }
  if (outs.size() != node.results.size()) return INFINITY;
  std::mt19937 random(7);
  double worst = 0;
  Halide::Pipeline pipeline(outs);
  for (int64_t n : batches) {
    const std::vector<RefTensor> in = operands(c, n, random);
    batch.set(static_cast<int>(n));
    for (size_t i = 0; i < in.size(); ++i) params[i].set(buffer_of(in[i], c.in[i].dtype));
    const std::vector<RefTensor> want = node.op->reference(node, g, in, n);
    std::vector<Buffer<>> results;
    for (size_t i = 0; i < want.size(); ++i) {
      results.emplace_back(halide_type(g.type(node.results[i]).dtype),
                           std::vector<int>(want[i].dims.rbegin(), want[i].dims.rend()));
    }
    Halide::Realization all(results);
    pipeline.realize(all);
    const auto near = {verify::off_by_rounding(node, g, in, n, 1), verify::off_by_rounding(node, g, in, n, 2)};
    for (size_t i = 0; i < want.size(); ++i) {
      const void* p = results[i].data();
      RefTensor got{want[i].dims, {}};
      for (size_t j = 0; j < want[i].data.size(); ++j) switch (g.type(node.results[i]).dtype) {
          case DType::u8: got.data.push_back(static_cast<const uint8_t*>(p)[j]); break;
          case DType::bf16: got.data.push_back(support::widened(static_cast<const uint16_t*>(p)[j])); break;
          default: got.data.push_back(static_cast<const float*>(p)[j]);
        }
      std::vector<const RefTensor*> rounded;
      for (const auto& results : near) rounded.push_back(&results[i]);
      const verify::Comparison c = verify::compare(want[i], got, rounded, verify::kKernelRelative);
      worst = std::max(worst, c.error / c.bound);
    }
  }
  return worst;
}

double gradient_error(const Case& c, int64_t batch) {
  Graph g = graph_of(c);
  const OpDef& op = *g.nodes[0].op;
  std::mt19937 random(11);
  std::vector<RefTensor> in = operands(c, batch, random);
  GradContext ctx{g, 0, {}, {}, ops::registry().ops};
  std::vector<RefTensor> dy;
  const std::vector<ValueId> results = g.nodes[0].results;
  for (size_t i = 0; i < results.size(); ++i) {
    Variable v;
    v.name = "dy" + std::to_string(i);
    v.role = Role::input;
    const Type t = g.type(results[i]);
    ctx.grads_out.push_back(g.add_variable(v, t));
    dy.push_back(random_tensor(t, Fill::normal, batch, 1, random));
  }
  for (const Type& t : c.in) ctx.wanted.push_back(t.dtype == DType::f32);
  const std::vector<ValueId> grads = op.gradient(ctx);
  std::vector<RefTensor> variables = in;
  variables.insert(variables.end(), dy.begin(), dy.end());
  const std::vector<RefTensor> values = evaluate(g, variables, batch);
  auto objective = [&] {
    const std::vector<RefTensor> y = op.reference(g.nodes[0], g, in, batch);
    double sum = 0;
    for (size_t i = 0; i < y.size(); ++i)
      for (size_t j = 0; j < y[i].data.size(); ++j) sum += y[i].data[j] * dy[i].data[j];
    return sum;
  };
  if (grads.size() != c.in.size()) return INFINITY;
  double worst = 0;
  for (size_t i = 0; i < c.in.size(); ++i) {
    if (c.in[i].dtype != DType::f32) continue;
    if (grads[i] != kNone && g.type(grads[i]) != c.in[i]) return INFINITY;
    const size_t n = in[i].data.size(), step = std::max<size_t>(1, n / 24);
    double largest = 1e-30, off = 0;
    for (size_t j = 0; j < n; j += step) {
      const double x = in[i].data[j], h = 1e-5;
      in[i].data[j] = x + h;
      const double up = objective();
      in[i].data[j] = x - h;
      const double down = objective();
      in[i].data[j] = x;
      const double want = (up - down) / (2 * h),
                   got = grads[i] == kNone ? 0 : values[static_cast<size_t>(grads[i])].data[j];
      if (!std::isfinite(want - got)) return INFINITY;
      largest = std::max({largest, std::abs(want), std::abs(got)});
      off = std::max(off, std::abs(want - got));
    }
    // What differences of the objective leave, an element that is zero altogether included.
    if (off > kDifferences) worst = std::max(worst, off / largest);
  }
  return worst;
}

}  // namespace netc::test
