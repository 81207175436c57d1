#include "compiler/nests/loops.h"
#include "compiler/nests/table.h"

namespace netc::nests {
namespace {

struct Numbers {
  int64_t vectors = 1, score_vectors = 1, rows = 1;  // of a tile: of the result, of the scores
  static constexpr Number<Numbers> kNumbers[] = {
      {"vectors", &Numbers::vectors}, {"score_vectors", &Numbers::score_vectors}, {"rows", &Numbers::rows}};
};

class Attention final : public NestOf<Numbers> {
  const char* name() const override { return "attention"; }
  const char* doc() const override {
    return "y[n, t, h, u], products with a softmax between them: a head is a task, whose rows go through all of it "
           "tile "
           "by tile";
  }
  Share share() const override { return {0.65, 1}; }
  bool fits(const Site& at) const override {
    return at.is(ir::Kind::contraction) && at.node().op->made_of<ir::AttentionHeads>(at.node().attrs);
  }

  Numbers numbers(const Site& at, int& lanes) const override {
    const ir::Type& y = at.result();
    const int64_t value = y.dims[1] / heads(at.node()), places = at.operand(1).dims[0];
    lanes = lanes_for(value, at.m.vector_floats, 1, true).first;
    const int64_t vectors = largest_divisor(value / lanes, 4);
    const int64_t of_scores = std::min<int64_t>(4, (places + lanes - 1) / lanes);
    return {vectors, of_scores, rows_for(y.dims[0], at.accumulators() / std::max(vectors, of_scores))};
  }
  void vary(Variations<Numbers>& v) const override {
    const int64_t held = std::max(v.n.vectors, v.n.score_vectors);
    v.add(&Numbers::rows, 1, std::min<int64_t>(12, v.site.result().dims[0]),
          [&](int64_t x) { return v.in_registers(held, x); });
  }
  int64_t sums(const Numbers& n) const override { return n.vectors * n.rows; }
  ir::Demands asks(const Site&, int lanes, const Numbers&) const override { return {.row_multiple = lanes}; }

  // A head's keys, transposed, and values are copied. For a tile of rows: scores, in registers tile by tile; their
  // folds; then the product.
  void loop(Loops& l, const Numbers& n) const override {
    Func acc = l.b.anchor.anchor, o = l.b.out;
    auto [keys, values, sums, scores, maximum, share, total] = l.parts<halide::AttentionParts>();
    Var c = l.b.vars[0], head("head"), so("so"), si("si");
    const int lanes = l.s.vector;
    Stage(o)
        .split(c, head, c, l.extent(0) / static_cast<int>(heads(l.node())))
        .split(c, l.co, l.ci, static_cast<int>(lanes * n.vectors))
        .split(l.b.vars[1], l.xo, l.xi, static_cast<int>(n.rows), TailStrategy::ShiftInwards)
        .reorder({l.ci, l.xi, l.co, l.xo, head, l.n()})
        .vectorize(l.ci, lanes)
        .unroll(l.xi)
        .fuse(head, l.n(), l.task)
        .parallel(l.task);
    keys.compute_at(o, l.task);
    l.transpose(keys);
    values.compute_at(o, l.task).vectorize(values.args()[0], lanes);
    const auto a = acc.args(), w = sums.args(), q = scores.args(), e = share.args();
    acc.compute_at(o, l.co).vectorize(a[0], lanes).unroll(a[0]).unroll(a[1]);
    l.accumulate(acc, {a[0], a[1]});
    scores.compute_at(o, l.xo)
        .split(q[0], so, si, static_cast<int>(lanes * n.score_vectors), TailStrategy::ShiftInwards)
        .reorder({si, q[1], so, q[2]})
        .vectorize(si, lanes)
        .unroll(si)
        .unroll(q[1]);
    sums.compute_at(scores, so).vectorize(w[0], lanes).unroll(w[0]).unroll(w[1]);
    l.accumulate(sums, {w[0], w[1]});
    share.compute_at(o, l.xo).vectorize(e[0], lanes);
    for (Func fold : {maximum, total}) {
      fold.compute_at(o, l.xo);
      l.lanes_along_row(fold, fold.rvars(0)[0]).compute_at(fold, fold.args()[0]);
    }
  }

  static int64_t heads(const ir::Node& node) { return node.op->made_of<ir::AttentionHeads>(node.attrs)->heads; }
};

}  // namespace

const Nest& attention() {
  static const Attention nest;
  return nest;
}

}  // namespace netc::nests
