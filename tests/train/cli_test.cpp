// The other commands of a program: predict, eval, bench, summary, info, and what they do with wrong input.
#include <doctest/doctest.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include "tests/train/support.h"

using namespace netc::rt;
using namespace netc::rt::test;
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// Pictures of some classes and weights trained on them.
struct Trained {
  TempFolder folder;
  bool two;
  std::string weights;
  explicit Trained(bool two_classes = false) : two(two_classes), weights(folder.path("run/best.safetensors")) {
    reset();
    make_pictures(folder.path("train"),
                  two ? std::vector<std::string>{"cat", "dog"} : std::vector<std::string>{"apple", "banana", "cherry"},
                  20, 1);
    REQUIRE(run({"train", "--data", folder.path("train"), "--out", folder.path("run"), "--epochs", "8", "--quiet"}, two)
                .code == 0);
  }
  Output go(std::vector<std::string> arguments) const { return run(std::move(arguments), two); }
};

}  // namespace

TEST_CASE("usage errors exit 2, help and version 0") {
  CHECK(run({}).code == 2);
  CHECK(run({"fly"}).code == 2);
  CHECK(run({"train", "--epochs", "many"}).code == 2);
  CHECK(run({"train", "--batch", "0"}).code == 2);
  CHECK(run({"train", "--lr", "-1"}).code == 2);
  CHECK(run({"predict", "x.png"}).code == 2);
  CHECK(run({"eval"}).code == 2);
  CHECK(run({"bench", "fly"}).code == 2);
  CHECK_FALSE(run({"fly"}).err.empty());
  const Output help = run({"--help"});
  CHECK(help.code == 0);
  for (const char* command : {"train", "eval", "predict", "bench", "summary", "info"}) CHECK(has(help.out, command));
  CHECK(run({"train", "--help"}).code == 0);
  CHECK(has(run({"--version"}).out, "0123456789abcdef"));
  for (const char* command : {"train", "eval", "predict", "bench", "summary", "info"})
    CHECK(has(run({command, "--version"}).out, "0123456789abcdef"));
}

TEST_CASE("usage errors are one line that suggests what was meant") {
  struct Case {
    std::vector<std::string> arguments;
    const char* near;
  };
  const Case cases[] = {{{"trian"}, "train"},
                        {{"train", "--epoch", "3"}, "--epochs"},
                        {{"train", "--epohcs=3"}, "--epochs"},
                        {{"predict", "--wieghts", "w", "x.png"}, "--weights"},
                        {{"bench", "--kernel"}, "--kernels"},
                        {{"summary", "--jsn"}, "--json"}};
  for (const Case& c : cases) {
    const Output out = run(c.arguments);
    INFO(out.err);
    CHECK(out.code == 2);
    CHECK(has(out.err, std::string("did you mean ") + c.near + "?"));
    CHECK(std::count(out.err.begin(), out.err.end(), '\n') == 1);
  }
}

TEST_CASE("predict names the classes as the training data did") {
  const Trained t;
  const Output one = t.go({"predict", "--weights", t.weights, t.folder.path("train/banana/0.png")});
  CHECK(one.code == 0);
  CHECK(has(one.out, "banana/0.png: banana 0."));
  const Output all = t.go({"predict", "--weights", t.weights, t.folder.path("train"), "--json", "--top", "3"});
  CHECK(all.code == 0);
  const json j = json::parse(all.out);
  REQUIRE(j.size() == 60);
  int right = 0;
  for (const json& one_file : j) {
    right += has(one_file["file"].get<std::string>(), "/" + one_file["class"].get<std::string>() + "/");
    REQUIRE(one_file["top"].size() == 3);
    double sum = 0;
    for (const json& a : one_file["top"]) sum += a["probability"].get<double>();
    CHECK(sum == doctest::Approx(1));
    CHECK(one_file["top"][0]["probability"] >= one_file["top"][1]["probability"]);
  }
  CHECK(right > 50);
}

TEST_CASE("a damaged picture is named, the others are still predicted, and the exit code is 1") {
  const Trained t;
  const std::string bad = t.folder.path("bad.png");
  write(bad, "\x89PNG\r\n\x1a\n and then nothing");
  const Output o = t.go({"predict", "--weights", t.weights, t.folder.path("train/apple/1.png"), bad,
                         t.folder.path("missing.jpg"), t.folder.path("train/cherry/1.png")});
  CHECK(o.code == 1);
  CHECK(has(o.out, "apple/1.png: "));
  CHECK(has(o.out, "cherry/1.png: "));
  CHECK(has(o.err, bad));
  CHECK(has(o.err, "missing.jpg"));
  const Output only = t.go({"predict", "--weights", t.weights, bad, "--json"});
  CHECK(only.code == 1);
  CHECK(json::parse(only.out).empty());
}

