// Layers over sequences: shapes, parameters as Keras counts them, errors; and whole layers against the formulas in
// double.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>

#include "compiler/ir/interpret.h"
#include "compiler/verify/compare.h"
#include "tests/ops/builder.h"

using namespace netc;
using namespace netc::ir;
using namespace netc::test;

namespace {

using Args = std::map<std::string, ArgValue>;
using Vector = std::vector<double>;

const Type kTokens{DType::i32, true, {6}};

int64_t parameters(const Graph& g) {
  int64_t n = 0;
  for (const Variable& v : g.variables) n += v.role == Role::weight ? g.type(v.value).elements() : 0;
  return n;
}

ValueId operand(FakeBuilder& b, const char* name, const Type& t) {
  Variable v;
  v.name = name;
  v.role = Role::input;
  b.operands.push_back(b.g.add_variable(v, t));
  return b.operands.back();
}

/// A layer with random contents: its output by the reference interpreter, its variables by the end of their name.
struct Run {
  FakeBuilder b;
  std::map<std::string, RefTensor> by_name;
  RefTensor y;

  Run(const Type& x, const char* layer, const Args& args, const std::vector<Type>& more = {}, int64_t batch = 2)
      : b(x) {
    for (size_t i = 0; i < more.size(); ++i) operand(b, ("operand" + std::to_string(i + 1)).c_str(), more[i]);
    const ValueId out = b.apply(layer, args);
    REQUIRE(out != kNone);
    std::mt19937 random(3);
    for (const Variable& v : b.g.variables) {
      const Type& t = b.g.type(v.value);
      by_name[v.name] = random_tensor(t, t.dtype == DType::f32 ? Fill::normal : Fill::label, batch, 4, random);
    }
    CHECK(ir::verify(b.g).empty());
    y = interpret(b.g, by_name, batch)[static_cast<size_t>(out)];
  }
  const Vector& at(const std::string& end) const {
    for (const auto& [name, t] : by_name)
      if (name.size() >= end.size() && name.compare(name.size() - end.size(), end.size(), end) == 0) return t.data;
    FAIL("no variable ", end);
    return by_name.begin()->second.data;
  }
};

/// Relative to the largest element.
double difference(const Vector& got, const Vector& want) { return verify::compare({{}, want}, {{}, got}, {}).error; }

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

/// x (rows of K) * w[K, U] + bias, which may be empty.
Vector affine(const Vector& x, size_t K, const Vector& w, const Vector& bias = {}) {
  const size_t U = w.size() / K;
  Vector y;
  for (size_t n = 0; n < x.size() / K; ++n)
    for (size_t u = 0; u < U; ++u) {
      double sum = bias.empty() ? 0 : bias[u];
      for (size_t k = 0; k < K; ++k) sum += x[n * K + k] * w[k * U + u];
      y.push_back(sum);
    }
  return y;
}

/// The states of all steps of one sample; `cell` changes h and c by x, the input's product, and r, the state's.
Vector recurrent(const Vector& x, size_t T, size_t U, const Vector& kernel, const Vector& weights, const Vector& bias_x,
                 const Vector& bias_h,
                 const std::function<void(const Vector& x, const Vector& r, Vector& h, Vector& c)>& cell) {
  const size_t K = x.size() / T;
  Vector h(U, 0.0), c(U, 0.0), all;
  for (size_t t = 0; t < T; ++t) {
    const Vector xt(x.begin() + static_cast<long>(t * K), x.begin() + static_cast<long>((t + 1) * K));
    cell(affine(xt, K, kernel, bias_x), affine(h, U, weights, bias_h), h, c);
    all.insert(all.end(), h.begin(), h.end());
  }
  return all;
}

void check_recurrent(const char* layer, size_t gates, bool two_biases,
                     const std::function<void(const Vector&, const Vector&, Vector&, Vector&)>& cell) {
  const size_t T = 5, K = 3, U = 2, N = 2;
  for (const bool sequences : {false, true}) {
    const Run run(batched({static_cast<int64_t>(T), static_cast<int64_t>(K)}), layer,
                  {{"units", num(static_cast<int64_t>(U))}, {"sequences", sequences}});
    const Vector bias = run.at(".bias"), first(bias.begin(), bias.begin() + static_cast<long>(gates * U));
    const Vector second = two_biases ? Vector(bias.begin() + static_cast<long>(gates * U), bias.end()) : Vector();
    Vector want;
    for (size_t n = 0; n < N; ++n) {
      const Vector& all = run.at("x");
      const Vector x(all.begin() + static_cast<long>(n * T * K), all.begin() + static_cast<long>((n + 1) * T * K));
      const Vector y = recurrent(x, T, U, run.at(".kernel"), run.at(".recurrent"), first, second, cell);
      want.insert(want.end(), sequences ? y.begin() : y.end() - static_cast<long>(U), y.end());
    }
    CHECK(difference(run.y.data, want) < 1e-9);
  }
}

}  // namespace

