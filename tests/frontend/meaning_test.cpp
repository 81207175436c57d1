// The language says what it means: words keep their meaning beside names of the same spelling, layers that are never
// applied are errors, numbers have ranges.
#include <doctest/doctest.h>

#include <algorithm>

#include <fmt/format.h>

#include "compiler/ir/print.h"
#include "compiler/sema/product.h"
#include "tests/frontend/support.h"

using namespace netc;
using namespace netc::frontend;

namespace {

bool has(const Result& r, const std::string& what) { return r.text.find(what) != std::string::npos; }

std::string net(const std::string& body, const std::string& parameters = "") {
  return "net A" + parameters + " {\n  input x: f32[8, 8, 4]\n" + body + "\n}\n";
}

std::string output(const std::string& chain) { return "  output y = x -> " + chain; }

std::string with_training(const std::string& train, const std::string& data = "") {
  return net(output("Flatten -> Dense(3) -> Softmax")) + "train {\n  loss = categorical_crossentropy(y, label)\n" +
         train + "\n}\n" + data;
}

}  // namespace

TEST_CASE("a word of the language means itself whatever else has its name") {
  struct Row {
    const char *chain, *names;
  };
  const Row rows[] = {{"Concat(x, axis = width)", "width"},
                      {"Concat(x, width)", "width"},
                      {"Concat(x, axis = channel) -> Split(2, axis = channel) -> Add", "channel"},
                      {"Split(2, axis = height) -> Add", "height"},
                      {"Repeat(2, axis = width)", "width"},
                      {"Conv(2, 3, padding = same)", "same"},
                      {"Conv(2, 3, padding = valid)", "valid"},
                      {"MaxPool(2, padding = same)", "same"},
                      {"Mean([height, width])", "height width"},
                      {"Mean(channel)", "channel"},
                      {"Sum(all)", "all"},
                      {"GELU(tanh)", "tanh"},
                      {"Upsample(2, bilinear)", "bilinear"},
                      {"Pad(1, mode = reflect)", "reflect"},
                      {"Conv(2, 3, init = zeros)", "zeros"},
                      {"Conv(2, 3, init = constant(0.5))", "constant"},
                      {"Conv(2, 3, init = orthogonal, constraint = unit_norm)", "orthogonal unit_norm"},
                      {"Centred", "channel width mean"}};
  const std::string op = "op Centred(v) = v - mean(v, [width, channel]) + mean(v, axis = channel)\n";
  for (const Row& row : rows) {
    const Result plain = analyse_text(op + net(output(row.chain)));
    REQUIRE_MESSAGE(plain.model.has_value(), plain.text);
    std::string parameters, lets;
    std::istringstream names(row.names);
    for (std::string n; names >> n;) {
      parameters += (parameters.empty() ? "(" : ", ") + n + " = 2";
      lets += "  let " + n + " = 2 let of_" + n + " = " + n;  // on the line of the chain: places are printed
    }
    for (const Result& r : {analyse_text(op + net(output(row.chain), parameters + ")")),
                            analyse_text(op + net(lets + output(row.chain)))}) {
      INFO(row.chain << "\n" << r.text);
      REQUIRE(r.model.has_value());
      CHECK(ir::print(r.model->graph) == ir::print(plain.model->graph));
    }
  }
}

TEST_CASE("words of expressions and of inputs") {
  const Result formula = analyse_text(
      "net A(channel = 0, width = 1) {\n input x: f32[8, 6, 4]\n output y = mean(x, channel)\n output z = sum(x, "
      "[width, channel])\n}\n");
  REQUIRE_MESSAGE(formula.model.has_value(), formula.text);
  CHECK(formula.model->graph.type(formula.model->graph.outputs[0].value).dims == std::vector<int64_t>{8, 6, 1});
  CHECK(formula.model->graph.type(formula.model->graph.outputs[1].value).dims == std::vector<int64_t>{8, 1, 1});
  const Result input = analyse_text(
      "net A {\n input width: f32[4, 4, 2]\n input x: f32[4, 4, 2]\n output y = x -> Concat(width, axis = width)\n}\n");
  REQUIRE_MESSAGE(input.model.has_value(), input.text);
  CHECK(input.model->graph.type(input.model->graph.outputs[0].value).dims == std::vector<int64_t>{4, 8, 2});
  const Result flip = analyse_text(
      "net A(horizontal = 3, vertical = 1) {\n input x: u8[4, 4, 2]\n output y = x -> Rescale(1/255) -> Flatten -> "
      "Dense(horizontal + vertical)\n}\n"
      "data { augment = [flip(vertical)] }");
  REQUIRE_MESSAGE(flip.model.has_value(), flip.text);
  CHECK(flip.model->data.augment[0].mode == "vertical");
  const Result choice = analyse_text(
      "net A(small = 3, size: one_of(small, large) = \"small\") {\n input x: f32[4]\n output y = x -> "
      "Dense(small)\n}\n");
  CHECK_MESSAGE(choice.model.has_value(), choice.text);
  const Result function =
      analyse_text("net A(sum = 3) {\n input x: f32[4]\n output y = x -> Dense(sum + sum([1, 2]))\n}\n");
  CHECK_MESSAGE(function.model.has_value(), function.text);
}

