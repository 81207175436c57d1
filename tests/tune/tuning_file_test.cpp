// The tuning file: what is written is read back, what is wrong is named with its line, and what is read decides what a
// kernel does, or nothing at all.
#include <doctest/doctest.h>

#include <random>

#include <fmt/format.h>

#include "compiler/nests/nest.h"
#include "compiler/schedule/forms.h"
#include "compiler/schedule/make_plan.h"
#include "tests/tune/support.h"

using namespace netc;
using namespace netc::schedule;

namespace {

const char* kNet = R"(
net N { input x: f32[16, 16, 16]
  output y = x -> Conv(32, 3, padding = same) -> ReLU -> Conv(32, 3, padding = same) -> ReLU -> Flatten -> Dense(10) -> Softmax }
train { loss = sparse_categorical_crossentropy(y, label)  optimizer = sgd(lr = 1e-3)  batch = 8  epochs = 1 }
)";

std::string file_of(const std::string& lines) { return "netc-tuning 1\n" + lines; }

std::string refused(const std::string& text) {
  std::string error;
  CHECK_MESSAGE(!parse_tuning(text, error), text);
  return error;
}

}  // namespace

TEST_CASE("a tuning file is read as it was written, sorted, one entry a line") {
  Tuning t;
  t.set({"znver3,8x16,2",
         "00000000000000ff",
         "conv_relu",
         "conv_lanes vector=8 rows=6",
         {{32, 10.5, 12.25}, {1, 0.5, 0.75}},
         false});
  t.set({"haswell,8x16,4", "0123456789abcdef", "conv1", "winograd4", {{8, 3, 3}}, true});
  t.set({"znver3,8x16,2", "00000000000000aa", "a", "map vector=8", {{1, 1, 1}}, false});
  const std::string text = print(t);
  std::string error;
  const auto read = parse_tuning(text, error);
  REQUIRE_MESSAGE(read, error);
  CHECK(print(*read) == text);
  CHECK(
      text.find(
          "kernel znver3,8x16,2 00000000000000ff 32:10.50/12.25,1:0.50/0.75 conv_relu conv_lanes vector=8 rows=6\n") !=
      std::string::npos);
  CHECK(text.find("form haswell") < text.find("00000000000000aa"));
  CHECK(text.find("00000000000000aa") < text.find("00000000000000ff"));
  const TuningEntry* e = read->find("znver3,8x16,2", "00000000000000ff");
  REQUIRE(e);
  CHECK(e->timings.size() == 2);
  CHECK(e->timings[1].default_us == 0.75);
  CHECK(!read->find("haswell,8x16,4", "00000000000000ff"));
}

TEST_CASE("a broken tuning file is an error with its line") {
  const std::string good = "kernel m 0123456789abcdef 8:1.5/2 name map vector=8\n";
  std::string error;
  CHECK(parse_tuning(file_of(good), error));
  CHECK(parse_tuning(file_of("# a remark\r\n\r\n" + good), error));
  CHECK(refused("").find("line 1: ") == 0);
  CHECK(refused("netc-tuning 2\n").find("line 1: ") == 0);
  CHECK(refused(file_of(good + "<<<<<<< HEAD\n")).find("line 3: an entry begins with kernel or form") == 0);
  CHECK(refused(file_of(good + good)).find("line 3: the same machine and key as in line 2") == 0);
  CHECK(refused(file_of("kernel m 0123 8:1/2 name map\n")).find("line 2: the key") == 0);
  for (const char* time :
       {"8", "8:1", "8:1/x", "0:1/2", "-1:1/2", "8:0/2", "8:nan/1", "8:1/inf", "8:1/2,", "8/1:2", ":/"})
    CHECK_MESSAGE(refused(file_of(fmt::format("kernel m 0123456789abcdef {} name map\n", time))).find("line 2: ") == 0,
                  time);
  CHECK(refused(file_of("kernel m 0123456789abcdef 8:1/2 name")).find("line 2: the line ends") == 0);
  CHECK(refused(file_of("kernel")).find("line 2: ") == 0);
}