TEST_CASE("layers over sequences: shapes and parameters") {
  struct Expected {
    Type in;
    const char* layer;
    Args args;
    std::vector<int64_t> out;
    int64_t parameters;
  };
  const Type x = batched({10, 8});
  for (const Expected& e :
       {Expected{x, "Dense", {{"units", num(5)}}, {10, 5}, 8 * 5 + 5},
        {x, "SimpleRNN", {{"units", num(32)}}, {32}, 8 * 32 + 32 * 32 + 32},
        {x, "GRU", {{"units", num(32)}}, {32}, 3 * (8 * 32 + 32 * 32 + 2 * 32)},
        {x, "GRU", {{"units", num(32)}, {"reset_after", false}}, {32}, 3 * (8 * 32 + 32 * 32 + 32)},
        {x, "LSTM", {{"units", num(32)}}, {32}, 5248},
        {x, "LSTM", {{"units", num(3)}, {"sequences", true}}, {10, 3}, 4 * (8 * 3 + 3 * 3 + 3)},
        {batched({1, 1}), "LSTM", {{"units", num(1)}, {"sequences", true}}, {1, 1}, 12},
        {x, "MultiHeadAttention", {{"heads", num(4)}}, {10, 8}, 4 * (8 * 8 + 8)},
        {x, "MultiHeadAttention", {{"heads", num(3)}, {"key_dim", num(5)}, {"bias", false}}, {10, 8}, 4 * 8 * 15},
        {kTokens, "Embedding", {{"vocabulary", num(100)}, {"dim", num(16)}}, {6, 16}, 1600},
        {{DType::i32, true, {}}, "Embedding", {{"vocabulary", num(7)}, {"dim", num(3)}}, {3}, 21},
        {x, "PositionEmbedding", {}, {10, 8}, 80},
        {x, "PositionEmbedding", {{"kind", std::string("sinusoidal")}}, {10, 8}, 0},
        {x, "ClassToken", {}, {11, 8}, 8}}) {
    CAPTURE(e.layer);
    FakeBuilder b(e.in);
    CHECK(b.apply(e.layer, e.args) != kNone);
    CHECK(b.in_type() == batched(e.out));
    CHECK(parameters(b.g) == e.parameters);
    CHECK(ir::verify(b.g).empty());
  }
  FakeBuilder b(batched({2, 4, 5}));
  operand(b, "b", batched({2, 3, 5}));
  CHECK(b.apply("MatMul", {{"transpose", std::string("second")}}) != kNone);
  CHECK(b.in_type() == batched({2, 4, 3}));
  operand(b, "c", batched({2, 3, 4}));
  CHECK(b.apply("MatMul", {{"transpose", std::string("both")}}) != kNone);
  CHECK(b.in_type() == batched({2, 3, 3}));
}

