// Every form of an operator computes what the operator does.
#include <doctest/doctest.h>

#include <cmath>
#include <random>
#include <tuple>

#include <fmt/format.h>

#include "compiler/ir/interpret.h"
#include "compiler/ir/rewrite.h"
#include "compiler/schedule/forms.h"
#include "compiler/verify/compare.h"
#include "tests/ops/cases.h"
#include "tests/support/kernel_runner.h"

using namespace netc;
using namespace netc::ir;
using namespace netc::test;

namespace {

struct Net {
  Graph g;
  std::map<std::string, RefTensor> operands;
  ValueId result = kNone;
  RefTensor want;
};

Net net_of(const Case& c, int64_t batch) {
  Net net;
  net.g.name = "form";
  std::mt19937 random(7);
  const std::vector<RefTensor> contents = operands(c, batch, random);
  std::vector<ValueId> in;
  for (size_t i = 0; i < c.in.size(); ++i) {
    Variable v;
    v.name = fmt::format("in{}", i);
    v.role = c.in[i].batched ? Role::input : Role::weight;
    in.push_back(net.g.add_variable(v, c.in[i]));
    net.operands[v.name] = contents[i];
  }
  const OpDef& op = ops::registry().ops.at(c.op);
  net.result = net.g.add(op, in, c.attrs);
  net.g.outputs.push_back({"result", net.result});
  net.want = op.reference(net.g.nodes.back(), net.g, contents, batch)[0];
  return net;
}

/// Relative to the largest element.
double distance(const RefTensor& got, const RefTensor& want) { return verify::compare(want, got, {}).error; }

Case convolution(const char* op, int64_t h, int64_t w, int64_t c, int64_t k, int64_t before, int64_t after,
                 int64_t r = 3, int64_t groups = 1) {
  const Type x{DType::f32, true, {h, w, c}}, kernel{DType::f32, false, {r, r, c / groups, k}};
  const Type y{DType::f32, true, {h + before + after - r + 1, w + before + after - r + 1, k}};
  Attrs a = {{"stride_h", int64_t{1}}, {"stride_w", int64_t{1}}, {"pad_top", before},
             {"pad_bottom", after},    {"pad_left", before},     {"pad_right", after}};
  if (groups > 1) a.set("groups", groups);
  if (std::string(op) == "conv") return {op, {x, kernel}, a};
  if (std::string(op) == "conv_weight_grad") {
    a.set("kh", r), a.set("kw", r);
    return {op, {x, y}, a};
  }
  a.set("in_h", h), a.set("in_w", w);
  return {op, {y, kernel}, a};
}

/// With AVX2's vectors, or with AVX-512's.
Machine with_lanes(int lanes) {
  Machine m;
  m.vector_floats = lanes, m.vector_registers = 2 * lanes;
  return m;
}

/// The form's kernels, in float32, against sums in double, relative to the largest result.
void check_kernels(const Case& c, const Form& form, double bound) {
  Net net = net_of(c, 3);
  form.rewrite(net.g, 0, with_lanes(8));
  ir::restore_order(net.g);
  std::string error;
  const auto got = run_kernels(net.g, host_machine(), net.operands, 3, 3, 2, error);
  REQUIRE_MESSAGE(error.empty(), error);
  CHECK_MESSAGE(distance(got.at(net.result), net.want) < bound,
                fmt::format("{} as {}: {}", name_of(c), form.name, distance(got.at(net.result), net.want)));
}

}  // namespace

TEST_CASE("every form of an operator is the operator") {
  int forms = 0;
  std::vector<Case> all = cases();
  for (const char* op : {"conv", "conv_data_grad", "conv_weight_grad"})
    for (const auto& [before, after] : {std::pair<int64_t, int64_t>{1, 1}, {0, 0}, {2, 1}})
      for (const auto& [r, groups] : {std::pair<int64_t, int64_t>{3, 1}, {5, 1}, {3, 2}, {5, 2}})
        all.push_back(convolution(op, 9, 10, 32, 64, before, after, r, groups));
  for (const Case& c : all)
    for (const Form& form : ops::registry().ops.at(c.op).forms)
      for (const Machine& target : {with_lanes(8), with_lanes(16)}) {
        Net net = net_of(c, 2);
        if (!form.cost(net.g.nodes[0], net.g, target)) continue;
        form.rewrite(net.g, 0, target);
        ir::restore_order(net.g);
        for (const std::string& e : ir::verify(net.g)) FAIL_CHECK(name_of(c) << " as " << form.name << ": " << e);
        const RefTensor got = interpret(net.g, net.operands, 2)[static_cast<size_t>(net.result)];
        CHECK_MESSAGE(distance(got, net.want) < 1e-9, fmt::format("{} as {}", name_of(c), form.name));
        ++forms;
      }
  CHECK(forms > 160);
}

