// Metrics against direct computations, of classes, rows, answers and values; counting on after a restart; what is
// better.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "runtime/train/callbacks.h"
#include "runtime/train/metrics.h"

using namespace netc::rt;

namespace {

PortInfo port(DType type, std::vector<int64_t> dims) {
  PortInfo p{"p", type, static_cast<int>(dims.size()), {}};
  std::copy(dims.begin(), dims.end(), p.dims);
  return p;
}
PortInfo output(std::vector<int64_t> dims) { return port(DType::f32, std::move(dims)); }
PortInfo scores_of(std::vector<int64_t> dims) {
  PortInfo p = output(std::move(dims));
  p.means = Means::scores;
  return p;
}
PortInfo classes(std::vector<int64_t> dims = {}) { return port(DType::i32, std::move(dims)); }

double value(const Metrics& m, const std::string& name) {
  for (const NamedValue& v : m.values())
    if (v.name == name) return v.value;
  FAIL(name);
  return 0;
}
std::vector<std::string> names(const Metrics& m) {
  std::vector<std::string> out;
  for (const NamedValue& v : m.values()) out.push_back(v.name);
  return out;
}
using Names = std::vector<const char*>;

/// Scores and truths of yes and no, the scores better than chance.
struct Answers {
  std::vector<float> p;
  std::vector<int32_t> truth;
  std::vector<float> target;
  explicit Answers(size_t n) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    for (size_t i = 0; i < n; ++i) {
      truth.push_back(random() % 3 == 0);
      target.push_back(static_cast<float>(truth.back()));
      p.push_back(1 / (1 + std::exp(-(normal(random) + 1.5f * target.back() - 0.5f))));
    }
  }
  /// The share of pairs that are in the right order: the area under the ROC curve, exactly.
  double auc() const {
    double right = 0, pairs = 0;
    for (size_t i = 0; i < p.size(); ++i)
      for (size_t j = 0; j < p.size(); ++j)
        if (truth[i] && !truth[j]) ++pairs, right += p[i] > p[j] ? 1 : p[i] == p[j] ? 0.5 : 0;
    return right / pairs;
  }
  /// Mean of the precision at each truth found, from the surest on.
  double average_precision() const {
    std::vector<size_t> order(p.size());
    for (size_t i = 0; i < p.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return p[a] > p[b]; });
    double found = 0, sum = 0;
    for (size_t i = 0; i < order.size(); ++i)
      if (truth[order[i]]) sum += ++found / static_cast<double>(i + 1);
    return sum / found;
  }
};

}  // namespace

TEST_CASE("classes: accuracy, top k, means over classes, the confusion matrix") {
  const Names n = {"top2", "precision", "recall",   "f1",      "perplexity", "confusion_matrix",
                   "mae",  "kind:top2", "nonsense", "topless", "top"};
  Metrics m(output({3}), classes(), n);
  CHECK(names(m) == std::vector<std::string>{"loss", "accuracy", "top2", "precision", "recall", "f1", "perplexity"});
  CHECK(m.classifies_samples());
  const float rows[] = {0.7f, 0.2f, 0.1f, 0.1f, 0.5f, 0.4f, 0.3f, 0.4f, 0.3f, 0.6f, 0.3f, 0.1f};
  const int32_t labels[] = {0, 2, 0, 0};
  m.add(rows, labels, 3, 1.0);
  m.add(rows + 9, labels + 3, 1, 5.0);
  CHECK(m.count() == 4);
  CHECK(m.loss() == doctest::Approx(2));
  CHECK(m.accuracy() == doctest::Approx(0.5));    // answers 0 1 1 0
  CHECK(value(m, "top2") == doctest::Approx(1));  // equals: the first comes before
  CHECK(value(m, "precision") == doctest::Approx((1.0 + 0 + 0) / 3));
  CHECK(value(m, "recall") == doctest::Approx((2.0 / 3 + 0 + 0) / 3));
  CHECK(value(m, "f1") == doctest::Approx(0.8 / 3));
  CHECK(value(m, "perplexity") ==
        doctest::Approx(std::exp(-(std::log(0.7) + std::log(0.4) + std::log(0.3) + std::log(0.6)) / 4)));
  CHECK(m.confusion().at(0, 0) == 2);
  CHECK(m.confusion().at(2, 1) == 1);
  const int32_t outside[] = {7};
  m.add(rows, outside, 1, 0);
  CHECK(m.accuracy() == doctest::Approx(0.4));
  CHECK(m.confusion().of_class(0) + m.confusion().of_class(1) + m.confusion().of_class(2) == 4);
  m.reset();
  CHECK(m.accuracy() == 0);
  CHECK(value(m, "perplexity") == 0);
}