TEST_CASE("layers over sequences: what the user did wrong") {
  struct Expected {
    std::vector<Type> in;
    const char* layer;
    Args args;
    std::string message;
  };
  const Type x = batched({10, 8}), image = batched({4, 4, 3});
  const Args heads = {{"heads", num(4)}};
  for (const Expected& e :
       {Expected{{image},
                 "LSTM",
                 {{"units", num(3)}},
                 "LSTM(3) needs a sequence f32[T, D], but its input is f32[4, 4, 3]"},
        {{batched({5})}, "GRU", {{"units", num(3)}}, "GRU(3) needs a sequence f32[T, D], but its input is f32[5]"},
        {{kTokens}, "SimpleRNN", {{"units", num(3)}}, "SimpleRNN(3) needs f32 values, but its input is i32[6]"},
        {{image},
         "MultiHeadAttention",
         heads,
         "MultiHeadAttention(4) needs a sequence f32[T, D], but its input is f32[4, 4, 3]"},
        {{batched({10, 6})},
         "MultiHeadAttention",
         heads,
         "MultiHeadAttention(4) cannot share the 6 channels of f32[10, 6] evenly"},
        {{x, batched({5})},
         "MultiHeadAttention",
         heads,
         "MultiHeadAttention(4) attends to a sequence f32[S, D], but its second operand is f32[5]"},
        {{x, batched({7, 3}), batched({10})},
         "MultiHeadAttention",
         heads,
         "MultiHeadAttention(4) needs a mask of [7] or [10, 7], but it is f32[10]"},
        {{x, x, x, x},
         "MultiHeadAttention",
         heads,
         "MultiHeadAttention(4) has 4 operands, but takes a query, a key and a mask at most"},
        {{x, batched({7, 8})},
         "MultiHeadAttention",
         {{"heads", num(4)}, {"causal", true}},
         "MultiHeadAttention(4) cannot be causal between sequences of different lengths, 10 and 7"},
        {{x},
         "Embedding",
         {{"vocabulary", num(9)}, {"dim", num(2)}},
         "Embedding(9, 2) needs numbers of tokens, as i32[T], but its input is f32[10, 8]"},
        {{image},
         "PositionEmbedding",
         {},
         "PositionEmbedding needs a sequence f32[T, D], but its input is f32[4, 4, 3]"},
        {{batched({8})}, "ClassToken", {}, "ClassToken needs a sequence f32[T, D], but its input is f32[8]"},
        {{x, batched({7, 8})},
         "MatMul",
         {},
         "MatMul needs matrices f32[..., m, k] and f32[..., k, p] with the same leading extents, but its operands are "
         "f32[10, 8] and f32[7, 8]"}}) {
    FakeBuilder b(e.in[0]);
    for (size_t i = 1; i < e.in.size(); ++i) operand(b, ("operand" + std::to_string(i)).c_str(), e.in[i]);
    CHECK(b.apply(e.layer, e.args) == kNone);
    CHECK(b.message == e.message);
  }
}

TEST_CASE("recurrent layers agree with their formulas") {
  check_recurrent("SimpleRNN", 1, false, [](const Vector& x, const Vector& r, Vector& h, Vector&) {
    for (size_t u = 0; u < h.size(); ++u) h[u] = std::tanh(x[u] + r[u]);
  });
  check_recurrent("GRU", 3, true, [](const Vector& x, const Vector& r, Vector& h, Vector&) {
    const size_t U = h.size();
    for (size_t u = 0; u < U; ++u) {
      const double z = sigmoid(x[u] + r[u]), reset = sigmoid(x[U + u] + r[U + u]);
      h[u] = z * h[u] + (1 - z) * std::tanh(x[2 * U + u] + reset * r[2 * U + u]);
    }
  });
  check_recurrent("LSTM", 4, false, [](const Vector& x, const Vector& r, Vector& h, Vector& c) {
    const size_t U = h.size();
    const auto z = [&](size_t gate, size_t u) { return x[gate * U + u] + r[gate * U + u]; };
    for (size_t u = 0; u < U; ++u) {
      c[u] = sigmoid(z(1, u)) * c[u] + sigmoid(z(0, u)) * std::tanh(z(2, u));
      h[u] = sigmoid(z(3, u)) * std::tanh(c[u]);
    }
  });
}

