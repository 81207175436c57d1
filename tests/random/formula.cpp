#include "tests/random/formula.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "compiler/ir/interpret.h"
#include "compiler/ops/ops.h"

namespace netc::random {

using namespace ir;

namespace {

/// What the interpreter tells of a function.
struct Traits {
  const FunctionDef* def = nullptr;
  std::vector<bool> positive;  // operands that must be above 0
  bool bounded = false, never_negative = false;
  bool infix() const { return !std::isalpha(static_cast<unsigned char>(def->name[0])); }
};

/// Values of f where operand `at` has these numbers and the others 0.7.
std::vector<double> values(const FunctionDef& f, int at, const std::vector<double>& numbers) {
  Graph g;
  std::vector<ValueId> in;
  std::map<std::string, RefTensor> contents;
  const int64_t n = static_cast<int64_t>(numbers.size());
  for (int i = 0; i < f.min_args; ++i) {
    Variable v;
    v.name = fmt::format("x{}", i), v.role = Role::input;
    in.push_back(g.add_variable(v, Type{DType::f32, true, {n}}));
    contents[v.name] = RefTensor{{1, n}, i == at ? numbers : std::vector<double>(numbers.size(), 0.7)};
  }
  std::string error;
  const ValueId y = f.build(g, ops::registry().ops, in, {}, kNone, error);
  return y == kNone ? std::vector<double>{NAN} : interpret(g, contents, 1)[static_cast<size_t>(y)].data;
}

bool all(const std::vector<double>& v, bool (*holds)(double)) { return std::all_of(v.begin(), v.end(), holds); }

Traits traits_of(const FunctionDef& f) {
  Traits t{&f, {}, false, false};
  if (f.reduces) {
    t.positive = {false};
    return t;
  }
  for (int i = 0; i < f.min_args; ++i)
    t.positive.push_back(!all(values(f, i, {-1.5, -0.3, 0}), [](double x) { return std::isfinite(x); }));
  t.bounded =
      f.min_args == 1 && all(values(f, 0, {-40, -7, -1, 0, 2, 40}), [](double x) { return std::abs(x) <= 1.01; });
  t.never_negative = f.min_args == 1 && all(values(f, 0, {-3, -1, -0.2, 0.3, 2}), [](double x) { return x >= 0; });
  return t;
}

const std::vector<Traits>& functions() {
  static const std::vector<Traits> table = [] {
    std::vector<Traits> out;
    for (const FunctionDef* f : ops::registry().functions) out.push_back(traits_of(*f));
    return out;
  }();
  return table;
}

template <class Which>
const Traits& any(Rng& rng, Which which) {
  std::vector<const Traits*> fit;
  for (const Traits& t : functions())
    if (which(t)) fit.push_back(&t);
  return *rng.pick(fit);
}

struct Term {
  std::string text;
  bool tight = true;
};  // tight: needs no brackets

class Writer {
 public:
  explicit Writer(FormulaSite& site) : s_(site), rng_(site.rng) {}

  Term term(int depth, bool tensor) {
    if (depth <= 0 || (!tensor && rng_.chance(60))) return leaf(tensor);
    const Traits* f = nullptr;
    if (!s_.must.empty()) {
      f = &any(rng_, [&](const Traits& t) { return t.def->name == s_.must; });
      s_.must.clear();
    } else {
      const int64_t kind = rng_.below(100);  // operators, reductions, any
      f = &any(rng_, [&](const Traits& t) { return kind < 35 ? t.infix() : kind < 45 ? t.def->reduces : true; });
    }
    return of(*f, depth);
  }

 private:
  Term leaf(bool tensor) {
    if (tensor)
      return {s_.tensors[used_++ == 0 ? 0 : static_cast<size_t>(rng_.below(static_cast<int64_t>(s_.tensors.size())))]};
    if (!s_.numbers.empty() && rng_.chance(60)) return {rng_.pick(s_.numbers)};
    static const std::vector<double> all = {0.1, 0.25, 0.3, 0.5, 0.7, 1, 1.5, 2, 3};
    if (rng_.chance(10)) return {"-" + number(rng_.pick(all)), false};
    return {number(rng_.pick(all))};
  }

  /// Above 0 wherever its tensors are.
  Term positive(int depth) {
    Term inner = term(depth - 1, true);
    const Traits& f = any(rng_, [](const Traits& t) { return t.never_negative && !t.positive[0]; });
    static const std::vector<double> least = {0.25, 0.5, 1};
    const std::string least_text = number(rng_.pick(least)), call = fmt::format("{}({})", f.def->name, inner.text);
    return {rng_.chance(50) ? fmt::format("{} + {}", call, least_text) : fmt::format("{} + {}", least_text, call),
            false};
  }

  Term of(const Traits& f, int depth) {
    const FunctionDef& def = *f.def;
    if (def.reduces) return {def.name + reduced(term(depth - 1, true).text)};
    int n = def.min_args;
    while (n < def.max_args && n < 4 && rng_.chance(25)) ++n;
    const int64_t reads = rng_.below(n);  // the operand that has a tensor for sure
    std::vector<Term> operands;
    // x ^ 3: whole exponents are for all x.
    const bool power = n == 2 && f.positive[0] && !f.positive[1] && rng_.chance(40);
    for (int i = 0; i < n; ++i) {
      const bool above = f.positive[std::min<size_t>(static_cast<size_t>(i), f.positive.size() - 1)];
      if (power && i == 1) operands.push_back({std::to_string(rng_.between(2, 3))});
      else if (power) operands.push_back(term(depth - 1, true));
      else if (i != reads && rng_.chance(n == 2 ? 55 : 40))
        operands.push_back(above ? Term{number(0.5 + static_cast<double>(rng_.below(4)) / 2)} : leaf(false));
      else operands.push_back(above && rng_.chance(90) ? positive(depth) : term(depth - 1, true));
    }
    if (!f.infix()) {
      std::string text;
      for (const Term& t : operands) text += (text.empty() ? "" : ", ") + t.text;
      return {fmt::format("{}({})", def.name, text)};
    }
    // Sometimes without brackets: another formula, by precedence.
    const auto bracketed = [&](const Term& t) { return t.tight || rng_.chance(15) ? t.text : "(" + t.text + ")"; };
    const std::string a = bracketed(operands[0]), b = bracketed(operands[1]);
    return {fmt::format("{} {} {}", a, def.name, b), false};
  }

  std::string reduced(const std::string& operand) {
    std::vector<std::string> axes;
    for (int k = 0; k < s_.rank; ++k) {
      if (!rng_.chance(60)) continue;
      const int dim = s_.rank - 1 - k;
      axes.push_back(k < 3 && rng_.chance(60) ? kAxisWords[k] : std::to_string(rng_.chance(50) ? dim : dim - s_.rank));
    }
    if (axes.empty()) return fmt::format("({})", operand);
    if (axes.size() == 1) return fmt::format("({}, {})", operand, axes[0]);
    std::string list;
    for (const std::string& a : axes) list += (list.empty() ? "" : ", ") + a;
    return fmt::format("({}, [{}])", operand, list);
  }

  FormulaSite& s_;
  Rng& rng_;
  int used_ = 0;
};

}  // namespace

std::string formula(FormulaSite& site, int depth) { return Writer(site).term(std::max(depth, 1), true).text; }

std::string squashed(Rng& rng, const std::string& tensor) {
  return fmt::format("{}({})", any(rng, [](const Traits& t) { return t.bounded && !t.positive[0]; }).def->name, tensor);
}

}  // namespace netc::random
