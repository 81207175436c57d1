// Rows: what lies along the first dim of a sample, the steps of a sequence or the gates of a cell. Taking some and
// joining them are each other's gradients.
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

bool has_rows(const Type& t) { return t.dtype == DType::f32 && t.rank() >= 1 && !t.has_any_extent(); }

/// The elements of one row.
int64_t row_size(const Type& t) { return t.dims[0] == 0 ? 0 : t.elements() / t.dims[0]; }

/// Without the attribute `count`, one row is meant, and its dim is not there.
bool single(const Attrs& a) { return !a.has("count"); }
int64_t count_of(const Attrs& a) { return single(a) ? 1 : a.i("count"); }

/// (c, x, ..., row, n): the coordinates of the same element in row `row` of t. `v` are those of a tensor with t's dims,
/// or with one dim less.
Exprs in_row(const Type& t, const std::vector<Var>& v, const Expr& row) {
  Exprs at(v.begin(), v.begin() + (t.rank() - 1));
  at.push_back(row);
  if (t.batched) at.push_back(v.back());
  return at;
}

/// The place of row `row` of sample `n`: t's elements in the reference.
int64_t offset(const Type& t, int64_t n, int64_t row) { return (n * t.dims[0] + row) * row_size(t); }

OpDef take_rows() {
  OpDef d;
  d.name = "take_rows";
  d.doc =
      "Rows `from` to `from` + `count` along the first dimension: y[i, ...] = x[from + i, ...]; without `count`, row "
      "`from` alone: y[...] = x[from, ...].";
  d.kind = Kind::gather;
  d.cost = per_element(0);
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    const int64_t from = a.i("from"), count = count_of(a);
    if (!has_rows(in[0]) || from < 0 || count < 1 || from + count > in[0].dims[0]) {
      error = fmt::format("take_rows cannot take rows {} to {} of {}", from, from + count, to_string(in[0]));
      return false;
    }
    out = {in[0]};
    if (single(a)) out[0].dims.erase(out[0].dims.begin());
    else out[0].dims[0] = count;
    return true;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const Type& x = ctx.in_type(0);
    const int from = static_cast<int>(ctx.node.attrs.i("from"));
    const std::vector<Var> v = vars_of(ctx.out_type());
    Func y("take_rows");
    y(v) = ctx.in[0](in_row(x, v, single(ctx.node.attrs) ? Expr(from) : v[x.rank() - 1] + from));
    return Lowered{{y}};
  };
  d.reference = [](const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
    const Type& x = g.type(n.inputs[0]);
    RefTensor y = ref_zeros(g.type(n.results[0]), batch);
    const int64_t size = row_size(x) * count_of(n.attrs);
    for (int64_t i = 0; i < static_cast<int64_t>(y.data.size()); ++i)
      y.data[i] = in[0].data[offset(x, i / size, n.attrs.i("from")) + i % size];
    return Tensors{y};
  };
  d.gradient = [](const GradContext& g) {
    Attrs a = g.n().attrs;
    a.set("rows", g.graph.type(g.in(0)).dims[0]);
    return std::vector<ValueId>{g.emit("take_rows_grad", {g.grads_out[0]}, a)};
  };
  return d;
}