TEST_CASE("GRU with the reset gate before the product agrees with a plain loop") {
  const size_t T = 4, K = 3, U = 2, N = 2;
  const Run run(batched({T, K}), "GRU", {{"units", num(U)}, {"reset_after", false}, {"sequences", true}});
  const Vector &x = run.at("x"), &kernel = run.at(".kernel"), &weights = run.at(".recurrent"), &bias = run.at(".bias");
  REQUIRE(bias.size() == 3 * U);
  Vector want;
  for (size_t n = 0; n < N; ++n) {
    Vector h(U, 0.0);
    for (size_t t = 0; t < T; ++t) {
      const auto part = [&](size_t gate, size_t u, const Vector& state) {
        double sum = bias[gate * U + u];
        for (size_t k = 0; k < K; ++k) sum += x[(n * T + t) * K + k] * kernel[k * 3 * U + gate * U + u];
        for (size_t k = 0; k < U; ++k) sum += state[k] * weights[k * 3 * U + gate * U + u];
        return sum;
      };
      Vector kept = h, next = h;
      for (size_t u = 0; u < U; ++u) kept[u] *= sigmoid(part(1, u, h));
      for (size_t u = 0; u < U; ++u) {
        const double z = sigmoid(part(0, u, h));
        next[u] = z * h[u] + (1 - z) * std::tanh(part(2, u, kept));
      }
      h = next;
      want.insert(want.end(), h.begin(), h.end());
    }
  }
  CHECK(difference(run.y.data, want) < 1e-9);
}

TEST_CASE("LSTM's forget gate starts open, unless told otherwise") {
  for (const bool open : {true, false}) {
    FakeBuilder b(batched({5, 4}));
    REQUIRE(b.apply("LSTM", {{"units", num(3)}, {"unit_forget_bias", open}}) != kNone);
    const auto bias = std::find_if(b.g.variables.begin(), b.g.variables.end(),
                                   [](const Variable& v) { return v.name.ends_with(".bias"); });
    REQUIRE(bias != b.g.variables.end());
    CHECK(bias->init == (open ? Initializer{"ones_between", 3, 6} : Initializer{}));
  }
}

TEST_CASE("attention agrees with its formula: alone, causal, to another sequence, masked") {
  struct Kind {
    int64_t S, E;
    bool causal;
    int mask;
  };  // mask: 0 none, 1 by position, 2 by pair
  for (const Kind& kind :
       {Kind{4, 6, false, 0}, {4, 6, true, 0}, {3, 5, false, 0}, {3, 5, false, 1}, {4, 6, true, 2}}) {
    const size_t T = 4, D = 6, H = 3, Dk = 2, S = static_cast<size_t>(kind.S), N = 2;
    const bool other = kind.S != 4 || kind.mask != 0;
    std::vector<Type> more;
    if (other) more.push_back(batched({kind.S, kind.E}));
    if (kind.mask == 1) more.push_back({DType::i32, true, {kind.S}});
    if (kind.mask == 2) more.push_back({DType::i32, true, {4, kind.S}});
    const Run run(batched({4, 6}), "MultiHeadAttention", {{"heads", num(3)}, {"causal", kind.causal}}, more);
    const Vector x = run.at("x"), z = other ? run.at("operand1") : x;
    const Vector q = affine(x, D, run.at("query.weight"), run.at("query.bias"));
    const Vector k = affine(z, static_cast<size_t>(kind.E), run.at("key.weight"), run.at("key.bias"));
    const Vector v = affine(z, static_cast<size_t>(kind.E), run.at("value.weight"), run.at("value.bias"));
    Vector heads(N * T * D, 0.0);
    for (size_t n = 0; n < N; ++n)
      for (size_t h = 0; h < H; ++h)
        for (size_t t = 0; t < T; ++t) {
          Vector e(S, 0.0);
          double sum = 0;
          size_t seen = 0;
          for (int pass = 0; pass < 2 && seen == 0; ++pass)  // all hidden: all alike
            for (size_t s = 0; s < S; ++s) {
              const bool hidden = (kind.causal && s > t) || (kind.mask == 1 && run.at("operand2")[n * S + s] == 0) ||
                                  (kind.mask == 2 && run.at("operand2")[(n * T + t) * S + s] == 0);
              if (hidden && pass == 0) continue;
              double score = 0;
              for (size_t d = 0; d < Dk; ++d)
                score += q[(n * T + t) * D + h * Dk + d] * k[(n * S + s) * D + h * Dk + d];
              sum += e[s] = pass == 0 ? std::exp(score / std::sqrt(static_cast<double>(Dk))) : 1;
              ++seen;
            }
          for (size_t s = 0; s < S; ++s)
            for (size_t d = 0; d < Dk; ++d)
              heads[(n * T + t) * D + h * Dk + d] += e[s] / sum * v[(n * S + s) * D + h * Dk + d];
        }
    // of a row that is hidden whole, the sum of exponentials is rounded near -1e9
    CHECK(difference(run.y.data, affine(heads, D, run.at("out.weight"), run.at("out.bias"))) < 1e-7);
  }
}