TEST_CASE("rows: tokens and pixels count one by one") {
  const Names n = {"top2", "recall"};
  Metrics m(output({2, 3}), classes({2}), n);
  CHECK(m.classifies());
  CHECK_FALSE(m.classifies_samples());
  const float rows[] = {0.7f, 0.2f, 0.1f, 0.1f, 0.5f, 0.4f, 0, 0, 1, 0, 0, 1};
  const int32_t labels[] = {0, 2, 2, 0};
  m.add(rows, labels, 2, 1);
  CHECK(m.count() == 2);
  CHECK(m.accuracy() == doctest::Approx(0.5));
  CHECK(value(m, "top2") == doctest::Approx(1));
  CHECK(value(m, "recall") == doctest::Approx((0.5 + 0 + 0.5) / 3));
  CHECK(m.confusion().at(2, 2) == 1);
}

TEST_CASE("answers of yes and no: by class index, by targets, from scores") {
  const Answers a(4000);
  const Names n = {"binary_accuracy@0.4", "precision@0.4", "recall@0.4", "f1@0.4", "auc", "auc_pr", "top2"};
  double right = 0, yes = 0, truths = 0, both = 0;
  for (size_t i = 0; i < a.p.size(); ++i) {
    const bool answer = a.p[i] > 0.4f;
    right += answer == (a.truth[i] == 1), yes += answer, truths += a.truth[i], both += answer && a.truth[i];
  }
  Metrics of_class(output({1}), classes(), n), of_targets(output({4}), output({4}), n),
      of_scores(scores_of({1}), classes(), n);
  std::vector<float> scores;
  for (float p : a.p) scores.push_back(std::log(p / (1 - p)));
  of_class.add(a.p.data(), a.truth.data(), 4000, 0);
  of_targets.add(a.p.data(), a.target.data(), 1000, 0);
  of_scores.add(scores.data(), a.truth.data(), 4000, 0);
  for (const Metrics* m : {&of_class, &of_targets, &of_scores}) {
    CHECK(value(*m, "binary_accuracy@0.4") == doctest::Approx(right / 4000));
    CHECK(value(*m, "precision@0.4") == doctest::Approx(both / yes));
    CHECK(value(*m, "recall@0.4") == doctest::Approx(both / truths));
    CHECK(value(*m, "f1@0.4") == doctest::Approx(2 * both / (yes + truths)));
    CHECK(value(*m, "auc") == doctest::Approx(a.auc()).epsilon(1e-3));
    CHECK(value(*m, "auc_pr") == doctest::Approx(a.average_precision()).epsilon(5e-3));
  }
  CHECK(of_class.accuracy() == of_scores.accuracy());
  CHECK_FALSE(of_targets.classifies());
  CHECK(names(of_targets).size() == 7);  // no accuracy, no top2
  const float zero = 0.2f;
  CHECK(of_scores.answer(&zero) == 1);
  CHECK(of_class.answer(&zero) == 0);
  CHECK(of_scores.probability(&zero, 1) == doctest::Approx(1 / (1 + std::exp(-0.2))));
}

TEST_CASE("curves of few samples") {
  const Names n = {"auc", "auc_pr"};
  const auto area = [&](std::vector<float> p, std::vector<int32_t> truth, const char* name) {
    Metrics m(output({1}), classes(), n);
    m.add(p.data(), truth.data(), static_cast<int>(p.size()), 0);
    return value(m, name);
  };
  CHECK(area({0.9f, 0.8f, 0.3f}, {1, 1, 0}, "auc") == doctest::Approx(1));
  CHECK(area({0.9f, 0.1f}, {0, 1}, "auc") == doctest::Approx(0));
  CHECK(area({0, 0, 1, 1}, {0, 1, 0, 1}, "auc") == doctest::Approx(0.5));
  CHECK(area({0, 0.5f, 0.3f, 0.9f}, {0, 0, 1, 1}, "auc") == doctest::Approx(0.75));  // Keras's example
  // slopes 1, 0, 1
  CHECK(area({0, 0.5f, 0.3f, 0.9f}, {0, 0, 1, 1}, "auc_pr") == doctest::Approx(0.5 + (1 - std::log(1.5)) / 2));
  CHECK(area({0.9f, 0.8f, 0.3f}, {1, 1, 0}, "auc_pr") == doctest::Approx(1));
  CHECK(area({0.5f}, {1}, "auc") == 0);
  CHECK(area({std::nanf(""), 0.5f}, {0, 1}, "auc") == doctest::Approx(1));
  CHECK(area({2, -1}, {1, 0}, "auc") == doctest::Approx(1));
}

