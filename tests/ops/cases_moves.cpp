// Operators that put elements elsewhere: ranks 1 to 4, extents of one, and that are no multiple of a vector.
#include "tests/ops/cases.h"

namespace netc::test {

using namespace ir;
using Ints = std::vector<int64_t>;

namespace {

Type batched(Ints d) { return {DType::f32, true, std::move(d)}; }
Type fixed(Ints d) { return {DType::f32, false, std::move(d)}; }

void slices(std::vector<Case>& c) {
  struct Shape {
    Ints dims, begin, extent, step;
  };
  for (const Shape& s : {Shape{{7}, {2}, {3}, {1}},
                         {{9}, {1}, {3}, {3}},
                         {{1}, {0}, {1}, {1}},
                         {{5, 7}, {0, 2}, {5, 5}, {1, 1}},
                         {{6, 5, 3}, {1, 0, 1}, {4, 5, 2}, {1, 1, 1}},
                         {{6, 5, 9}, {1, 0, 0}, {3, 2, 9}, {2, 4, 1}},
                         {{2, 3, 4, 5}, {1, 0, 2, 0}, {1, 3, 2, 5}, {1, 1, 1, 1}},
                         {{3, 2, 4, 5}, {0, 1, 0, 1}, {2, 1, 2, 2}, {2, 1, 3, 2}}}) {
    c.push_back({"slice", {batched(s.dims)}, {{"begin", s.begin}, {"extent", s.extent}, {"step", s.step}}});
    c.push_back({"slice_grad", {batched(s.extent)}, {{"begin", s.begin}, {"dims", s.dims}, {"step", s.step}}});
  }
  c.push_back({"slice", {fixed({4, 3})}, {{"begin", Ints{1, 0}}, {"extent", Ints{2, 3}}, {"step", Ints{1, 1}}}});
  c.push_back({"slice",
               {Type{DType::u8, true, {5, 4, 3}}},
               {{"begin", Ints{1, 1, 0}}, {"extent", Ints{3, 2, 3}}, {"step", Ints{1, 1, 1}}},
               {Fill::byte}});
  const std::vector<Ints> any = {{3, 4, 3}, {9, 2, 3}, {1, 1, 3}, {17, 23, 3}, {5, 8, 3}};
  const Attrs crop = {{"height", int64_t{5}}, {"width", int64_t{8}}};
  c.push_back({"crop", {Type{DType::u8, true, {kAnyExtent, kAnyExtent, 3}}}, crop, {Fill::byte}, 1, any});
  c.push_back({"crop", {batched({kAnyExtent, 9, 3})}, crop, {}, 1, {{4, 9, 3}, {8, 9, 3}}});
  c.push_back({"crop", {batched({7, 9, 1})}, crop});
}

void joins(std::vector<Case>& c) {
  c.push_back({"concat", {batched({5})}, {{"axis", int64_t{0}}}});
  c.push_back({"concat", {batched({5}), batched({1}), batched({2})}, {{"axis", int64_t{0}}}});
  c.push_back({"concat", {batched({16}), batched({32})}, {{"axis", int64_t{0}}}});
  c.push_back({"concat", {batched({4, 3}), batched({2, 3})}, {{"axis", int64_t{0}}}});
  c.push_back({"concat", {batched({3, 5, 6}), batched({3, 5, 9}), batched({3, 5, 3})}, {{"axis", int64_t{2}}}});
  c.push_back({"concat", {batched({3, 5, 2}), batched({3, 1, 2})}, {{"axis", int64_t{1}}}});
  c.push_back({"concat", {batched({2, 3, 1, 4}), batched({2, 3, 2, 4})}, {{"axis", int64_t{2}}}});
  c.push_back({"concat", {fixed({3, 2}), fixed({3, 7})}, {{"axis", int64_t{1}}}});
  struct Shape {
    Ints dims, order;
  };
  for (const Shape& s : {Shape{{5}, {0}},
                         {{5, 3}, {1, 0}},
                         {{4, 3, 5}, {2, 0, 1}},
                         {{1, 7, 2}, {1, 0, 2}},
                         {{2, 3, 4, 5}, {3, 1, 0, 2}},
                         {{3, 2, 5, 9}, {0, 2, 1, 3}}})
    c.push_back({"permute", {batched(s.dims)}, {{"order", s.order}}});
  c.push_back({"permute", {fixed({3, 4})}, {{"order", Ints{1, 0}}}});
}

void repeats(std::vector<Case>& c) {
  struct Shape {
    Ints dims, factors;
  };
  for (const Shape& s : {Shape{{5}, {3}},
                         {{1}, {7}},
                         {{3, 5, 2}, {2, 2, 1}},
                         {{1, 1, 9}, {3, 5, 1}},
                         {{1, 1, 3}, {5, 4, 1}},
                         {{2, 4}, {1, 3}},
                         {{2, 1, 3, 1}, {1, 2, 2, 9}}}) {
    Ints all = s.dims;
    for (size_t i = 0; i < all.size(); ++i) all[i] *= s.factors[i];
    c.push_back({"repeat", {batched(s.dims)}, {{"factors", s.factors}}});
    c.push_back({"block_sum", {batched(all)}, {{"factors", s.factors}}});
  }
  c.push_back({"repeat", {fixed({1, 3})}, {{"factors", Ints{4, 1}}}});
  for (const Ints& d : {Ints{7}, {1, 5}, {2, 3, 4}}) c.push_back({"to_batch", {fixed(d), batched({3, 2})}});
}

void pads(std::vector<Case>& c) {
  struct Shape {
    Ints dims, before, after;
  };
  for (const Shape& s : {Shape{{5}, {2}, {0}},
                         {{3}, {2}, {2}},
                         {{1, 7}, {0, 3}, {0, 4}},
                         {{4, 5, 3}, {1, 2, 0}, {3, 1, 0}},
                         {{2, 2, 9}, {1, 1, 0}, {1, 1, 0}},
                         {{2, 3, 4, 5}, {1, 0, 2, 1}, {0, 1, 0, 3}}}) {
    for (const char* mode : {"zero", "reflect", "edge"}) {
      c.push_back({"pad", {batched(s.dims)}, {{"before", s.before}, {"after", s.after}, {"mode", std::string(mode)}}});
      for (size_t i = 0; i < s.dims.size() && mode != std::string("zero"); ++i) {
        if (s.before[i] + s.after[i] == 0) continue;
        Ints padded = s.dims;
        padded[i] += s.before[i] + s.after[i];
        const Attrs along = {{"axis", static_cast<int64_t>(i)},
                             {"before", s.before[i]},
                             {"after", s.after[i]},
                             {"mode", std::string(mode)}};
        c.push_back({"pad_grad", {batched(padded)}, along});
      }
    }
  }
  const Attrs wide = {{"before", Ints{20, 0}}, {"after", Ints{3, 5}}, {"mode", std::string("edge")}};
  c.push_back({"pad", {batched({1, 3})}, wide});
  c.push_back({"pad_grad",
               {batched({24, 3})},
               {{"axis", int64_t{0}}, {"before", int64_t{20}}, {"after", int64_t{3}}, {"mode", std::string("edge")}}});
}

void interpolations(std::vector<Case>& c) {
  struct Shape {
    Ints from, to;
  };
  for (const Shape& s : {Shape{{5}, {9}},
                         {{1}, {4}},
                         {{4, 5, 3}, {8, 10, 3}},
                         {{7, 6, 2}, {3, 6, 2}},
                         {{3, 3, 1}, {7, 2, 1}},
                         {{9, 8, 9}, {2, 3, 9}},
                         {{1, 1, 2}, {3, 5, 2}},
                         {{2, 3, 2, 3}, {4, 3, 5, 3}},
                         {{2}, {19}}}) {
    c.push_back({"interpolate", {batched(s.from)}, {{"dims", s.to}}});
    for (size_t i = 0; i < s.from.size(); ++i)
      if (s.from[i] != s.to[i])
        c.push_back({"interpolate_grad", {batched(s.to)}, {{"axis", static_cast<int64_t>(i)}, {"extent", s.from[i]}}});
  }
  c.push_back({"interpolate", {fixed({3, 2})}, {{"dims", Ints{3, 5}}}});
}

}  // namespace

void move_cases(std::vector<Case>& c) {
  slices(c);
  joins(c);
  repeats(c);
  pads(c);
  interpolations(c);
}

}  // namespace netc::test
