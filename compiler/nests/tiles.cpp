// Tiles of an image transformed, all elements of one at once, and sums of these transformed back to taps.
#include "compiler/nests/loops.h"
#include "compiler/nests/table.h"

namespace netc::nests {
namespace {

struct Numbers {
  int64_t side = 1;  // of a transformed tile
  static constexpr Number<Numbers> kNumbers[] = {{"side", &Numbers::side}};
};

std::optional<ir::TileTransform> transform(const Site& at) {
  return at.is(ir::Kind::window) ? at.node().op->made_of<ir::TileTransform>(at.node().attrs) : std::nullopt;
}

Numbers choose_side(const Site& at, int& lanes) {
  lanes = lanes_for(at.result().dims.back(), at.m.vector_floats, 1, true).first;
  return {transform(at)->side};
}

class Tiles final : public NestOf<Numbers> {
  const char* name() const override { return "tiles"; }
  const char* doc() const override { return "tiles of an image, transformed: all elements of one at once"; }
  Share share() const override { return {0.3, 1}; }
  bool fits(const Site& at) const override { return transform(at) && at.result().batched; }
  Numbers numbers(const Site& at, int& lanes) const override { return choose_side(at, lanes); }

  void loop(Loops& l, const Numbers& n) const override {
    Func half = l.parts<halide::TileParts>().half, o = l.b.out;
    Var ex("ex"), ey("ey");
    Stage(o)
        .split(l.b.vars[0], l.co, l.ci, l.s.vector)
        .split(l.b.vars[2], ey, ex, static_cast<int>(n.side))
        .reorder({l.ci, ex, ey, l.co, l.b.vars[1], l.n()})
        .vectorize(l.ci)
        .unroll(ex)
        .unroll(ey)
        .parallel(l.n());
    l.stage_padding(o, l.n());
    const auto h = half.args();  // c, ex, i, q, n
    half.compute_at(o, l.co).vectorize(h[0], l.s.vector).unroll(h[1]).unroll(h[2]);
  }
};

class TapsBack final : public NestOf<Numbers> {
  const char* name() const override { return "taps_back"; }
  const char* doc() const override { return "taps of transformed sums: all of a channel at once"; }
  Share share() const override { return {0.3, 0.6}; }
  bool fits(const Site& at) const override { return transform(at) && !at.result().batched; }
  Numbers numbers(const Site& at, int& lanes) const override { return choose_side(at, lanes); }

  void loop(Loops& l, const Numbers&) const override {
    Func half = l.parts<halide::TileParts>().half, o = l.b.out;
    const std::vector<Var>& v = l.b.vars;
    Stage(o)
        .split(v[0], l.co, l.ci, l.s.vector)
        .reorder({l.ci, v[2], v[3], l.co, v[1]})
        .vectorize(l.ci)
        .unroll(v[2])
        .unroll(v[3])
        .parallel(v[1]);
    const auto h = half.args();  // k, c, x, ey
    half.compute_at(o, l.co).vectorize(h[0], l.s.vector).unroll(h[2]).unroll(h[3]);
  }
};

}  // namespace

const Nest& tiles() {
  static const Tiles nest;
  return nest;
}

const Nest& taps_back() {
  static const TapsBack nest;
  return nest;
}

}  // namespace netc::nests
