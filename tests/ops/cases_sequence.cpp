// Matrix products over sequences, attention, embeddings, rows.
#include <tuple>

#include "tests/ops/cases.h"

namespace netc::test {

using namespace ir;

namespace {

Type of(std::vector<int64_t> d) { return {DType::f32, true, std::move(d)}; }
Type fixed(std::vector<int64_t> d) { return {DType::f32, false, std::move(d)}; }
Type tokens(std::vector<int64_t> d) { return {DType::i32, true, std::move(d)}; }

std::vector<int64_t> with(std::vector<int64_t> dims, std::initializer_list<int64_t> more) {
  dims.insert(dims.end(), more);
  return dims;
}

void products(std::vector<Case>& c) {
  for (const std::vector<int64_t>& lead : {std::vector<int64_t>{4}, {1}, {3, 2}}) {
    for (const auto& [k, u] : {std::pair<int64_t, int64_t>{7, 5}, {1, 1}, {3, 9}}) {
      c.push_back({"matmul", {of(with(lead, {k})), fixed({k, u})}});
      c.push_back({"matmul_data_grad", {of(with(lead, {u})), fixed({k, u})}});
      c.push_back({"matmul_weight_grad", {of(with(lead, {k})), of(with(lead, {u}))}});
    }
  }
  for (const auto& [t, block, k, u] :
       {std::tuple<int64_t, int64_t, int64_t, int64_t>{5, 16, 6, 64}, {1, 1, 2, 2}, {8, 3, 4, 6}, {25, 32, 64, 192}}) {
    c.push_back({"strassen_weights", {fixed({k, u})}, {{"block", block}, {"turned", false}}});
    c.push_back({"strassen_weights", {fixed({u, k})}, {{"block", block}, {"turned", true}}});
    c.push_back({"strassen_matmul", {of({t, k}), fixed({7, k / 2, u / 2})}, {{"block", block}}});
    c.push_back({"matmul", {of({t, k}), fixed({k, u})}});
    c.push_back({"matmul_data_grad", {of({t, k}), fixed({u, k})}});
  }
  struct Shape {
    std::vector<int64_t> lead;
    int64_t m, k, p;
  };
  for (const Shape& s : {Shape{{}, 3, 5, 9}, {{2}, 7, 3, 5}, {{2, 3}, 2, 1, 4}, {{1}, 1, 1, 1}})
    for (const bool ta : {false, true})
      for (const bool tb : {false, true}) {
        const Type a = of(ta ? with(s.lead, {s.k, s.m}) : with(s.lead, {s.m, s.k})),
                   b = of(tb ? with(s.lead, {s.p, s.k}) : with(s.lead, {s.k, s.p}));
        c.push_back({"batch_matmul", {a, b}, {{"transpose_a", ta}, {"transpose_b", tb}}});
      }
}

void attention(std::vector<Case>& c) {
  struct Shape {
    int64_t heads, t, s, d;
  };
  for (const Shape& s : {Shape{3, 5, 4, 2}, {1, 1, 1, 1}, {2, 7, 7, 9}}) {
    c.push_back({"split_heads", {of({s.t, s.heads * s.d})}, {{"heads", s.heads}}});
    c.push_back({"merge_heads", {of({s.heads, s.t, s.d})}});
    const Type scores = of({s.heads, s.t, s.s});
    c.push_back({"causal_mask", {scores}, {{"value", -2.5}}});
    for (const DType type : {DType::f32, DType::i32, DType::u8}) {
      for (const std::vector<int64_t>& d : {std::vector<int64_t>{s.s}, {s.t, s.s}}) {
        c.push_back({"mask_scores", {scores, Type{type, true, d}}, {{"value", -2.5}}, {Fill::normal, Fill::label}, 2});
      }
    }
    c.push_back({"softmax", {scores}});
    c.push_back({"softmax_grad", {scores, scores}});
  }
  for (const auto& [heads, t, s, key, value] : {std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t>{3, 5, 4, 2, 3},
                                                {1, 1, 1, 1, 1},
                                                {2, 23, 37, 9, 16},
                                                {2, 40, 33, 16, 64}})
    c.push_back({"attend",
                 {of({t, heads * key}), of({s, heads * key}), of({s, heads * value})},
                 {{"heads", heads}, {"causal", false}}});
  for (const int64_t t : {1, 7, 35})
    c.push_back({"attend", {of({t, 32}), of({t, 32}), of({t, 64})}, {{"heads", int64_t{2}}, {"causal", true}}});
  c.push_back({"causal_mask", {of({4, 5})}, {{"value", 0.0}}});
}

void embeddings(std::vector<Case>& c) {
  for (const std::vector<int64_t>& lead : {std::vector<int64_t>{}, {6}, {2, 3}}) {
    for (const auto& [vocabulary, dim] : {std::pair<int64_t, int64_t>{4, 5}, {1, 1}, {7, 9}}) {
      const auto strange = [](std::vector<RefTensor>& in, int64_t) {  // numbers beyond the table on both sides
        for (double& v : in[0].data) v -= 2;
      };
      c.push_back(
          {"embedding", {tokens(lead), fixed({vocabulary, dim})}, {}, {Fill::label}, vocabulary + 4, {}, strange});
      c.push_back({"embedding_grad",
                   {tokens(lead), of(with(lead, {dim}))},
                   {{"vocabulary", vocabulary}},
                   {Fill::label},
                   vocabulary + 4,
                   {},
                   strange});
    }
  }
  for (const Type& x : {of({5, 6}), of({1, 1}), of({2, 3, 7})}) c.push_back({"add_positions", {x}});
}

void rows(std::vector<Case>& c) {
  for (const bool batch : {true, false}) {
    for (const std::vector<int64_t>& d : {std::vector<int64_t>{5, 3}, {4}, {1, 1}, {3, 2, 9}}) {
      const Type x{DType::f32, batch, d};
      for (const auto& [from, count] :
           {std::pair<int64_t, int64_t>{0, 1}, {d[0] - 1, 1}, {d[0] / 2, d[0] - d[0] / 2}}) {
        Type y = x;
        y.dims[0] = count;
        c.push_back({"take_rows", {x}, {{"from", from}, {"count", count}}});
        c.push_back({"take_rows_grad", {y}, {{"from", from}, {"count", count}, {"rows", d[0]}}});
        if (count != 1) continue;
        y.dims.erase(y.dims.begin());
        c.push_back({"take_rows", {x}, {{"from", from}}});
        c.push_back({"take_rows_grad", {y}, {{"from", from}, {"rows", d[0]}}});
      }
      Type more = x;
      more.dims[0] = 2;
      c.push_back({"join_rows", {x, more}});
      more.batched = true;
      if (!batch) c.push_back({"join_rows", {x, more}}), c.push_back({"join_rows", {more, x}});
    }
  }
}

}  // namespace

void sequence_cases(std::vector<Case>& c) {
  products(c);
  attention(c);
  embeddings(c);
  rows(c);
}

}  // namespace netc::test
