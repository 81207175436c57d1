#include "compiler/nests/loops.h"
#include "compiler/nests/table.h"

namespace netc::nests {
namespace {

struct Numbers {
  static constexpr std::array<Number<Numbers>, 0> kNumbers = {};
};

class Scatter final : public NestOf<Numbers> {
  const char* name() const override { return "scatter"; }
  const char* doc() const override {
    return "in the order of the batch, so that sums are the same whatever the threads; lanes along the innermost dim";
  }
  Share share() const override { return {0.1, 0.5}; }
  bool fits(const Site& at) const override { return at.is(ir::Kind::scatter); }
  Numbers numbers(const Site& at, int& lanes) const override {
    lanes = static_cast<int>(std::min<int64_t>(at.m.vector_floats, at.result().dims.back()));
    return {};
  }
  void loop(Loops& l, const Numbers&) const override {
    Func acc = l.b.anchor.anchor;
    const Var inner = acc.args()[0];
    acc.compute_root().vectorize(inner, l.s.vector, TailStrategy::GuardWithIf);
    acc.update().reorder(inner_to_reduction(acc, {inner})).vectorize(inner, l.s.vector, TailStrategy::GuardWithIf);
    l.b.out.vectorize(l.b.vars[0], l.s.vector, TailStrategy::GuardWithIf);
  }
};

}  // namespace

const Nest& scatter() {
  static const Scatter nest;
  return nest;
}

}  // namespace netc::nests