TEST_CASE("values: errors and the share explained") {
  const Names n = {"mae", "mse", "rmse", "r2", "accuracy", "top2", "perplexity"};
  Metrics m(output({2}), output({2}), n);
  CHECK(names(m) == std::vector<std::string>{"loss", "mae", "mse", "rmse", "r2"});
  CHECK(value(m, "rmse") == 0);
  const float y[] = {1, 2, 3, 4}, t[] = {1, 4, 2, 5};
  m.add(y, t, 2, 0.5);
  CHECK(value(m, "mae") == doctest::Approx(1));
  CHECK(value(m, "mse") == doctest::Approx(1.5));
  CHECK(value(m, "rmse") == doctest::Approx(std::sqrt(1.5)));
  CHECK(value(m, "r2") == doctest::Approx(1 - 6.0 / 10));
  CHECK(m.confusion().classes() == 0);
  CHECK(m.accuracy() == 0);
}

TEST_CASE("labels that fit no output leave the loss") {
  const Names n = {"accuracy", "mae", "auc"};
  Metrics m(output({3, 8}), classes(), n);  // triplets
  const std::vector<float> rows(48, 1);
  const int32_t labels[] = {5, 6};
  m.add(rows.data(), labels, 2, 0.5);
  CHECK(names(m) == std::vector<std::string>{"loss"});
  CHECK(m.loss() == doctest::Approx(0.5));
  CHECK_FALSE(m.classifies());
}

TEST_CASE("counting goes on where it stopped, to the same bits") {
  const Answers a(300);
  const Names n = {"auc", "f1", "recall@0.3", "mae", "r2", "perplexity"};
  Metrics whole(output({1}), output({1}), n), first(output({1}), output({1}), n), second(output({1}), output({1}), n),
      other(output({1}), output({1}), {});
  whole.add(a.p.data(), a.target.data(), 100, 0.1), whole.add(a.p.data() + 100, a.target.data() + 100, 200, 0.2);
  first.add(a.p.data(), a.target.data(), 100, 0.1);
  second.restore(first.counts());
  second.add(a.p.data() + 100, a.target.data() + 100, 200, 0.2);
  for (const NamedValue& v : whole.values()) CHECK(value(second, v.name) == v.value);
  other.restore(first.counts());  // of other metrics: left alone
  CHECK(other.count() == 0);
}

TEST_CASE("what is better") {
  for (const char* name : {"loss", "val_loss", "mae", "val_mse", "val_box:rmse", "perplexity", "box:loss"})
    CHECK_FALSE(higher_is_better(name));
  for (const char* name : {"accuracy", "val_top2", "kind:accuracy", "val_precision@0.4", "auc", "r2", "val_box:r2"})
    CHECK(higher_is_better(name));
}

TEST_CASE("without an accuracy the best epoch is that of the lowest loss") {
  Callbacks c({}, true, "loss");
  CHECK(c.best_monitor() == "val_loss");
  CHECK(c.after_epoch({1, {{"val_loss", 2}}}, 0.1).best);
  CHECK_FALSE(c.after_epoch({2, {{"val_loss", 3}}}, 0.1).best);
  CHECK(c.after_epoch({3, {{"val_loss", 1}}}, 0.1).best);
  const CallbackInfo watch[] = {{"checkpoint", "val_rmse", 0, 0, nullptr}};
  Callbacks of_rmse(watch, false, "loss");
  CHECK(of_rmse.best_monitor() == "rmse");
  CHECK(of_rmse.after_epoch({1, {{"rmse", 2}}}, 0.1).best);
  CHECK_FALSE(of_rmse.after_epoch({2, {{"rmse", 2.5}}}, 0.1).best);
}