// In float32, against sums in double, relative to the largest result: the bounds that winograd.cpp states.
TEST_CASE("tiles of Winograd keep the bound of their error, whatever the image leaves of the last tile") {
  struct Tile {
    int64_t m, r;
    double bound;
  };
  for (const auto& [m, r, bound] : {Tile{2, 3, 2e-6}, {4, 3, 2e-5}, {6, 3, 2e-4}, {2, 5, 2e-5}, {4, 5, 2e-4}})
    for (const auto& [h, w] : {std::pair<int64_t, int64_t>{13, 15}, {12, 12}, {5, 28}, {28, 3}})
      for (const char* op : {"conv", "conv_data_grad", "conv_weight_grad"})
        for (const Form& form : ops::registry().ops.at(op).forms) {
          if (form.name != fmt::format("winograd{}of{}", m, r)) continue;
          const Case c = convolution(op, h, w, 32, 48, r / 2, r / 2, r, h == w ? 2 : 1);
          check_kernels(c, form, bound);
        }
}

TEST_CASE("where transformed weights are larger than a sample's tiles, tasks are panels of channels") {
  Machine machine = host_machine();
  machine.cores = 2;
  for (const Form& form : ops::registry().ops.at("conv").forms) {
    if (form.name.rfind("winograd", 0) != 0 || form.name.back() != '3') continue;
    const Case c = convolution("conv", 9, 10, 64, 256, 1, 1, 3, 1);
    Net net = net_of(c, 3);
    form.rewrite(net.g, 0, machine);
    ir::restore_order(net.g);
    const plan::Plan plan = schedule::plan_chosen({net.g, 0}, machine, 3, nullptr);
    CHECK(std::any_of(plan.kernels.begin(), plan.kernels.end(),
                      [](const plan::Kernel& k) { return k.strategy.get("by_panel", 0) == 1; }));
    std::string error;
    const auto got = run_kernels(net.g, machine, net.operands, 3, 3, 2, error);
    REQUIRE_MESSAGE(error.empty(), error);
    CHECK_MESSAGE(distance(got.at(net.result), net.want) < 2e-4,
                  fmt::format("{} as {}: {}", name_of(c), form.name, distance(got.at(net.result), net.want)));
  }
}

// The bound that strassen.cpp states.
TEST_CASE("Strassen's products keep the bound of their error, for an odd number of rows too") {
  int forms = 0;
  for (const auto& [t, k, u] : {std::tuple<int64_t, int64_t, int64_t>{25, 64, 192}, {40, 768, 64}, {7, 128, 96}})
    for (const char* op : {"matmul", "matmul_data_grad"})
      for (const Form& form : ops::registry().ops.at(op).forms) {
        if (form.name != "strassen") continue;
        const bool turned = std::string(op) != "matmul";
        const Case c = {op,
                        {Type{DType::f32, true, {t, k}},
                         turned ? Type{DType::f32, false, {u, k}} : Type{DType::f32, false, {k, u}}}};
        check_kernels(c, form, 5e-6);
        ++forms;
      }
  CHECK(forms == 6);
}

// The form is that of a chain of operators, of which the last node joins the heads.
TEST_CASE("attention that nobody looks into is one kernel; what is looked into stays") {
  for (const bool causal : {false, true})
    for (const bool shown : {false, true}) {
      Net net;
      net.g.name = "attention";
      std::mt19937 random(5);
      std::normal_distribution<double> normal;
      std::vector<ValueId> in;
      for (const char* name : {"q", "k", "v"}) {
        Variable v;
        v.name = name;
        v.role = Role::input;
        in.push_back(net.g.add_variable(v, Type{DType::f32, true, {21, 64}}));
        RefTensor& t = net.operands[name] = {{2, 21, 64}, {}};
        for (int i = 0; i < 2 * 21 * 64; ++i) t.data.push_back(normal(random));
      }
      const auto add = [&](const char* op, std::vector<ValueId> inputs, Attrs attrs = {}) {
        return net.g.add(ops::registry().ops.at(op), inputs, attrs);
      };
      const Attrs heads = {{"heads", int64_t{2}}};
      for (ValueId& v : in) v = add("split_heads", {v}, heads);
      ValueId scores = add("batch_matmul", {in[0], in[1]}, {{"transpose_a", false}, {"transpose_b", true}});
      if (causal) scores = add("causal_mask", {scores}, {{"value", -1e9}});
      const ValueId share = add("softmax", {scores});
      net.result =
          add("merge_heads", {add("batch_matmul", {share, in[2]}, {{"transpose_a", false}, {"transpose_b", false}})});
      net.g.outputs.push_back({"result", net.result});
      if (shown) net.g.outputs.push_back({"share", share});
      net.want = interpret(net.g, net.operands, 2)[static_cast<size_t>(net.result)];
      const Graph chosen = schedule::choose_forms(net.g, host_machine(), {}).graph;
      CHECK(chosen.nodes.size() == (shown ? net.g.nodes.size() : 1));
      std::string error;
      const auto got = run_kernels(net.g, host_machine(), net.operands, 2, 2, 2, error);
      REQUIRE_MESSAGE(error.empty(), error);
      CHECK_MESSAGE(distance(got.at(net.result), net.want) < 2e-6,
                    fmt::format("causal {}, shown {}: {}", causal, shown, distance(got.at(net.result), net.want)));
    }
}