TEST_CASE("embeddings, positions and the class token agree with their formulas") {
  const Run table(kTokens, "Embedding", {{"vocabulary", num(3)}, {"dim", num(2)}});  // tokens up to 3, beyond the table
  for (size_t i = 0; i < table.y.data.size(); ++i) {
    const size_t token = std::min<size_t>(2, static_cast<size_t>(table.at("x")[i / 2]));
    CHECK(table.y.data[i] == table.at("weight")[token * 2 + i % 2]);
  }
  const Run learned(batched({3, 4}), "PositionEmbedding", {});
  for (size_t i = 0; i < learned.y.data.size(); ++i)
    CHECK(learned.y.data[i] == learned.at("x")[i] + learned.at("weight")[i % 12]);
  const Run waves(batched({3, 5}), "PositionEmbedding", {{"kind", std::string("sinusoidal")}});
  for (size_t i = 0; i < waves.y.data.size(); ++i) {
    const size_t t = i / 5 % 3, c = i % 5;
    const double angle = static_cast<double>(t) / std::pow(10000.0, static_cast<double>(c - c % 2) / 5);
    CHECK(waves.y.data[i] == doctest::Approx(waves.at("x")[i] + (c % 2 == 0 ? std::sin(angle) : std::cos(angle))));
  }
  const Run token(batched({3, 4}), "ClassToken", {});
  for (size_t i = 0; i < token.y.data.size(); ++i) {
    const size_t n = i / 16, t = i / 4 % 4, c = i % 4;
    CHECK(token.y.data[i] == (t == 0 ? token.at("weight")[c] : token.at("x")[(n * 3 + t - 1) * 4 + c]));
  }
}

TEST_CASE("gradients of whole layers over sequences") {
  for (const auto& [layer, args] :
       {std::pair<const char*, Args>{"SimpleRNN", {{"units", num(3)}, {"activation", std::string("sigmoid")}}},
        {"GRU", {{"units", num(2)}, {"sequences", true}}},
        {"GRU", {{"units", num(2)}, {"reset_after", false}}},
        {"LSTM", {{"units", num(3)}}},
        {"LSTM", {{"units", num(2)}, {"sequences", true}}},
        {"MultiHeadAttention", {{"heads", num(2)}, {"causal", true}}},
        {"MultiHeadAttention", {{"heads", num(1)}, {"dropout", 0.4}}},
        {"ClassToken", {}},
        {"PositionEmbedding", {}},
        {"PositionEmbedding", {{"kind", std::string("sinusoidal")}}},
        {"Dense", {{"units", num(3)}}}}) {
    CAPTURE(layer);
    FakeBuilder b(batched({5, 4}));
    const ValueId y = b.apply(layer, args);
    REQUIRE(y != kNone);
    CHECK(check_gradient(b.g, y, 2) < 1e-5);
  }
  FakeBuilder b(kTokens);
  b.apply("Embedding", {{"vocabulary", num(3)}, {"dim", num(4)}});
  b.apply("PositionEmbedding");
  operand(b, "z", batched({3, 5}));
  operand(b, "mask", {DType::i32, true, {3}});
  b.apply("MultiHeadAttention", {{"heads", num(2)}, {"key_dim", num(3)}});
  operand(b, "m", batched({6, 4}));
  const ValueId y = b.apply("MatMul", {{"transpose", std::string("first")}});
  CHECK(check_gradient(b.g, y, 3) < 1e-5);
}
