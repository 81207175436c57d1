#include "compiler/lower/build.h"

#include <map>

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
  }
  return {};
}

int dims_of(const ir::Type& t) { return t.rank() + (t.batched ? 1 : 0); }

class Builder {
 public:
  Builder(const schedule::Plan& p, const schedule::Kernel& k) : p_(p), g_(*p.graph), k_(k) {}

  Built run() {
    make_params();
    for (ir::NodeId n : k_.nodes) add_node(n);
    make_output();
    return std::move(b_);
  }

 private:
  void make_params() {
    for (size_t i = 0; i < k_.inputs.size(); ++i) {
      const schedule::Buffer& buffer = p_.buffers[k_.inputs[i]];
      bool ingest = is_ingest();
      int dims = ingest ? buffer.type.rank() : dims_of(buffer.type);  // ingest works on one sample: no batch
      Halide::ImageParam param(halide_type(buffer.type.dtype), dims, "in" + std::to_string(i));
      auto strides = strides_of(buffer);
      for (int d = 0; d < dims; ++d) {
        bool is_batch = d == buffer.type.rank();
        if (buffer.type.has_any_extent()) {
          if (d == 0) param.dim(0).set_bounds(0, static_cast<int>(buffer.type.dims.back())).set_stride(1);
          else if (d == 1) param.dim(1).set_min(0).set_stride(static_cast<int>(buffer.type.dims.back()));
          else param.dim(d).set_min(0);
          continue;
        }
        if (is_batch) param.dim(d).set_min(0);
        else param.dim(d).set_bounds(0, static_cast<int>(buffer.type.dims[buffer.type.rank() - 1 - d]));
        if (strides[d] <= 0x7fffffff) param.dim(d).set_stride(static_cast<int>(strides[d]));
      }
      param.set_host_alignment(buffer.storage == schedule::Storage::arena ? 64 : 4);
      if (!ingest && buffer.type.batched && !b_.batch.defined()) b_.batch = param.dim(dims - 1).extent();
      value_[k_.input_values[i]] = {Func(param)};
      if (ingest && i == 0)
        for (int d = 0; d < dims; ++d) extents_.push_back(param.dim(d).extent());
      b_.params.push_back(param);
    }
  }
  bool is_ingest() const { return k_.anchor != ir::kNone && g_.nodes[k_.anchor].op->kind == Kind::ingest; }

  // An operand of lower rank reads the leading (innermost) coordinates; one whose extent is 1 where the result's is not has one element there.
  static Expr broadcast(const Func& f, const ir::Type& from, const ir::Type& to, const std::vector<Expr>& at) {
    std::vector<Expr> args(at.begin(), at.begin() + f.dimensions());
    for (int d = 0; d < from.rank(); ++d)
      if (from.dims[from.rank() - 1 - d] == 1 && to.dims[to.rank() - 1 - d] != 1) args[d] = 0;
    return f(args);
  }

  void add_node(ir::NodeId id) {
    const ir::Node& node = g_.nodes[id];
    ir::LowerContext ctx{.node = node, .graph = g_, .in = {}, .batch = b_.batch.defined() ? b_.batch : Expr(1), .extents = extents_};
    for (ValueId v : node.inputs) ctx.in.push_back(value_.at(v));
    if (node.op->kind == Kind::elementwise) {
      std::vector<Var> vars = make_vars(g_.type(node.results[0]));
      std::vector<Expr> at(vars.begin(), vars.end()), ins;
      for (size_t i = 0; i < ctx.in.size(); ++i) ins.push_back(broadcast(ctx.in[i], g_.type(node.inputs[i]), g_.type(node.results[0]), at));
      std::vector<Expr> results = node.op->scalar(ctx, ins, at);
      if (results.size() == 1) {
        Func f(node.op->name);
        f(vars) = results[0];
        value_[node.results[0]] = f;
      } else {
        Func f(node.op->name);
        f(vars) = Halide::Tuple(results);
        tuple_ = f;
        tuple_node_ = id;
      }
      return;
    }
    ir::Lowered l = node.op->lower(ctx);
    for (size_t i = 0; i < node.results.size(); ++i) value_[node.results[i]] = l.funcs[i];
    if (id == k_.anchor) {
      b_.anchor = l;
      b_.has_anchor = true;
    }
  }

  std::vector<Var> make_vars(const ir::Type& t) const {
    static const char* names[] = {"d0", "d1", "d2", "d3", "d4", "d5"};
    std::vector<Var> v;
    for (int i = 0; i < t.rank(); ++i) v.push_back(Var(names[i]));
    if (t.batched && !is_ingest()) v.push_back(Var("n"));
    return v;
  }

  void make_output() {
    const ir::Node& last = g_.nodes[k_.nodes.back()];
    b_.vars = make_vars(g_.type(k_.output_values[0]));
    std::vector<Expr> at(b_.vars.begin(), b_.vars.end());
    b_.out = Func("out");
    if (tuple_.defined()) {
      std::vector<Expr> parts;
      for (size_t i = 0; i < last.results.size(); ++i) parts.push_back(Halide::FuncRef(tuple_(at))[static_cast<int>(i)]);
      b_.out(b_.vars) = Halide::Tuple(parts);
    } else if (k_.output_values.size() > 1) {
      std::vector<Expr> parts;
      for (ValueId v : k_.output_values) parts.push_back(value_.at(v)(at));
      b_.out(b_.vars) = Halide::Tuple(parts);
    } else {
      b_.out(b_.vars) = value_.at(k_.output_values[0])(at);
    }
    auto buffers = b_.out.output_buffers();
    for (size_t i = 0; i < buffers.size(); ++i) {
      const schedule::Buffer& buffer = p_.buffers[k_.outputs[i]];
      auto strides = strides_of(buffer);
      for (int d = 0; d < static_cast<int>(b_.vars.size()); ++d) {
        if (i > 0) {}  // the same extents as the first's, by Halide's rule
        else if (d == buffer.type.rank()) buffers[i].dim(d).set_min(0);
        else buffers[i].dim(d).set_bounds(0, static_cast<int>(buffer.type.dims[buffer.type.rank() - 1 - d]));
        if (strides[d] <= 0x7fffffff) buffers[i].dim(d).set_stride(static_cast<int>(strides[d]));
      }
      if (!b_.batch.defined() && buffer.type.batched && !is_ingest()) b_.batch = buffers[i].dim(buffer.type.rank()).extent();
    }
  }

  const schedule::Plan& p_;
  const ir::Graph& g_;
  const schedule::Kernel& k_;
  Built b_;
  std::map<ValueId, Func> value_;
  std::vector<Expr> extents_;
  Func tuple_;
  ir::NodeId tuple_node_ = ir::kNone;
};

}  // namespace

Built build(const schedule::Plan& p, const schedule::Kernel& k) { return Builder(p, k).run(); }

}  // namespace netc::lower