TEST_CASE("a layer that is never applied asks for the arrow") {
  const char* const bodies[] = {"  output y = x -> Conv(4, 3) -> ReLU MaxPool(2) -> Flatten -> Dense(3)",
                                "  output y = x -> Flatten -> Dense(3)\n  ReLU",
                                "  output y = x -> Flatten -> Dense(3)\n  Dense(4)",
                                "  output y = x -> Flatten\n  Dense(3) -> Softmax",
                                "  let h = x -> Flatten\n  Dense(4)\n  output y = h -> Dense(2)",
                                "  ReLU\n  output y = x -> Flatten",
                                "  if x.rank == 3 { ReLU }\n  output y = x -> Flatten",
                                "  for i in 0..2 { Dense(i + 1) }\n  output y = x -> Flatten",
                                "  block B { Conv(4, 3) ReLU }\n  output y = x -> B",
                                "  block B { input a  Conv(4, 3) }\n  output y = x -> B",
                                "  block B { input a  output b = a -> ReLU  Conv(4, 3) }\n  output y = x -> B",
                                "  block B { for i in 0..2 { ReLU } }\n  output y = x -> B",
                                "  block B { if x.rank == 3 { Tanh }  ReLU }\n  output y = x -> B",
                                "  op Twice(v) = 2 * v\n  output y = x -> Flatten\n  Twice",
                                "  let c = Conv(4, 3)\n  c\n  output y = x -> c",
                                "  output y = x -> Flatten\n  if x.rank == 3 { Dense(3) }"};
  for (const char* body : bodies) {
    const Result r = analyse_text(net(body));
    INFO(body << "\n" << r.text);
    CHECK(!r.model.has_value());
    CHECK(has(r, "[never_applied]"));
    CHECK(has(r, "is -> missing"));
  }
  for (const char* body :
       {"  block B { Conv(4, 3) -> ReLU }\n  output y = x -> B",
        "  block B(deep = true) { if deep { Conv(4, 3) -> ReLU } else { ReLU } }\n  output y = x -> B",
        "  block B { ReLU }\n  output y = x -> B"})
    CHECK_MESSAGE(analyse_text(net(body)).model.has_value(), body);
}

TEST_CASE("numbers that cannot be meant are refused with their range") {
  const char* const augmentations[] = {"rotate(30)",      "rotate(0.6)",   "rotate(0)",    "rotate(-0.1)",
                                       "shift(20, 20)",   "shift(0.1, 2)", "zoom(50, 50)", "zoom(1)",
                                       "brightness(100)", "contrast(30)",  "contrast(-1)"};
  for (const char* a : augmentations)
    CHECK_MESSAGE(has(analyse_text(net(output("Flatten")) + "data { augment = [" + a + "] }"), "[argument_range]"), a);
  CHECK(has(analyse_text(net(output("Flatten")) + "data { augment = [rotate(30)] }"), "degrees / 360"));
  for (const char* a :
       {"flip(0.5)", "rotate(0.1, 0.2)", "zoom(0.1, 0.1, 0.1)", "rotate(degrees = 3)", "rotate", "flip(sideways)"})
    CHECK_MESSAGE(!analyse_text(net(output("Flatten")) + "data { augment = [" + a + "] }").model.has_value(), a);
  for (const char* o :
       {"sgd(lr = 0)", "sgd(lr = -1)", "sgd(lr = 0.1, momentum = 1.0)", "sgd(lr = 0.1, momentum = -0.1)",
        "adam(lr = 0)", "adam(lr = 1e5)", "adam(beta1 = 1.5)", "adam(beta2 = 1)", "adam(epsilon = 0)"})
    CHECK_MESSAGE(has(analyse_text(with_training(std::string("optimizer = ") + o)), "[argument_range]"), o);
  for (const char* c :
       {"early_stopping(patience = 0)", "reduce_lr_on_plateau(factor = 1)", "reduce_lr_on_plateau(factor = 0)"})
    CHECK_MESSAGE(
        has(analyse_text(with_training(std::string("optimizer = adam() callbacks = [") + c + "]")), "[argument_range]"),
        c);
  for (const char* l : {"Dropout(1)",
                        "Dropout(50)",
                        "Dropout(-0.5)",
                        "BatchNorm(momentum = 1)",
                        "BatchNorm(epsilon = 0)",
                        "LayerNorm(epsilon = -1)",
                        "LeakyReLU(20)",
                        "ELU(-1)",
                        "Noise(-1)",
                        "Conv(4, 3, l2 = -1)",
                        "Conv(4, 3, stride = 0)",
                        "Conv(4, 3, padding = -1)",
                        "Conv(0, 3)",
                        "Conv(4, 3, constraint = max_norm(0))",
                        "Conv(4, 3, init = gaussian(-1))",
                        "LRN(5, alpha = -1)",
                        "Rescale(1e9)",
                        "Normalise(0, 0)",
                        "SpatialDropout(1.5)",
                        "DropPath(-0.1)"})
    CHECK_MESSAGE(has(analyse_text(net(output(l))), "[argument_range]"), l);
  CHECK(!analyse_text(net(output("Rescale(0)"))).model.has_value());
  CHECK(has(analyse_text(net(output("Flatten -> Dense(3) -> Softmax")) +
                         "train { loss = categorical_crossentropy(y, label, label_smoothing = 1) optimizer = adam() }"),
            "[argument_range]"));
  for (const char* e : {"batch = 0", "batch = -1", "epochs = 0", "seed = -1", "batch = 1e9"})
    CHECK_MESSAGE(!analyse_text(with_training(std::string("optimizer = adam() ") + e)).model, e);
}

