// Products of nets with several inputs, outputs and labels, as a user has them: a library, and programs that train,
// evaluate and predict.
#include <doctest/doctest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tests/emit/support.h"

using namespace netc;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

const char* kShapesNet = R"(
net Shapes {
  input image: u8[16, 16, 3]
  let seen = image -> Rescale(1/255) -> Conv(6, 3) -> ReLU -> MaxPool(2) -> Flatten -> Dense(24) -> ReLU
  output kind  = seen -> Dense(5) -> Softmax
  output place = seen -> Dense(4) -> Sigmoid
}
data { train = synthetic(shapes) }
train {
  loss = sparse_categorical_crossentropy(kind, label) + 4 * squared_error(place, corner)
  optimizer = adam(lr = 3e-3)  batch = 20  epochs = 3  seed = 2
}
)";

const char* kDigitsNet = R"(
net Digits {
  input x: f32[64]
  output clean = x -> Rescale(1/255)
  output back = clean -> Dense(24) -> ReLU -> Dense(64) -> Sigmoid
}
data { train = synthetic(digits) }
train { loss = squared_error(back, clean)  optimizer = adam(lr = 5e-3)  batch = 20  epochs = 3 }
)";

const char* kTableNet = R"(
net Table {
  input x: f32[2]
  output price = x -> Dense(8) -> Tanh -> Dense(1)
}
train { loss = squared_error(price, label)  optimizer = adam(lr = 2e-2)  batch = 10  epochs = 20 }
)";

const char* kPairNet = R"(
net Pair {
  input left: u8[*, *, 1]
  input right: u8[*, *, 1]
  block Tower { input a  output a -> Resize(8, 8) -> Rescale(1/255) -> Flatten -> Dense(8) }
  output same = left -> Tower -> Add(right -> Tower) -> ReLU -> Dense(1) -> Sigmoid
}
data { train = pairs(synthetic(digits)) }
train { loss = binary_crossentropy(same, label)  optimizer = adam(lr = 1e-2)  batch = 10  epochs = 1 }
)";

struct Said {
  int code;
  std::string out;
};

/// A program in a folder of its own, run there.
class Program {
 public:
  Program(const std::string& name, const char* source) : name_(name) {
    auto net = support::load(name, source, 20);
    net->unit.with_main = true;
    emit::Built built;
    std::string error;
    REQUIRE_MESSAGE(emit::build_program(net->unit, support::options(), folder_.file(name), built, error), error);
  }
  Said run(const std::string& arguments) const {
    const std::string command = fmt::format("cd '{}' && ./{} {} 2>&1", folder_.file(""), name_, arguments);
    FILE* pipe = popen(command.c_str(), "r");
    REQUIRE(pipe);
    Said said{0, {}};
    char buffer[4096];
    for (size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) said.out.append(buffer, n);
    said.code = WEXITSTATUS(pclose(pipe));
    return said;
  }
  json says(const std::string& arguments) const {
    const Said s = run(arguments);
    REQUIRE_MESSAGE(s.code == 0, s.out);
    return json::parse(s.out);
  }
  std::string read(const std::string& file) const {
    std::string text, error;
    REQUIRE_MESSAGE(emit::read_whole(folder_.file(file), text, error), error);
    return text;
  }
  void write(const std::string& file, const std::string& text) const {
    std::string error;
    REQUIRE(emit::write_file(folder_.file(file), text, error));
  }
  /// results.csv's column, an epoch each.
  std::vector<double> column(const std::string& run, const std::string& name) const {
    std::istringstream lines(read(run + "/results.csv"));
    std::string line, cell;
    int at = -1;
    std::getline(lines, line);
    std::istringstream names(line);
    for (int i = 0; std::getline(names, cell, ','); ++i)
      if (cell == name) at = i;
    REQUIRE_MESSAGE(at >= 0, name << " is not among " << line);
    std::vector<double> values;
    while (std::getline(lines, line)) {
      std::istringstream cells(line);
      for (int i = 0; i <= at; ++i) std::getline(cells, cell, ',');
      values.push_back(std::stod(cell));
    }
    return values;
  }

 private:
  std::string name_;
  emit::TempFolder folder_;
};

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

constexpr const char* kApplication = R"code(
#include <stdio.h>
#include <stdlib.h>
#include <vector>
#include <two.h>

static void require(bool good, const char* what) {
  if (good) return;
  printf("not so: %s\n", what);
  exit(1);
}

