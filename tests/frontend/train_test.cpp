// What a train section means: the names of metrics as the runtime reads them, labels' types, what callbacks may watch.
#include <doctest/doctest.h>

#include "tests/frontend/support.h"

using namespace netc;
using namespace netc::frontend;

namespace {

sema::Model trained(const std::string& outputs, const std::string& section) {
  Result r = analyse_text("net A {\n input x: f32[4]\n let h = x -> Dense(8) -> ReLU\n" + outputs +
                          "\n}\ntrain {\n optimizer = adam(lr = 1e-3)\n" + section + "\n}\n");
  INFO(r.text);
  REQUIRE(r.model.has_value());
  CHECK(r.text == "");
  return std::move(*r.model);
}

ir::Type label_of(const sema::Model& m) {
  for (const ir::Output& o : m.graph.outputs)
    if (o.name == m.train.losses.front().output) return m.train.losses.front().loss->label_type(m.graph.type(o.value));
  return {};
}

using Names = std::vector<std::string>;
const ir::Type kClass{ir::DType::i32, true, {}};

}  // namespace

TEST_CASE("metrics are named as the runtime reads them") {
  const char* const two = "output y = h -> Dense(3) -> Softmax";
  CHECK(
      trained(two,
              "loss = categorical_crossentropy(y, label)\n metrics = [accuracy, top(2), confusion_matrix, f1, top(2)]")
          .train.metrics == Names{"accuracy", "top2", "confusion_matrix", "f1"});
  CHECK(trained("output y = h -> Dense(1) -> Sigmoid",
                "loss = binary_crossentropy(y, label)\n metrics = [precision(threshold = 0.4), recall(0.5), auc]")
            .train.metrics == Names{"precision@0.4", "recall", "auc"});
  CHECK(trained("output y = h -> Dense(2)", "loss = mse(y, label)\n metrics = [mae, rmse, r2(y)]").train.metrics ==
        Names{"mae", "rmse", "r2"});
  CHECK(trained("output y = h -> Dense(3)\n output z = h -> Tanh",
                "loss = categorical_crossentropy(y, label, from_logits = true)\n metrics = [top(y, 2), perplexity(y)]")
            .train.metrics == Names{"top2", "perplexity"});
  CHECK(trained("output y = h -> Dense(1)", "loss = hinge(y, label)").train.metrics.empty());
}

TEST_CASE("labels are class indices, or values of the output's type") {
  CHECK(label_of(trained("output y = h -> Dense(3) -> Softmax", "loss = categorical_focal(y, label)")) == kClass);
  CHECK(label_of(trained("output y = h -> Dense(1) -> Sigmoid", "loss = binary_focal(y, label, gamma = 1)")) == kClass);
  CHECK(label_of(trained("output y = h -> Dense(5) -> Sigmoid",
                         "loss = binary_crossentropy(y, label, class_weights = [1, 3])")) ==
        ir::Type{ir::DType::f32, true, {5}});
  CHECK(label_of(trained("output y = h -> Dense(5)", "loss = cosine(y, label)")) ==
        ir::Type{ir::DType::f32, true, {5}});
}

TEST_CASE("callbacks watch any metric of the section, wherever it stands") {
  const sema::Model m =
      trained("output y = h -> Dense(2)",
              "callbacks = [early_stopping(val_r2), checkpoint(best = mae), reduce_lr_on_plateau(\"val_recall@0.3\")]\n"
              " metrics = [mae, r2, recall(threshold = 0.3)]\n loss = mse(y, label)");
  REQUIRE(m.train.callbacks.size() == 3);
  CHECK(m.train.callbacks[0].monitor == "val_r2");
  CHECK(m.train.callbacks[1].monitor == "mae");
  CHECK(m.train.callbacks[2].monitor == "val_recall@0.3");
}