TEST_CASE("arguments by position come before those with names, and decimals have a point") {
  struct Row {
    const char *train, *help;
  };
  for (const Row& row : {Row{"optimizer = adam(lr = 0,01)", "0.01"}, Row{"optimizer = sgd(momentum = 0,9)", "0.9"},
                         Row{"optimizer = sgd(lr = 0,1, momentum = 0,9)", "0.1"},
                         Row{"optimizer = sgd(momentum = 0.9, 1)", "before momentum"}}) {
    const Result r = analyse_text(with_training(row.train));
    INFO(r.text);
    CHECK(has(r, "[argument_order]"));
    CHECK(has(r, row.help));
  }
  CHECK(has(analyse_text(net(output("Flatten -> Dropout(0,5)"))), "decimals take a point: 0.5"));
  CHECK(has(analyse_text(net("  let rate = 0,5\n" + output("Flatten"))), "decimals take a point: 0.5"));
  CHECK(has(analyse_text(net(output("Conv(4, stride = 2, 3)"))), "[argument_order]"));
  CHECK(has(analyse_text("fn f(a, b) = a + b\n" + net(output("Conv(f(b = 1, 2), 3)"))), "[argument_order]"));
  CHECK(has(analyse_text("block B(a = 1, b = 2) { Conv(a, b) }\n" + net(output("B(b = 1, 2)"))), "[argument_order]"));
}

TEST_CASE("statistics over a batch of one value") {
  const auto text = [](const char* layers, int batch) {
    return net(output(layers)) +
           fmt::format("train {{ loss = categorical_crossentropy(y, label) optimizer = adam() batch = {} }}", batch);
  };
  CHECK(has(analyse_text(text("Flatten -> Dense(8) -> BatchNorm -> Dense(3) -> Softmax", 1)), "[statistics_of_one]"));
  CHECK(has(analyse_text(text("Conv(8, 8) -> BatchNorm -> Flatten -> Dense(3) -> Softmax", 1)), "[statistics_of_one]"));
  CHECK(analyse_text(text("Flatten -> Dense(8) -> BatchNorm -> Dense(3) -> Softmax", 2)).text == "");
  CHECK(analyse_text(text("Conv(8, 3) -> BatchNorm -> Flatten -> Dense(3) -> Softmax", 1)).text == "");
  CHECK(analyse_text(text("Flatten -> Dense(8) -> LayerNorm -> Dense(3) -> Softmax", 1)).text == "");
}

TEST_CASE("what no product can be made of is an error") {
  const auto errors = [](const std::string& body) {
    const std::string text = "net A {\n" + body + "\n}\n";
    const SourceFile source("a.net", text);
    Diagnostics diagnostics(source);
    const std::optional<ast::File> file = load(source, {}, diagnostics);
    const std::optional<sema::Model> model = sema::analyse(*file, {}, ops::registry(), diagnostics);
    REQUIRE_MESSAGE(model.has_value(), diagnostics.render(false));
    sema::check_product(*file, *model, diagnostics);
    return diagnostics.errors();
  };
  CHECK(errors("input x: f32[4] output y = x -> Dense(2)") == 0);
  CHECK(errors("input x: f32[4] output y = x") == 0);
  CHECK(errors("input x: u8[*, *, 3] output y = x -> Resize(4, 4) -> Rescale(1/255)") == 0);
  CHECK(errors("input x: u8[4] output y = x") == 1);
  CHECK(errors("input x: i32[4] output y = x -> Reshape(2, 2)") == 1);
  CHECK(errors("input x: u8[*, *, 3] output y = x") == 1);
  CHECK(errors("input x: u8[*, *, 3] input z: f32[4] output y = z -> Dense(2)") == 1);
}

TEST_CASE("a window over channels is no wider than they are") {
  for (const auto& [size, taken] : {std::pair{3, 3}, std::pair{7, 7}, std::pair{9, 7}, std::pair{1023, 7}}) {
    const Result r = analyse_text(net(output(fmt::format("LRN({})", size))));
    REQUIRE_MESSAGE(r.model.has_value(), r.text);
    CHECK(r.model->graph.nodes.back().attrs.i("size") == taken);
  }
}