int main(int, char** argv) {
  two::Options options;
  options.threads = 1;
  options.training = true;
  two::Two net(options);
  require(static_cast<bool>(net) && net.initialise(1), "an instance that trains");
  std::vector<unsigned char> image(9 * 7 * 3, 50);
  const float extra[3] = {0.1f, 0.2f, 0.3f}, corner[4] = {0, 0.5f, 0.25f, 1};
  require(net.get_place() == nullptr, "nothing before the first run");
  float first = 0, loss = 0;
  for (int step = 0; step < 40; ++step) {
    for (int i = 0; i < 4; ++i) {
      image[0] = static_cast<unsigned char>(step);
      require(net.set_photo(i, image.data(), 9, 7) && net.set_extra(i, extra), "inputs");
      require(net.set_label(i, i % 3) && net.set_corner(i, corner), "labels");
    }
    require(net.train_step(4, 0, loss), "a step");
    if (step == 0) first = loss;
  }
  require(loss < first, "it learns");
  require(!net.set_label(0, 3) && !net.set_corner(9, corner) && !net.set_extra(0, nullptr), "what cannot be is refused");
  require(!net.set_photo(0, image.data(), 0, 7) && !net.error().empty(), "an image without rows is refused");
  const float* kind = net.infer(4);
  require(kind && net.get_kind() == kind && net.get_place(), "two outputs");
  require(two::Two::outputs == 3 && two::Two::kind_size == 3 && two::Two::place_size == 4, "their sizes");
  float place = net.get_place()[3];
  require(net.save(argv[1]), "weights");
  options.training = false;
  two::Two again(options);
  require(again.load(argv[1]), "from a file");
  for (int i = 0; i < 4; ++i) again.set_photo(i, image.data(), 9, 7), again.set_extra(i, extra);
  require(again.infer(4) && again.get_place()[3] == place, "the same");
  puts("good");
}
)code";

}  // namespace

TEST_CASE("a library of two inputs and two outputs has a function for each port") {
  emit::TempFolder folder;
  emit::BuildOptions options = support::options();
  std::string error;
  emit::Built built;
  const std::string lib = folder.file("lib");
  REQUIRE_MESSAGE(emit::build_library(support::load("two", support::kTwoNet, 4)->unit, options, lib, built, error),
                  error);
  REQUIRE(emit::write_file(folder.file("app.cpp"), kApplication, error));
  REQUIRE_MESSAGE(emit::run_process({options.toolchain.cxx, "-std=c++11", "-O1", "-Wall", "-Wextra", "-Werror",
                                     folder.file("app.cpp"), "-I" + lib + "/include", lib + "/lib/libtwo.a",
                                     "-lpthread", "-o", folder.file("app")},
                                    error),
                  error);
  CHECK_MESSAGE(emit::run_process({folder.file("app"), folder.file("w.safetensors")}, error), error);
  REQUIRE(emit::write_file(
      folder.file("c.c"),
      "#include <two_c.h>\nint main(void) { return two_get_place(0) != 0 || TWO_PLACE_SIZE != 4; }\n", error));
  if (!emit::find_executable("cc").empty())
    CHECK_MESSAGE(emit::run_process({"cc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-c",
                                     folder.file("c.c"), "-I" + lib + "/include", "-o", folder.file("c.o")},
                                    error),
                  error);
  std::string header;
  REQUIRE(emit::read_whole(lib + "/include/two.h", header, error));
  CHECK(has(header, "net.set_photo(0, pixels, height, width);"));
  CHECK(!has(header, "predict("));
  REQUIRE(emit::read_whole(lib + "/README.md", header, error));
  CHECK(has(header, "Inputs: photo u8[*, *, 3], extra f32[3]. Outputs: kind f32[3], place f32[4]."));
}

