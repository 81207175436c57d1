#include "compiler/nests/loops.h"
#include "compiler/nests/table.h"

namespace netc::nests {
namespace {

struct Numbers {
  static constexpr std::array<Number<Numbers>, 0> kNumbers = {};
};

class Ingest final : public NestOf<Numbers> {
  const char* name() const override { return "ingest"; }
  const char* doc() const override { return "one sample of any size, for the data loader; lanes along rows of pixels"; }
  Share share() const override { return {0.2, 1}; }
  bool fits(const Site& at) const override { return at.is(ir::Kind::ingest); }
  Numbers numbers(const Site& at, int& lanes) const override {
    lanes = static_cast<int>(std::min<int64_t>(at.m.vector_floats, at.out().type.dims[1]));
    return {};
  }
  void loop(Loops& l, const Numbers&) const override {
    Stage st(l.b.out);
    const std::vector<Var>& vars = l.b.vars;
    if (l.out.planar) st.reorder({vars[1], vars[2], vars[0]});
    st.vectorize(vars[1], l.s.vector, TailStrategy::ShiftInwards);
    const Halide::ImageParam& image = l.b.params[0];
    if (image.dimensions() >= 3)  // an image that has the size already is copied
      st.specialize(image.dim(1).extent() == l.extent(1) && image.dim(2).extent() == l.extent(2));
    for (Func fold : l.b.anchor.folds) fold.compute_root();
    if (!l.b.anchor.by_row.empty()) l.by_row(vars[2]);
  }
};

}  // namespace

const Nest& ingest() {
  static const Ingest nest;
  return nest;
}

}  // namespace netc::nests