TEST_CASE("no mutation of a tuning file does harm") {
  const passes::Program p = support::program(kNet);
  const Machine m = support::machine();
  Tuning t;
  const Plan plain = make_plan(p.inference, m, 8);
  for (const Kernel& k : plain.kernels)
    t.set({machine_key(m), kernel_key(plain, k), k.name, k.strategy.text(), {{8, 1, 2}}, false});
  const std::string text = print(t);
  std::mt19937 rng(7);
  for (int i = 0; i < 3000; ++i) {
    std::string broken = text;
    for (int n = 1 + static_cast<int>(rng() % 3); n > 0; --n) {
      const size_t at = rng() % broken.size();
      switch (rng() % 4) {
        case 0: broken[at] = static_cast<char>(rng()); break;
        case 1: broken.erase(at, rng() % 20); break;
        case 2: broken[at] = static_cast<char>('0' + rng() % 10); break;
        default: broken.insert(at, broken.substr(rng() % broken.size(), rng() % 40)); break;
      }
      if (broken.empty()) broken = " ";
    }
    std::string error;
    const auto read = parse_tuning(broken, error);
    CHECK(read.has_value() == error.empty());
    if (!read || i % 20) continue;
    const Plan plan = make_plan(p.inference, m, 8, &*read);
    for (size_t k = 0; k < plan.kernels.size(); ++k)
      if (plan.kernels[k].strategy.text() != plain.kernels[k].strategy.text())
        CHECK(nests::can_take({plain, plain.kernels[k], m}, plan.kernels[k].strategy));
  }
}

TEST_CASE("an entry changes its kernel's strategy, where key, machine and choice fit, and the schedule shows it") {
  const passes::Program p = support::program(kNet);
  const Machine m = support::machine();
  const Plan plain = make_plan(p.inference, m, 8);
  int changed = 0;
  for (const Kernel& k : plain.kernels) {
    const auto near = nests::neighbours({plain, k, m}, k.strategy, 2);
    if (near.empty() || k.phase == Phase::prepare) continue;
    CAPTURE(k.name);
    const std::string other = near.front().text();
    const auto planned = [&](const std::string& machine, const std::string& key, const std::string& choice) {
      Tuning t;
      t.set({machine, key, k.name, choice, {{8, 3.5, 4}}, false});
      return make_plan(p.inference, m, 8, &t);
    };
    const Plan tuned = planned(machine_key(m), kernel_key(plain, k), other);
    CHECK(tuned.tuned >= 1);
    CHECK(print(tuned).find(other + ",") != std::string::npos);
    CHECK(print(tuned).find("(measured 3.5 us)") != std::string::npos);
    for (const Plan& same :
         {planned("other,8x16,2", kernel_key(plain, k), other), planned(machine_key(m), "0123456789abcdef", other),
          planned(machine_key(m), kernel_key(plain, k), other + " more=1"),
          planned(machine_key(m), kernel_key(plain, k), other + "000"),
          planned(machine_key(m), kernel_key(plain, k), "map")}) {
      CHECK(same.tuned == 0);
      CHECK(print(same) == print(plain));
    }
    ++changed;
  }
  CHECK(changed >= 3);
}

TEST_CASE("keys tell batches and training apart") {
  const passes::Program p = support::program(kNet);
  const Machine m = support::machine();
  const Plan a = make_plan(p.inference, m, 8), b = make_plan(p.inference, m, 16);
  CHECK(kernel_key(a, a.kernels.back()) != kernel_key(b, b.kernels.back()));
  CHECK(form_key(p.inference, 0, 8) != form_key(p.inference, 0, 16));
  CHECK(form_key(p.inference, 0, 8) != form_key(p.training, 0, 8));
}

TEST_CASE("an entry changes a node's form") {
  const passes::Program p = support::program(kNet);
  const Machine m = support::machine();
  int changed = 0;
  for (ir::NodeId n = 0; n < static_cast<ir::NodeId>(p.inference.nodes.size()); ++n) {
    const auto forms = forms_of(p.inference, n, m);
    if (forms.size() < 2) continue;
    ++changed;
    for (const std::string& form : forms) {
      Tuning t;
      t.set({machine_key(m), form_key(p.inference, n, 8), "n", form, {{8, 1, 1}}, true});
      const Plan plan = make_plan(p.inference, m, 8, &t);
      CHECK(plan.tuned >= 1);
      const bool tiles = form.rfind("winograd", 0) == 0;
      const bool has = std::any_of(plan.kernels.begin(), plan.kernels.end(), [&](const Kernel& k) {
        return k.strategy.name == "winograd" &&
               form.rfind(fmt::format("winograd{}of", k.strategy.get("tile", 0)), 0) == 0;
      });
      CHECK_MESSAGE(has == tiles, form);
    }
    Tuning t;
    t.set({machine_key(m), form_key(p.inference, n, 8), "n", "nonsense", {{8, 1, 1}}, true});
    CHECK(make_plan(p.inference, m, 8, &t).tuned == 0);
  }
  CHECK(changed >= 2);
}