TEST_CASE("a program of two outputs: trains, resumes, evaluates, predicts") {
  const Program p("shapes", kShapesNet);
  const Said trained = p.run("train --data synthetic:shapes:400 --out a --threads 2");
  REQUIRE_MESSAGE(trained.code == 0, trained.out);
  CHECK(has(trained.out, "kind:loss"));
  for (const char* name : {"loss", "kind:loss", "place:loss", "val_place:loss"}) {
    const auto v = p.column("a", name);
    REQUIRE(v.size() == 3);
    CHECK_MESSAGE(v.back() < v.front(), name);
  }
  const double total = p.column("a", "loss")[0], kind = p.column("a", "kind:loss")[0],
               place = p.column("a", "place:loss")[0];
  CHECK(total == doctest::Approx(kind + 4 * place).epsilon(1e-3));
  CHECK(p.column("a", "val_accuracy").size() == 3);
  CHECK(p.run("train --data synthetic:shapes:400 --out b --epochs 1 --quiet").code == 0);
  CHECK(p.run("train --resume b --epochs 3 --quiet").code == 0);
  CHECK(p.read("a/last.safetensors") == p.read("b/last.safetensors"));
  const json e = p.says("eval --data synthetic:shapes:400 --weights a/best.safetensors --json");
  CHECK(e["place:loss"] < 0.2);
  CHECK(e["samples"] == 80);
  const json all = p.says("predict --weights a/best.safetensors synthetic:shapes:40 --json");
  REQUIRE(all.size() == 8);
  CHECK(all[3]["outputs"]["place"].size() == 4);
  CHECK(all[3]["outputs"]["kind"].size() == 5);
  CHECK(has(p.run("predict --weights a/best.safetensors synthetic:shapes:5").out, "  place: 0."));
  CHECK(has(p.run("info").out, "outputs: kind f32[5], place f32[4]; labels: label i32[], corner f32[4]"));
  CHECK(p.says("summary --json")["outputs"]["place"] == "f32[4]");
  CHECK(p.run("bench train --seconds 0.02 --batch 4").code == 0);
}

TEST_CASE("an autoencoder needs no labels, and its best epoch is that of the lowest loss") {
  const Program p("digits", kDigitsNet);
  const Said trained = p.run("train --data synthetic:digits:400 --out a");
  REQUIRE_MESSAGE(trained.code == 0, trained.out);
  const auto loss = p.column("a", "val_loss");
  CHECK(loss.back() < 0.9 * loss.front());
  CHECK(has(trained.out, "best epoch 3: val_loss"));
  CHECK(!has(p.read("a/results.csv"), "accuracy"));
  const json one = p.says("predict --weights a/best.safetensors synthetic:digits:5 --json")[0];
  CHECK(one["outputs"]["back"].size() == 64);
  CHECK(!one.contains("class"));
}

TEST_CASE("a table: a part is held out, rows in and values out") {
  const Program p("table", kTableNet);
  std::string text = "a,b,price\n";
  for (int i = 0; i < 100; ++i)
    text += fmt::format("{},{},{}\n", i % 10 / 10.0, i / 100.0, i % 10 / 10.0 - 0.5 * i / 100.0);
  p.write("t.csv", text);
  const Said trained = p.run("train --data csv:t.csv --out a");
  REQUIRE_MESSAGE(trained.code == 0, trained.out);
  CHECK(has(trained.out, "80 rows of 3 columns"));
  CHECK(has(trained.out, "validation on csv:t.csv: 20 rows of 3 columns, held out of the training data"));
  CHECK(p.column("a", "val_loss").back() < 0.01);
  p.write("new.csv", "a,b\n0.5,0.5\n0.9,0.1\n");
  const json rows = p.says("predict --weights a/best.safetensors new.csv --json");
  REQUIRE(rows.size() == 2);
  CHECK(rows[1]["file"] == "csv:new.csv line 3");
  CHECK(rows[0]["outputs"]["price"][0].get<double>() == doctest::Approx(0.25).epsilon(0.5));
  CHECK(has(p.run("predict --weights a/best.safetensors new.csv").out, "csv:new.csv line 2: 0."));
  CHECK(p.run("predict --weights a/best.safetensors picture.png").code == 1);
  p.write("bad.csv", "a,b\n0.5,x\n");
  CHECK(has(p.run("predict --weights a/best.safetensors bad.csv").out, "bad.csv:2: 'x' in column b is no number"));
  CHECK(has(p.run("eval --weights a/best.safetensors --data csv:t.csv").out, "100 rows"));
}

TEST_CASE("two photos of any size: each has its own way in") {
  const Program p("pair", kPairNet);
  const Said trained = p.run("train --data pairs:synthetic:digits:60 --out a");
  REQUIRE_MESSAGE(trained.code == 0, trained.out);
  CHECK(has(trained.out, "pairs of synthetic:digits"));
  CHECK(p.says("predict --weights a/best.safetensors pairs:synthetic:digits:20 --json")[0]["class"].is_string());
  const Said odd = p.run("predict --weights a/best.safetensors " NETC_SOURCE_DIR "/tests/scripts/photo.jpg");
  CHECK((odd.code == 1 && has(odd.out, "takes 2 images at a time")));
  const std::string photo = NETC_SOURCE_DIR "/tests/scripts/photo.jpg";
  const Said two = p.run("predict --weights a/best.safetensors " + photo + " " + photo);
  CHECK_MESSAGE((two.code == 0 && has(two.out, photo + ", " + photo + ": ")), two.out);
}
