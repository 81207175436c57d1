#include "compiler/lower/build.h"

#include <algorithm>
#include <map>
#include <utility>

#include "compiler/nests/nest.h"

namespace netc::lower {
namespace {

using Halide::Expr;
using Halide::Func;
using Halide::Var;
using ir::Kind;
using ir::ValueId;

Halide::Type halide_type(ir::DType t) {
  switch (t) {
    case ir::DType::f32: return Halide::Float(32);
    case ir::DType::u8: return Halide::UInt(8);
    case ir::DType::i32: return Halide::Int(32);
    case ir::DType::u32: return Halide::UInt(32);
    case ir::DType::bf16: return Halide::BFloat(16);
  }
  return {};
}

class Builder {
 public:
  Builder(const plan::Plan& p, const plan::Kernel& k) : p_(p), g_(*p.graph), k_(k) {}

  halide::Built run() {
    make_params();
    demands_ = nests::demands(p_, k_);
    if (demands_.many > 0) {  // small batches have loops of their own
      const auto operands = value_;
      for (ir::NodeId n : k_.nodes) add_node(n);
      b_.few = b_.anchor;
      few_ = std::exchange(value_, operands);
      b_.many = b_.batch >= static_cast<int>(demands_.many);
    }
    for (ir::NodeId n : k_.nodes) add_node(n);
    make_output();
    return std::move(b_);
  }

 private:
  void make_params() {
    for (size_t i = 0; i < k_.inputs.size(); ++i) {
      const plan::Buffer& buffer = p_.buffers[k_.inputs[i]];
      bool ingest = is_ingest();
      const auto stored = stored_dims(buffer);
      int dims = ingest ? buffer.type.rank() : static_cast<int>(stored.size());  // ingest works on one sample: no batch
      Halide::ImageParam param(halide_type(buffer.type.dtype), dims, "in" + std::to_string(i));
      for (int d = 0; d < dims; ++d) {
        bool is_batch = buffer.type.batched && d == buffer.type.rank();
        if (buffer.type.has_any_extent()) {
          if (d == 0) param.dim(0).set_bounds(0, static_cast<int>(buffer.type.dims.back())).set_stride(1);
          else if (d == 1) param.dim(1).set_min(0).set_stride(static_cast<int>(buffer.type.dims.back()));
          else param.dim(d).set_min(0);
          continue;
        }
        if (is_batch) param.dim(d).set_min(0);
        else param.dim(d).set_bounds(0, static_cast<int>(stored[d].extent));
        if (stored[d].stride <= 0x7fffffff) param.dim(d).set_stride(static_cast<int>(stored[d].stride));
      }
      param.set_host_alignment(buffer.storage == plan::Storage::arena ? 64 : 4);
      if (!ingest && buffer.type.batched && !b_.batch.defined()) b_.batch = param.dim(dims - 1).extent();
      value_[k_.input_values[i]] = buffer.block > 0 ? from_blocks(param, buffer) : Func(param);
      if (ingest && i == 0)
        for (int d = 0; d < dims; ++d) extents_.push_back(param.dim(d).extent());
      b_.params.push_back(param);
    }
  }
  // A tensor in blocks, as one of its own dims.
  static Func from_blocks(Halide::ImageParam param, const plan::Buffer& b) {
    Func f("unpacked");
    std::vector<Var> v;
    for (int d = 0; d < b.type.rank(); ++d) v.push_back(Var("d" + std::to_string(d)));
    const Expr lane = v[b.block_dim];
    const int block = static_cast<int>(b.block);
    std::vector<Expr> at = {lane % block};
    for (int d = 0; d < b.type.rank(); ++d)
      if (d != b.block_dim) at.push_back(d == b.pair_dim ? v[d] / 2 : Expr(v[d]));
    at.push_back(lane / block);
    if (b.pair_dim >= 0) at.insert(at.begin(), v[b.pair_dim] % 2);
    f(v) = param(at);
    return f;
  }
  // The coordinates of the tensor's element that lies at `v` of its blocks.
  static std::vector<Expr> in_blocks(const std::vector<Var>& v, const plan::Buffer& b) {
    const int lane = b.pair_dim >= 0 ? 1 : 0;
    std::vector<Expr> at(v.begin() + lane + 1, v.end() - 1);
    at.insert(at.begin() + b.block_dim, v.back() * static_cast<int>(b.block) + v[lane]);
    if (b.pair_dim >= 0) at[b.pair_dim] = at[b.pair_dim] * 2 + v[0];
    return at;
  }
  bool is_ingest() const { return k_.anchor != ir::kNone && g_.nodes[k_.anchor].op->kind == Kind::ingest; }

  bool stored(ValueId v) const {
    return std::find(k_.input_values.begin(), k_.input_values.end(), v) != k_.input_values.end();
  }

  // An operand of lower rank reads the leading (innermost) coordinates; one whose extent is 1 where the result's is not
  // has one element there.
  static Expr broadcast(const Func& f, const ir::Type& from, const ir::Type& to, const std::vector<Expr>& at) {
    std::vector<Expr> args(at.begin(), at.begin() + f.dimensions());
    for (int d = 0; d < from.rank(); ++d)
      if (from.dims[from.rank() - 1 - d] == 1 && to.dims[to.rank() - 1 - d] != 1) args[d] = 0;
    return f(args);
  }

