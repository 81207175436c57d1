// The driver's text: the same each time, as the golden file has it, and with nothing a user wrote breaking out of it.
#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "compiler/emit/driver.h"
#include "compiler/emit/text.h"
#include "tests/emit/support.h"

using namespace netc;

namespace {

Machine fixed_machine() {
  Machine m;  // the defaults: the text does not depend on where the test runs
  m.halide_target = "x86-64-linux-avx-avx2-f16c-fma-sse41";
  return m;
}

}  // namespace

TEST_CASE("the driver of a small net is as the golden file has it") {
  const Machine machine = fixed_machine();
  auto net = support::load("tiny", support::kTinyNet, 8, true, &machine);
  net->unit.with_main = true;
  const std::string text = emit::driver_source(net->unit),
                    path = NETC_SOURCE_DIR "/tests/emit/golden/tiny_driver.expected";
  if (std::getenv("NETC_UPDATE_GOLDEN")) {
    std::ofstream(path) << text;
    return;
  }
  std::ifstream f(path);
  const std::string want(std::istreambuf_iterator<char>(f), {});
  CHECK_MESSAGE(text == want, "the driver's text changed; when that is meant, run test_emit with NETC_UPDATE_GOLDEN=1");
}

TEST_CASE("the driver is the same each time") {
  for (const char* source : {support::kTinyNet, support::kPhotoNet, "models/lenet5.net"}) {
    auto a = support::load("same", source, 16), b = support::load("same", source, 16);
    CHECK(emit::driver_source(a->unit) == emit::driver_source(b->unit));
  }
}

TEST_CASE("the driver has no line that is too long to read, and no trailing blanks") {
  auto net = support::load("lenet", "models/lenet.net", 4);
  const std::string text = emit::driver_source(net->unit);
  CHECK(text.find(" \n") == std::string::npos);
  CHECK(text.find("\n\n\n") == std::string::npos);
  for (const char* step :
       {"void forward()", "void backward()", "void update()", "void prepare(const Memory& m)", "void loss()"})
    CHECK(text.find(step) != std::string::npos);
}

TEST_CASE(
    "tables: which inputs are cut, and what running averages keep in a step, also where a layer is applied twice") {
  const char* source = R"(
net A {
  input whole: u8[*, *, 3]
  input cut: u8[*, *, 3]
  input boxed: f32[9, 9, 3]
  input padded: f32[9, 9, 3]
  let norm = BatchNorm(momentum = 0.5)
  let once = BatchNorm(momentum = 0.75)
  let a = [whole -> Resize(8, 8), cut -> Crop(8, 8) -> Rescale(1), boxed -> Resize(8, 8, fit = letterbox), padded -> Pad(1, mode = edge) -> Crop(8, 8)] -> Add
  output y = a -> norm -> Conv(3, 3) -> norm -> once -> GlobalAvgPool -> Dense(2) -> Softmax
}
train { loss = sparse_categorical_crossentropy(y, label)  optimizer = sgd(lr = 0.1)  batch = 4 }
)";
  const std::string text = emit::info_tables(support::load("a", source, 4)->unit);
  const auto row = [&](const std::string& name) {
    const size_t at = text.find("\"" + name + "\"");
    return at == std::string::npos ? "" : text.substr(at, text.find('\n', at) - at);
  };
  CHECK(row("whole").find("false") == std::string::npos);
  CHECK(row("cut").find(".stretched = false}") != std::string::npos);
  CHECK(row("boxed").find(".stretched = false}") != std::string::npos);
  CHECK(row("padded").find("false") == std::string::npos);
  for (const char* name : {"norm.mean", "norm.variance"})
    CHECK_MESSAGE(row(name).find(", 0.25}") != std::string::npos, row(name));
  CHECK_MESSAGE(row("once.mean").find(", 0.75}") != std::string::npos, row("once.mean"));
  CHECK(row("once.gamma").find("0.75") == std::string::npos);
}

TEST_CASE("pieces of text") {
  CHECK(emit::identifier("stage1.conv.weight") == "stage1_conv_weight");
  CHECK(emit::identifier("3d") == "n3d");
  for (const char* word : {"class", "constexpr", "co_await", "char8_t", "and_eq", "NAN", "NULL", "errno", "stdin",
                           "assert", "linux", "unix", "std", "printf", "isnan", "major", "size_t", "timer"})
    CHECK(emit::identifier(word) == std::string(word) + "_");
  for (const char* name : {"lenet", "conv1", "Options", "kind", "label", "image", "width"})
    CHECK(emit::identifier(name) == name);
  CHECK(emit::quoted("a\"b\\\n?") == "\"a\\\"b\\\\\\n\\077\"");
  CHECK(emit::literal(0.1f) == "0.1f");
  CHECK(emit::literal(1e30) == "1e+30");
  CHECK(emit::grouped(-1234567) == "-1,234,567");
  CHECK(emit::fill("$a$ ${b} $c$ $a", {{"a", "$c$"}}) == "$c$ ${b} $c$ $a");
}

TEST_CASE("a net whose documentation looks like code") {
  auto net = support::load("odd", "/// \"; int x = 1; // $net$ */ \\\n" + std::string(support::kTinyNet + 1), 4);
  auto product = support::load_product(*net);
  std::string error;
  auto m = product->create({.threads = 1}, error);
  REQUIRE(m);
  CHECK(std::string(m->info().doc) == net->model.doc);
}
