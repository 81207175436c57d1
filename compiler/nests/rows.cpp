#include "compiler/nests/loops.h"
#include "compiler/nests/table.h"

namespace netc::nests {
namespace {

struct Numbers {
  int64_t task_rows = 1, task_samples = 1;
  static constexpr Number<Numbers> kNumbers[] = {{"task_rows", &Numbers::task_rows},
                                                 {"task_samples", &Numbers::task_samples}};
};

/// Names that ops::vars_of gives the coordinates of the result.
std::vector<std::string> coordinate_names(int rank) {
  static const char* const all[] = {"c", "x", "y", "z", "v"};
  std::vector<std::string> names(all, all + std::min(rank, 5));
  names.push_back("n");
  return names;
}

bool is_suffix(Func f, const std::vector<std::string>& names) {
  const auto args = f.args();
  if (args.size() > names.size()) return false;
  for (size_t i = 0; i < args.size(); ++i)
    if (args[i].name() != names[names.size() - args.size() + i]) return false;
  return true;
}

// Lanes along the result where it has the operand's innermost dim, else along the row, whose partial results are joined
// at the end.
void fold(Loops& l, Func f, VarOrRVar level) {
  if (!f.has_update_definition()) return;
  const auto args = f.args();
  const auto r = f.rvars(0);
  const int64_t innermost = l.result().rank() ? l.result().dims.back() : 1;
  if (!args.empty() && args[0].name() == "c" && f.dimensions() > 1 && innermost > 1) {
    f.vectorize(args[0], l.lanes_of(f), TailStrategy::GuardWithIf)
        .update()
        .reorder(inner_to_reduction(f, {args[0]}))
        .vectorize(args[0], l.lanes_of(f), TailStrategy::GuardWithIf);
    return;
  }
  Expr value = f.update_value();
  while (const auto* let = value.as<Halide::Internal::Let>()) value = let->body;  // Halide names what occurs twice
  const bool joins = f.outputs() == 1 && (value.as<Halide::Internal::Add>() || value.as<Halide::Internal::Max>());
  if (!joins || r.empty()) return;
  const ir::Type& in = l.operand(0);
  if (in.rank() == 0) return;
  const int64_t row = in.dims.back(), plane = in.rank() > 1 ? row * in.dims[in.rank() - 2] : 0;
  if (row >= l.s.vector) {
    l.lanes_along_row(f, r[0]).compute_at(l.b.out, Var(level.name()));
  } else if (plane >= l.s.vector && r.size() > 1) {  // few channels: along rows of pixels
    RVar pixels("pixels");
    f.update().fuse(r[0], r[1], pixels);
    l.lanes_along_row(f, pixels).compute_at(l.b.out, Var(level.name()));
  }
}

class Rows final : public NestOf<Numbers> {
  const char* name() const override { return "rows"; }
  const char* doc() const override {
    return "folds of a sample (softmax, layer norm, a mean over axes), each computed for the row that needs it; lanes "
           "along the row or the result";
  }
  Share share() const override { return {0.2, 1.5}; }
  bool fits(const Site& at) const override { return at.is(ir::Kind::reduction) && at.result().batched; }

  Numbers numbers(const Site& at, int&) const override {
    const ir::Type &o = at.result(), &in = at.operand(0);
    const double elements = static_cast<double>(in.has_any_extent() ? 1 : in.elements());
    const Tasks tasks = at.tasks(o.rank() ? o.dims[0] : 1, std::max(at.flops(), elements), kGrainElements);
    return {tasks.rows, tasks.samples};
  }
  void vary(Variations<Numbers>& v) const override { v.tasks(&Numbers::task_rows, &Numbers::task_samples); }

  // A fold over rows is computed for the row that reads it; one of another shape (a group of channels) for the sample.
  void loop(Loops& l, const Numbers& n) const override {
    const int rank = l.out.type.rank();
    const Func anchor = l.b.anchor.anchor;
    std::vector<Func> folds = l.b.anchor.folds;
    const bool listed = std::any_of(folds.begin(), folds.end(), [&](Func f) { return f.name() == anchor.name(); });
    if (!listed && anchor.defined() && anchor.has_update_definition()) folds.push_back(anchor);
    const std::vector<std::string> names = coordinate_names(rank);
    bool by_row = rank >= 2;  // every fold is known inside one slice of the outermost dim
    for (Func f : folds) by_row = by_row && is_suffix(f, names) && f.dimensions() > 1;
    Stage st(l.b.out);
    const int lanes = rank ? std::min(l.s.vector, l.extent(0)) : 1;
    if (rank) st.split(l.b.vars[0], l.co, l.ci, lanes, l.last).vectorize(l.ci);
    std::optional<Var> outer;
    if (by_row) outer = l.b.vars[rank - 1];
    const VarOrRVar sample = l.tasks(st, outer, {n.task_rows, n.task_samples}, l.last);
    const bool sliced = sample.name() == l.task.name();
    for (Func f : folds) {
      VarOrRVar level = sample;
      const int missing = rank + 1 - f.dimensions();  // innermost dims that are folded away
      if (is_suffix(f, names)) {
        if (missing <= 0) level = rank ? VarOrRVar(l.co) : sample;
        else if (missing < rank) level = sliced && missing == rank - 1 ? VarOrRVar(l.yi) : VarOrRVar(l.b.vars[missing]);
      }
      f.compute_at(l.b.out, Var(level.name()));
      fold(l, f, level);
    }
  }
};

}  // namespace

const Nest& rows() {
  static const Rows nest;
  return nest;
}

}  // namespace netc::nests