TEST_CASE("predict without usable weights") {
  const Trained t;
  const std::string image = t.folder.path("train/apple/1.png");
  CHECK(t.go({"predict", "--weights", t.folder.path("none"), image}).code == 1);
  write(t.folder.path("cut"), contents(t.weights).substr(0, 100));
  const Output cut = t.go({"predict", "--weights", t.folder.path("cut"), image});
  CHECK(cut.code == 1);
  CHECK(has(cut.err, "cut"));
  const Output other = run({"predict", "--weights", t.weights, image}, true);  // another network's
  CHECK(other.code == 1);
  CHECK(has(other.err, "dense.weight"));
}

TEST_CASE("a single output answers both classes") {
  const Trained t(true);
  const Output o = t.go({"predict", "--weights", t.weights, t.folder.path("train/cat/0.png"),
                         t.folder.path("train/dog/0.png"), "--json", "--top", "2"});
  REQUIRE(o.code == 0);
  const json j = json::parse(o.out);
  CHECK(j[0]["class"] == "cat");
  CHECK(j[1]["class"] == "dog");
  for (const json& one : j) {
    REQUIRE(one["top"].size() == 2);
    CHECK(one["top"][0]["probability"].get<double>() + one["top"][1]["probability"].get<double>() ==
          doctest::Approx(1));
  }
  const Output eval = t.go({"eval", "--weights", t.weights, "--data", t.folder.path("train"), "--json"});
  CHECK(json::parse(eval.out)["confusion_matrix"].size() == 2);
}

TEST_CASE("eval: figures, matrix, classes, and the share of the largest class") {
  const Trained t;
  const Output text = t.go({"eval", "--weights", t.weights, "--data", t.folder.path("train")});
  CHECK(text.code == 0);
  for (const char* part : {"loss ", "accuracy ", "top2 ", "confusion matrix", "precision", "0.3333", "banana"})
    CHECK(has(text.out, part));
  const json j = json::parse(t.go({"eval", "--weights", t.weights, "--data", t.folder.path("train"), "--json"}).out);
  CHECK(j["samples"] == 60);
  CHECK(j["accuracy"] > 0.8);
  int sum = 0;
  for (const json& row : j["confusion_matrix"])
    for (const json& cell : row) sum += cell.get<int>();
  CHECK(sum == 60);
  fs::remove_all(t.folder.path("train/apple"));  // labels stay those of the training
  const json rest = json::parse(t.go({"eval", "--weights", t.weights, "--data", t.folder.path("train"), "--json"}).out);
  CHECK(rest["samples"] == 40);
  CHECK(rest["accuracy"] > 0.8);
  const Output none = t.go({"eval", "--weights", t.weights});
  CHECK(none.code == 1);
  CHECK(has(none.err, "--data"));
}

TEST_CASE("bench, summary and info, as text and as JSON") {
  for (const char* what : {"train", "predict"}) {
    const Output o = run({"bench", what, "--seconds", "0.02", "--batch", "4", "--json", "--kernels"});
    REQUIRE(o.code == 0);
    const json j = json::parse(o.out);
    for (const char* key : {"ms", "p95_ms", "min_ms", "gflops", "gbytes_per_s", "samples_per_s", "peak_memory"})
      CHECK(j[key] > 0);
    CHECK(j["kernels"].size() == (std::string(what) == "train" ? 2 : 1));
    CHECK(run({"bench", what, "--seconds", "0.02", "--kernels"}).code == 0);
  }
  CHECK(has(run({"summary"}).out, "Total params: 195"));
  CHECK(json::parse(run({"summary", "--json"}).out)["trainable"] == 195);
  CHECK(has(run({"info"}).out, "0123456789abcdef"));
  CHECK(json::parse(run({"info", "--json"}).out)["hyperparameters"]["width"] == "\"<64>\"");
}

TEST_CASE("nothing but an exit code leaves program_main") {
  const CreateFn throws = [](const CreateOptions&, std::string&) -> std::unique_ptr<Model> { throw 1; };
  const CreateFn refuses = [](const CreateOptions&, std::string& error) -> std::unique_ptr<Model> {
    return error = "no memory for it", nullptr;
  };
  std::string program = "./fake", bench = "bench";
  char* argv[] = {program.data(), bench.data()};
  CHECK(program_main(2, argv, regression(), throws) == 70);
  CHECK(program_main(2, argv, regression(), refuses) == 1);
}
