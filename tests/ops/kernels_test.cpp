// Every operator as the compiler runs it: scheduled, compiled to a kernel of its own, against its reference.
#include <doctest/doctest.h>

#include <random>

#include <fmt/format.h>

#include "compiler/verify/compare.h"
#include "compiler/verify/rounding.h"
#include "tests/ops/cases.h"
#include "tests/support/kernel_runner.h"

using namespace netc;
using namespace netc::ir;
using namespace netc::test;

namespace {

/// All cases that are kernels in one graph, so that they compile together; nothing joins them.
struct All {
  Graph g;
  std::map<std::string, RefTensor> operands;
  struct Result {
    std::string name;
    ValueId value;
    RefTensor want;
    std::vector<RefTensor> rounded;
  };
  std::vector<Result> results;
};

All all_cases(int64_t batch) {
  All all;
  all.g.name = "cases";
  std::mt19937 random(5);
  for (const Case& c : cases()) {
    const OpDef& op = ops::registry().ops.at(c.op);
    if (op.kind == Kind::view || op.kind == Kind::ingest) continue;
    const std::vector<RefTensor> contents = operands(c, batch, random);
    std::vector<ValueId> in;
    for (size_t i = 0; i < c.in.size(); ++i) {
      Variable v;
      v.name = fmt::format("{}.{}", all.results.size(), i);
      v.role = c.in[i].batched ? Role::input : Role::weight;
      in.push_back(all.g.add_variable(v, c.in[i]));
      all.operands[v.name] = contents[i];
    }
    const std::vector<ValueId> out = all.g.add_nodes_results(op, in, c.attrs);
    const Node& node = all.g.nodes.back();
    const std::vector<RefTensor> want = op.reference(node, all.g, contents, batch);
    const std::vector<RefTensor> near[] = {verify::off_by_rounding(node, all.g, contents, batch, 1),
                                           verify::off_by_rounding(node, all.g, contents, batch, 2)};
    for (size_t i = 0; i < out.size(); ++i) {
      all.g.outputs.push_back({fmt::format("result {}", all.results.size()), out[i]});
      all.results.push_back({name_of(c), out[i], want[i], {near[0][i], near[1][i]}});
    }
  }
  return all;
}

}  // namespace

TEST_CASE("every operator's kernel agrees with the reference") {
  for (const auto& [batch, target] : {std::pair{1, "host"}, std::pair{5, "x86-64-avx2"}}) {
    const All all = all_cases(batch);
    Machine m;
    REQUIRE(machine_for(target, m));
    std::string error;
    const auto got = run_kernels(all.g, m, all.operands, batch, 8, 2, error);
    REQUIRE_MESSAGE(error.empty(), error);
    for (const All::Result& r : all.results) {
      const verify::Comparison c =
          verify::compare(r.want, got.at(r.value), {&r.rounded[0], &r.rounded[1]}, verify::kKernelRelative);
      CHECK_MESSAGE(c.ok(), fmt::format("{} at batch {}: {} of {}; {}", r.name, batch, c.error, c.bound,
                                        verify::describe(c, r.want)));
    }
  }
}