  void add_node(ir::NodeId id) {
    const ir::Node& node = g_.nodes[id];
    halide::LowerContext ctx{.node = node,
                             .graph = g_,
                             .in = {},
                             .batch = b_.batch.defined() ? b_.batch : Expr(1),
                             .extents = extents_};
    if (id == k_.anchor) ctx.demands = demands_;
    for (ValueId v : node.inputs) ctx.in.push_back(value_.at(v));
    if (node.op->kind == Kind::elementwise) {
      std::vector<Var> vars = make_vars(g_.type(node.results[0]));
      std::vector<Expr> at(vars.begin(), vars.end()), ins;
      for (size_t i = 0; i < ctx.in.size(); ++i)
        ins.push_back(broadcast(ctx.in[i], g_.type(node.inputs[i]), g_.type(node.results[0]), at));
      std::vector<Expr> results = halide::lowering_of(*node.op).scalar(ctx, ins, at);
      const std::string name = "op_" + node.op->name;  // Halide tells calls apart by name, and has an abs of its own
      if (results.size() == 1) {
        Func f(name);
        f(vars) = results[0];
        value_[node.results[0]] = f;
      } else {
        Func f(name);
        f(vars) = Halide::Tuple(results);
        tuple_ = f;
        tuple_node_ = id;
      }
      return;
    }
    Func staged;
    if (id == k_.anchor && node.op->kind == Kind::contraction && !stored(node.inputs[0])) {  // computed once for a task
      const std::vector<Var> vars = make_vars(g_.type(node.inputs[0]));
      staged = Func("staged");
      staged(vars) = ctx.in[0](vars);
      ctx.in[0] = staged;
    }
    halide::Lowered l = halide::lowering_of(*node.op).algorithm(ctx);
    if (staged.defined() && l.padded.empty()) l.padded = {staged};
    for (size_t i = 0; i < node.results.size(); ++i) value_[node.results[i]] = l.funcs[i];
    if (id == k_.anchor) {
      b_.anchor = l;
      b_.has_anchor = true;
    }
  }

  std::vector<Var> make_vars(const ir::Type& t) const {
    static const char* names[] = {"d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7"};
    std::vector<Var> v;
    for (int i = 0; i < t.rank(); ++i) v.push_back(Var(names[i]));
    if (t.batched && !is_ingest()) v.push_back(Var("n"));
    return v;
  }

  void make_output() {
    const ir::Node& last = g_.nodes[k_.nodes.back()];
    const plan::Buffer& first = p_.buffers[k_.outputs[0]];
    b_.vars = make_vars(first.type);
    if (first.block > 0) b_.vars.insert(b_.vars.begin(), Var("lane"));
    if (first.pair_dim >= 0) b_.vars.insert(b_.vars.begin(), Var("pair"));
    std::vector<Expr> at(b_.vars.begin(), b_.vars.end());
    if (first.block > 0) at = in_blocks(b_.vars, first);
    b_.out = Func("out");
    if (tuple_.defined()) {
      std::vector<Expr> parts;
      for (size_t i = 0; i < last.results.size(); ++i)
        parts.push_back(Halide::FuncRef(tuple_(at))[static_cast<int>(i)]);
      b_.out(b_.vars) = Halide::Tuple(parts);
    } else if (k_.output_values.size() > 1) {
      std::vector<Expr> parts;
      for (ValueId v : k_.output_values) parts.push_back(value_.at(v)(at));
      b_.out(b_.vars) = Halide::Tuple(parts);
    } else {
      const Expr value = value_.at(k_.output_values[0])(at);
      b_.out(b_.vars) = b_.many.defined() ? Halide::select(b_.many, value, few_.at(k_.output_values[0])(at)) : value;
    }
    auto buffers = b_.out.output_buffers();
    for (size_t i = 0; i < buffers.size(); ++i) {
      const plan::Buffer& buffer = p_.buffers[k_.outputs[i]];
      const auto stored = stored_dims(buffer);
      for (int d = 0; d < static_cast<int>(b_.vars.size()); ++d) {
        if (i > 0) {
        }  // the same extents as the first's, by Halide's rule
        else if (buffer.type.batched && d == buffer.type.rank())
          buffers[i].dim(d).set_min(0);
        else buffers[i].dim(d).set_bounds(0, static_cast<int>(stored[d].extent));
        if (stored[d].stride <= 0x7fffffff) buffers[i].dim(d).set_stride(static_cast<int>(stored[d].stride));
      }
      if (!b_.batch.defined() && buffer.type.batched && !is_ingest())
        b_.batch = buffers[i].dim(buffer.type.rank()).extent();
    }
  }

  const plan::Plan& p_;
  const ir::Graph& g_;
  const plan::Kernel& k_;
  halide::Built b_;
  ir::Demands demands_;
  std::map<ValueId, Func> value_, few_;
  std::vector<Expr> extents_;
  Func tuple_;
  ir::NodeId tuple_node_ = ir::kNone;
};

}  // namespace

halide::Built build(const plan::Plan& p, const plan::Kernel& k) { return Builder(p, k).run(); }

}  // namespace netc::lower
