// Operand types for the operators of losses: one class and several, one row a sample and many, one pixel.
#include "tests/ops/cases.h"

namespace netc::test {

using namespace ir;

namespace {

Type batched(std::vector<int64_t> d) { return {DType::f32, true, std::move(d)}; }
constexpr Fill n = Fill::normal, p = Fill::probability, l = Fill::label;

void classes(std::vector<Case>& c) {
  for (const std::vector<int64_t>& d : {std::vector<int64_t>{1}, {3}, {11}, {5, 3}, {1, 1, 9}, {3, 2, 5}}) {
    const std::vector<int64_t> rows(d.begin(), d.end() - 1);
    const Type x = batched(d), each = batched(rows), label{DType::i32, true, rows};
    for (double smoothing : {0.0, 0.2}) {
      const Attrs a = {{"smoothing", smoothing}};
      c.push_back({"softmax_crossentropy", {x, label}, a, {n, l}, d.back()});
      c.push_back({"softmax_crossentropy_grad", {x, label, each}, a, {n, l, n}, d.back()});
      c.push_back({"crossentropy", {x, label}, a, {p, l}, d.back()});
      c.push_back({"crossentropy_grad", {x, label, each}, a, {p, l, n}, d.back()});
    }
    c.push_back({"categorical_hinge", {x, label}, {}, {n, l}, d.back()});
    Case grad{"categorical_hinge_grad", {x, label, each}, {}, {n, l, n}, d.back()};
    grad.fix = [](std::vector<RefTensor>& in, int64_t) {
      for (double& v : in[0].data) v = std::round(v);  // ties: the first of the largest
    };
    c.push_back({"categorical_hinge_grad", {x, label, each}, {}, {n, l, n}, d.back()});
    c.push_back(grad);
    c.push_back({"class_weight", {label, {DType::f32, false, {d.back()}}}, {}, {l, n}, d.back()});
    c.push_back({"binary_target", {label}, {}, {l}, 3});
    c.push_back({"cosine_distance", {x, x}});
    c.push_back({"cosine_distance_grad", {x, x, each}});
    c.push_back({"sample_mean", {x}});
    c.push_back({"spread", {batched({})}, {{"dims", d}}});
  }
}

void elements(std::vector<Case>& c) {
  struct Of {
    const char* op;
    Fill x, t;
    Attrs a;
  };
  for (const Of& o : {Of{"squared_error", n, n, {}},
                      {"absolute_error", n, n, {}},
                      {"huber", n, n, {{"delta", 0.7}}},
                      {"poisson", Fill::positive, Fill::positive, {}},
                      {"kl_divergence", p, p, {}},
                      {"hinge", n, n, {}},
                      {"squared_hinge", n, n, {}},
                      {"sigmoid_crossentropy", n, p, {}},
                      {"binary_crossentropy", p, p, {}},
                      {"contrastive", p, p, {{"margin", 0.6}}}}) {
    for (const Type& x : {batched({3, 5, 7}), batched({1}), batched({})}) {
      c.push_back({o.op, {x, x}, o.a, {o.x, o.t}});
      for (int64_t of : {0, 1}) {
        Attrs a = o.a;
        a.set("of", of);
        c.push_back({std::string(o.op) + "_grad", {x, x, x}, a, {o.x, o.t, n}});
      }
    }
  }
  for (const Type& x : {batched({4, 3}), batched({})}) {
    for (double gamma : {0.0, 0.5, 2.0}) {
      c.push_back({"focal", {x}, {{"gamma", gamma}}, {Fill::positive}});
      c.push_back({"focal_grad", {x, x}, {{"gamma", gamma}}, {Fill::positive, n}});
    }
  }
}

}  // namespace

void loss_cases(std::vector<Case>& c) {
  classes(c);
  elements(c);
  for (int64_t width : {1, 7}) {
    c.push_back({"triplet", {batched({3, width})}, {{"margin", 0.5}}});
    c.push_back({"triplet_grad", {batched({3, width}), batched({})}, {{"margin", 0.5}}});
  }
  c.push_back({"batch_mean_of", {batched({})}});
  c.push_back({"batch_mean_of_grad", {{DType::f32, false, {}}, batched({})}});
}

}  // namespace netc::test
