#include "compiler/nests/loops.h"
#include "compiler/nests/table.h"

namespace netc::nests {
namespace {

struct Numbers {
  int64_t elements = 0;  // of a transformed tile, which are computed together, from taps that are read once
  static constexpr Number<Numbers> kNumbers[] = {{"elements", &Numbers::elements, true}};
};

class Blocks final : public NestOf<Numbers> {
  const char* name() const override { return "blocks"; }
  const char* doc() const override { return "weights into blocks"; }
  Share share() const override { return {0.1, 0.5}; }
  bool fits(const Site& at) const override { return at.out().block > 0; }
  Numbers numbers(const Site& at, int& lanes) const override {
    lanes = lanes_for(at.out().block, at.m.vector_floats, 1, true).first;
    const bool transformed = at.anchored() && at.node().op->made_of<ir::TransformedWeights>(at.node().attrs);
    return {transformed ? at.result().dims[0] : 0};
  }
  void loop(Loops& l, const Numbers& n) const override {
    const std::vector<Var>& v = l.b.vars;
    Func o = l.b.out;
    if (n.elements > 1) o.reorder({v[0], v[2], v[1], v[3]}).unroll(v[2]);
    const bool pairs = l.out.pair_dim >= 0;
    if (pairs) o.unroll(v[0]);
    o.vectorize(v[pairs ? 1 : 0], l.s.vector).parallel(v.back());
    l.stage_padding(o, Var::outermost());
  }
};

}  // namespace

const Nest& blocks() {
  static const Blocks nest;
  return nest;
}

}  // namespace netc::nests