OpDef take_rows_grad() {
  OpDef d;
  d.name = "take_rows_grad";
  d.doc = "Gradient of take_rows: dy where it was taken from, in `rows` rows of zeros.";
  d.kind = Kind::gather;
  d.no_gradient = kNoSecond;
  d.cost = per_element(0);
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    const int64_t from = a.i("from"), rows = a.i("rows"), count = count_of(a);
    const bool fits = in[0].dtype == DType::f32 && !in[0].has_any_extent() &&
                      (single(a) || (in[0].rank() >= 1 && in[0].dims[0] == count));
    if (!fits || from < 0 || count < 1 || from + count > rows) {
      error = fmt::format("take_rows_grad cannot put {} at rows {} to {} of {}", to_string(in[0]), from, from + count,
                          rows);
      return false;
    }
    out = {in[0]};
    if (single(a)) out[0].dims.insert(out[0].dims.begin(), rows);
    else out[0].dims[0] = rows;
    return true;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const Type& dx = ctx.out_type();
    const Attrs& a = ctx.node.attrs;
    const int from = static_cast<int>(a.i("from")), count = static_cast<int>(count_of(a));
    const std::vector<Var> v = vars_of(dx);
    const Expr row = v[dx.rank() - 1];
    Exprs at = in_row(dx, v, clamp(row - from, 0, count - 1));
    if (single(a)) at.erase(at.begin() + dx.rank() - 1);
    Func y("take_rows_grad");
    y(v) = select(row >= from && row < from + count, ctx.in[0](at), 0.0f);
    return Lowered{{y}};
  };
  d.reference = [](const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
    const Type& x = g.type(n.results[0]);
    RefTensor y = ref_zeros(x, batch);
    const int64_t size = row_size(x) * count_of(n.attrs);
    for (int64_t i = 0; i < static_cast<int64_t>(in[0].data.size()); ++i)
      y.data[offset(x, i / size, n.attrs.i("from")) + i % size] = in[0].data[i];
    return Tensors{y};
  };
  return d;
}

OpDef join_rows() {
  OpDef d;
  d.name = "join_rows";
  d.doc = "The rows of a, then those of b; rows of an operand without a batch are the same for each sample.";
  d.kind = Kind::gather;
  d.inputs = 2;
  d.cost = per_element(0);
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (!has_rows(in[0]) || !has_rows(in[1]) ||
        !std::equal(in[0].dims.begin() + 1, in[0].dims.end(), in[1].dims.begin() + 1, in[1].dims.end())) {
      error = fmt::format("join_rows needs f32[R, ...] and f32[S, ...] of one kind of rows, not {}", list_types(in));
      return false;
    }
    out = {in[0]};
    out[0].batched = in[0].batched || in[1].batched;
    out[0].dims[0] += in[1].dims[0];
    return true;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const Type &a = ctx.in_type(0), &b = ctx.in_type(1);
    const int first = static_cast<int>(a.dims[0]), second = static_cast<int>(b.dims[0]);
    const std::vector<Var> v = vars_of(ctx.out_type());
    const Expr row = v[a.rank() - 1];
    const Expr of_a = ctx.in[0](in_row(a, v, clamp(row, 0, first - 1))),
               of_b = ctx.in[1](in_row(b, v, clamp(row - first, 0, second - 1)));
    Func y("join_rows");
    y(v) = select(row < first, of_a, of_b);
    return Lowered{{y}};
  };
  d.reference = [](const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
    const Type& t = g.type(n.results[0]);
    RefTensor y = ref_zeros(t, batch);
    const int64_t size = row_size(t) * t.dims[0];
    for (int64_t i = 0; i < static_cast<int64_t>(y.data.size()); ++i) {
      const int64_t first = row_size(t) * g.type(n.inputs[0]).dims[0];
      const int operand = i % size < first ? 0 : 1;
      const Type& x = g.type(n.inputs[operand]);
      y.data[i] = in[operand].data[offset(x, x.batched ? i / size : 0, 0) + i % size - (operand == 0 ? 0 : first)];
    }
    return Tensors{y};
  };
  d.gradient = [](const GradContext& g) {
    std::vector<ValueId> r(2, kNone);
    int64_t from = 0;
    for (int i = 0; i < 2; ++i) {
      const Type t = g.graph.type(g.in(i));
      if (g.wanted[i])
        r[i] = reduce_to(g, g.emit("take_rows", {g.grads_out[0]}, {{"from", from}, {"count", t.dims[0]}}), t);
      from += t.dims[0];
    }
    return r;
  };
  return d;
}

}  // namespace

void add_rows(Registry& r) {
  static const OpDef ops[] = {take_rows(), take_rows_grad(), join_rows()};
  for (const OpDef& op : ops) r.ops.ops.push_back(&op);
}

}  // namespace netc::ops
