// What a nest is written with: its numbers as a struct, and a table that says how they are written.
#pragma once
#include <functional>
#include <stdexcept>

#include <fmt/format.h>

#include "compiler/nests/nest.h"

namespace netc::nests {

/// A number of `Numbers`: how it is written, and where it is. `optional`: it is written only where it is not 0.
template <class Numbers>
struct Number {
  const char* name;
  int64_t Numbers::* at;
  bool optional = false;
};

/// Collects what a nest's numbers may be.
template <class Numbers>
class Variations {
 public:
  const Site& site;
  const int lanes;
  const Numbers n;  // as they are

  Variations(const Site& at, const Strategy& s, const Numbers& numbers)
      : site(at),
        lanes(s.vector),
        n(numbers),
        s_(s) {}

  static bool power(int64_t v) { return (v & (v - 1)) == 0; }
  /// `held` vectors times `rows` of sums leave room for what they are made of.
  bool in_registers(int64_t held, int64_t rows) const {
    const int64_t each = (lanes + site.m.vector_floats - 1) / site.m.vector_floats;
    return held * rows * each + std::min(held, rows) * each + 1 <= site.m.vector_registers;
  }
  /// A number may be what fits, from `from` to `to`.
  void add(int64_t Numbers::* number, int64_t from, int64_t to, const std::function<bool(int64_t)>& fits = {}) {
    Choice c{name_of(number), {}};
    for (int64_t v = from; v <= to; ++v)
      if (!fits || fits(v)) c.values.push_back(v);
    keep(std::move(c));
  }
  /// Pieces of which 1, 2, 3, ... make `extent`, each a multiple of `unit`.
  void pieces(int64_t Numbers::* number, int64_t extent, int64_t unit = 1) {
    constexpr int64_t kMostTasks = 64;
    Choice c{name_of(number), {extent}};
    for (int64_t t = 2; t <= std::min(extent, kMostTasks); ++t)
      if (const int64_t piece = ((extent + t - 1) / t + unit - 1) / unit * unit; piece < extent)
        c.values.push_back(piece);
    keep(std::move(c));
  }
  void samples(int64_t Numbers::* number) {
    constexpr int64_t kMostSamples = 64;
    add(number, 1, kMostSamples, power);
  }
  /// A sample is split into rows, or samples go together.
  void tasks(int64_t Numbers::* rows, int64_t Numbers::* of_samples) {
    const ir::Type& t = site.out().type;
    if (t.rank() < 2 || site.out().planar) return t.batched ? samples(of_samples) : void();
    pieces(rows, t.dims[0]);
    if (t.batched && n.*rows >= t.dims[0]) samples(of_samples);
  }

  std::vector<Choice> found;

 private:
  static const char* name_of(int64_t Numbers::* number) {
    for (const auto& field : Numbers::kNumbers)
      if (field.at == number) return field.name;
    return "";
  }
  void keep(Choice c) {
    const auto has = [&](const auto& number) { return number.first == c.number; };
    if (c.values.empty() || std::none_of(s_.numbers.begin(), s_.numbers.end(), has)) return;
    std::sort(c.values.begin(), c.values.end());
    c.values.erase(std::unique(c.values.begin(), c.values.end()), c.values.end());
    found.push_back(std::move(c));
  }

  const Strategy& s_;
};

/// A nest whose numbers are `Numbers`, with a table `kNumbers` of Number<Numbers> in the order in which they are
/// written. Every number that is not optional has to be there, and no other.
template <class Numbers>
class NestOf : public Nest {
 public:
  Strategy choose(const Site& site) const final {
    Strategy s{.name = name(), .vector = site.m.vector_floats, .numbers = {}};
    write(numbers(site, s.vector), s);
    return s;
  }
  std::string refuse(const Strategy& s) const final {
    for (const auto& [number, value] : s.numbers)
      if (!field(number)) return fmt::format("{} has no number {}", name(), number);
    for (const Number<Numbers>& f : Numbers::kNumbers)
      if (!f.optional && !at(s, f.name)) return fmt::format("{} lacks {}", name(), f.name);
    return "";
  }
  std::vector<Choice> choices(const Site& site, const Strategy& s) const final {
    Variations<Numbers> v(site, s, read(s));
    vary(v);
    return std::move(v.found);
  }
  double held(const Strategy& s) const final { return static_cast<double>(sums(read(s))); }
  double products(const Strategy& s) const final { return products_at_once(read(s)); }
  ir::Demands demands(const Site& site, const Strategy& s) const final { return asks(site, s.vector, read(s)); }
  StepRows in_step(const Strategy& s) const final { return {rows_in_step(read(s))}; }
  void set_step(Strategy& s, int64_t all, int64_t rows) const final {
    Numbers n = read(s);
    step_by(n, all, rows);
    s.numbers.clear();
    write(n, s);
  }
  void apply(Loops& loops) const final { loop(loops, read(strategy_of(loops))); }

 protected:
  /// The numbers for a machine. `lanes` is the machine's widest vector, for the nest to change.
  virtual Numbers numbers(const Site&, int& lanes) const = 0;
  virtual void vary(Variations<Numbers>&) const {}
  virtual int64_t sums(const Numbers&) const { return 1; }
  virtual int products_at_once(const Numbers&) const { return 1; }
  virtual ir::Demands asks(const Site&, int, const Numbers&) const { return {}; }
  virtual int64_t rows_in_step(const Numbers&) const { return 0; }
  virtual void step_by(Numbers&, int64_t, int64_t) const {}
  virtual void loop(Loops&, const Numbers&) const = 0;

 private:
  static const Number<Numbers>* field(const std::string& number) {
    for (const Number<Numbers>& f : Numbers::kNumbers)
      if (number == f.name) return &f;
    return nullptr;
  }
  static const int64_t* at(const Strategy& s, const std::string& number) {
    for (const auto& [name, value] : s.numbers)
      if (name == number) return &value;
    return nullptr;
  }
  static void write(const Numbers& n, Strategy& s) {
    for (const Number<Numbers>& f : Numbers::kNumbers)
      if (!f.optional || n.*f.at != 0) s.numbers.push_back({f.name, n.*f.at});
  }
  Numbers read(const Strategy& s) const {
    if (const std::string why = refuse(s); !why.empty()) throw std::logic_error("a strategy that is none: " + why);
    Numbers n;
    for (const Number<Numbers>& f : Numbers::kNumbers) {
      const int64_t* value = at(s, f.name);
      n.*f.at = value ? *value : 0;
    }
    return n;
  }
};

}  // namespace netc::nests
