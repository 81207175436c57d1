// Whole runs of `train`: files, resuming, callbacks, failures.
#include <doctest/doctest.h>

#include <csignal>
#include <sstream>

#include <nlohmann/json.hpp>

#include "runtime/core/safetensors.h"
#include "runtime/train/trainer.h"
#include "tests/train/support.h"

using namespace netc::rt;
using namespace netc::rt::test;
namespace fs = std::filesystem;

namespace {

const std::vector<std::string> kClasses{"apple", "banana", "cherry"};

/// Training and validation pictures, and the arguments to train on them.
struct Setup {
  TempFolder folder;
  Setup() {
    reset();
    make_pictures(folder.path("train"), kClasses, 20, 1);
    make_pictures(folder.path("valid"), kClasses, 8, 2);
  }
  ~Setup() { reset(); }
  std::vector<std::string> arguments(const std::string& out, std::vector<std::string> more = {}) const {
    std::vector<std::string> a{"train", "--data",        folder.path("train"), "--valid", folder.path("valid"),
                               "--out", folder.path(out)};
    a.insert(a.end(), more.begin(), more.end());
    return a;
  }
  std::string file(const std::string& name) const { return contents(folder.path(name)); }
};

/// The working folder while it lives.
struct In {
  fs::path before = fs::current_path();
  explicit In(const std::string& path) { fs::current_path(path); }
  ~In() { fs::current_path(before); }
};

std::vector<std::vector<std::string>> csv(const std::string& text) {
  std::vector<std::vector<std::string>> rows;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream cells(line);
    rows.emplace_back();
    for (std::string cell; std::getline(cells, cell, ',');) rows.back().push_back(cell);
  }
  return rows;
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("training lowers the loss and leaves a whole run folder") {
  const Setup s;
  const Output o = run(s.arguments("run", {"--epochs", "6"}));
  CHECK_MESSAGE(o.code == 0, o.err);
  CHECK(has(o.out, "Epoch 6/6"));
  CHECK_FALSE(has(o.out, "\r"));  // not a terminal
  const auto rows = csv(s.file("run/results.csv"));
  REQUIRE(rows.size() == 7);
  CHECK(rows[0] == std::vector<std::string>{"epoch", "loss", "accuracy", "top2", "val_loss", "val_accuracy", "val_top2",
                                            "lr", "seconds"});
  for (const auto& row : rows) CHECK(row.size() == rows[0].size());
  CHECK(std::stod(rows[6][1]) < 0.7 * std::stod(rows[1][1]));
  CHECK(std::stod(rows[6][5]) > 0.8);
  for (const char* name : {"args.json", "report.html", "best.safetensors", "last.safetensors", "state/state.json"})
    CHECK(fs::exists(s.folder.path(std::string("run/") + name)));
  const auto weights = WeightsFile::open(s.folder.path("run/best.safetensors"));
  REQUIRE(weights);
  CHECK((*weights)->metadata().at("classes") == R"(["apple","banana","cherry"])");
  CHECK((*weights)->find("dense.weight.momentum") == nullptr);
}

TEST_CASE("the same seed gives the same weights, another seed others") {
  const Setup s;
  CHECK(run(s.arguments("a", {"--quiet", "--threads", "1"})).code == 0);
  CHECK(run(s.arguments("b", {"--quiet", "--threads", "3"})).code == 0);
  CHECK(run(s.arguments("c", {"--quiet", "--seed", "2"})).code == 0);
  CHECK(s.file("a/last.safetensors") == s.file("b/last.safetensors"));
  CHECK(s.file("a/last.safetensors") != s.file("c/last.safetensors"));
}

TEST_CASE("a run resumed after Ctrl-C ends with the bits of an uninterrupted one") {
  const Setup s;
  REQUIRE(run(s.arguments("whole", {"--epochs", "4"})).code == 0);
  // 8 steps an epoch: within, at the end, at the beginning of one
  for (const uint32_t step : {1u, 5u, 8u, 9u, 16u, 31u, 32u}) {
    CAPTURE(step);
    const std::string name = "cut" + std::to_string(step);
    behaviour.interrupt_at = step;
    const Output cut = run(s.arguments(name, {"--epochs", "4"}));
    CHECK(cut.code == 130);
    CHECK(has(cut.out, "--resume " + s.folder.path(name)));
    reset();
    const Output rest = run({"train", "--resume", s.folder.path(name)});
    CHECK_MESSAGE(rest.code == 0, rest.err);
    CHECK(s.file(name + "/last.safetensors") == s.file("whole/last.safetensors"));
    CHECK(s.file(name + "/best.safetensors") == s.file("whole/best.safetensors"));
    auto a = csv(s.file(name + "/results.csv")), b = csv(s.file("whole/results.csv"));
    for (auto* rows : {&a, &b})
      for (auto& row : *rows) row.pop_back();  // seconds
    CHECK(a == b);
  }
}

TEST_CASE("Ctrl-C during validation saves and resumes to the same bits") {
  const Setup s;
  REQUIRE(run(s.arguments("whole", {"--epochs", "2"})).code == 0);
  behaviour.interrupt_evaluation = true;
  CHECK(run(s.arguments("cut", {"--epochs", "2"})).code == 130);
  CHECK_FALSE(fs::exists(s.folder.path("cut/results.csv")));
  CHECK(run({"train", "--resume", s.folder.path("cut")}).code == 0);
  CHECK(s.file("cut/last.safetensors") == s.file("whole/last.safetensors"));
}

TEST_CASE("a finished run can be given more epochs, and resumed with nothing left to do") {
  const Setup s;
  REQUIRE(run(s.arguments("whole", {"--epochs", "3"})).code == 0);
  REQUIRE(run(s.arguments("more", {"--epochs", "1"})).code == 0);
  fs::remove(s.folder.path("more/report.html"));
  CHECK(run({"train", "--resume", s.folder.path("more")}).code == 0);
  CHECK(fs::exists(s.folder.path("more/report.html")));
  CHECK(run({"train", "--resume", s.folder.path("more"), "--epochs", "3"}).code == 0);
  CHECK(s.file("more/last.safetensors") == s.file("whole/last.safetensors"));
  CHECK(run({"train", "--resume", s.folder.path("more"), "--batch", "4"}).code == 1);
  CHECK(run({"train", "--resume", s.folder.path("train")}).code == 1);
}

TEST_CASE("a loss that is no number stops the run and keeps the best weights") {
  const Setup s;
  behaviour.nan_at = 20;  // in the third epoch
  const Output o = run(s.arguments("run", {"--epochs", "5", "--lr", "0.05"}));
  CHECK(o.code == 1);
  CHECK(has(o.err, "--lr 0.005"));
  CHECK(has(o.err, "best.safetensors"));
  CHECK(csv(s.file("run/results.csv")).size() == 3);
  const auto weights = WeightsFile::open(s.folder.path("run/best.safetensors"));
  REQUIRE(weights);
  for (const TensorView& t : (*weights)->tensors())
    for (size_t i = 0; i < t.elements; ++i) CHECK(std::isfinite(t.data[i]));
}

TEST_CASE("callbacks: early stopping, a lower rate, a csv of one's own") {
  const Setup s;
  const std::string log = s.folder.path("log.csv");
  behaviour.callbacks = {{"early_stopping", "lr", 0, 3, nullptr},
                         {"reduce_lr_on_plateau", "lr", 0.5, 1, nullptr},
                         {"csv", nullptr, 0, 0, log.c_str()}};
  // the rate never rises, so both count from the second epoch on
  const Output o = run(s.arguments("run", {"--epochs", "50"}));
  CHECK(o.code == 0);
  CHECK(has(o.out, "stopping early"));
  const auto rows = csv(s.file("run/results.csv"));
  REQUIRE(rows.size() == 5);
  CHECK(std::stod(rows[1][7]) == doctest::Approx(0.05));
  CHECK(std::stod(rows[4][7]) == doctest::Approx(0.0125));
  CHECK(contents(log) == s.file("run/results.csv"));
}

TEST_CASE("runs never overwrite one another") {
  const Setup s;
  const In there(s.folder.path());
  const std::vector<std::string> arguments{"train", "--data", "train", "--epochs", "1", "--quiet"};
  CHECK(run(arguments).code == 0);
  CHECK(run(arguments).code == 0);
  CHECK(fs::exists("runs/fake-1/best.safetensors"));
  CHECK(fs::exists("runs/fake-2/best.safetensors"));
  CHECK(run(s.arguments("runs/fake-1")).code == 1);
}

TEST_CASE("without validation the best epoch is that of the training accuracy") {
  const Setup s;
  const Output o =
      run({"train", "--data", s.folder.path("train"), "--out", s.folder.path("run"), "--epochs", "2", "--json"});
  REQUIRE(o.code == 0);
  std::istringstream lines(o.out);
  std::vector<nlohmann::json> events;
  for (std::string line; std::getline(lines, line);) events.push_back(nlohmann::json::parse(line));
  REQUIRE(events.size() == 4);
  CHECK(events[0]["event"] == "start");
  CHECK(events[1]["event"] == "epoch");
  CHECK(events[2]["epoch"] == 2);
  CHECK(events[3]["event"] == "done");
  CHECK(events[3]["majority_share"] == doctest::Approx(1.0 / 3));
  CHECK_FALSE(events[1].contains("val_loss"));
}

TEST_CASE("a validation folder with some of the classes gets the training data's labels") {
  const Setup s;
  fs::remove_all(s.folder.path("valid/apple"));
  REQUIRE(run(s.arguments("run", {"--epochs", "8"})).code == 0);
  CHECK(std::stod(csv(s.file("run/results.csv")).back()[5]) > 0.8);
}

TEST_CASE("damaged pictures are left out and named") {
  const Setup s;
  write(s.folder.path("train/banana/3.png"), "no picture");
  const Output o = run(s.arguments("run", {"--epochs", "1"}));
  CHECK(o.code == 0);
  CHECK(has(o.out, "banana/3.png"));
  CHECK(has(s.file("run/report.html"), "banana/3.png"));
}

TEST_CASE("a run that cannot start says what to do") {
  const Setup s;
  const In there(s.folder.path());
  CHECK(has(run({"train"}).err, "--data"));
  CHECK(run({"train", "--data", s.folder.path("nothing")}).code == 1);
  CHECK_FALSE(fs::exists("runs"));
  CHECK(run(s.arguments("run", {"--weights", s.folder.path("none.safetensors")})).code == 1);
  CHECK_FALSE(fs::exists(s.folder.path("run")));
}
