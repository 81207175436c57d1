#include "compiler/report/report.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace netc::report {

bool add_rows(const std::string& plan_name, const plan::Plan& plan, const Machine& machine,
              const std::vector<lower::Object>& objects, std::vector<Row>& rows, std::string& error) {
  for (size_t i = 0; i < plan.kernels.size() && i < objects.size(); ++i) {
    const plan::Kernel& k = plan.kernels[i];
    Row r{.plan = plan_name,
          .kernel = k.name,
          .phase = to_string(k.phase),
          .shapes = k.comment,
          .strategy = k.strategy.text(),
          .cost_us = k.strategy.cost_us,
          .flops = k.flops * plan.max_batch + k.fixed_flops,
          .bytes = k.bytes * plan.max_batch + k.fixed_bytes,
          .scratch = objects[i].scratch,
          .code = {}};
    if (!inspect(objects[i].object, machine.cpu, r.code, error)) {
      error = fmt::format("kernel {}: {}", k.name, error);
      return false;
    }
    rows.push_back(std::move(r));
  }
  return true;
}

std::string text(const std::vector<Row>& rows) {
  size_t name = 6;
  for (const Row& r : rows) name = std::max(name, r.kernel.size());
  std::string s, plan;
  for (const Row& r : rows) {
    if (r.plan != plan) {
      const std::string head =
          fmt::format("{:<{}}  {:<8}  {:>9}  {:>6}  {:>9}  {:>11}  {:>11}  {:>9}  {:>7}  {}", r.plan, name, "phase",
                      "estimate", "vector", "FMA", "loads", "stores", "spills", "code", "strategy");
      s += fmt::format("{}{}\n{}\n", s.empty() ? "" : "\n", head, std::string(head.size(), '-'));
      plan = r.plan;
    }
    const auto both = [](int all, int inner) { return fmt::format("{} ({})", all, inner); };
    const Counts& all = r.code.all;
    const Counts& inner = r.code.inner;
    s += fmt::format("{:<{}}  {:<8}  {:>6.0f} us  {:>6}  {:>9}  {:>11}  {:>11}  {:>9}  {:>7}  {}\n", r.kernel, name,
                     r.phase, r.cost_us, all.vector_bits ? fmt::format("{}", all.vector_bits) : "-",
                     both(all.fma, inner.fma), both(all.loads, inner.loads), both(all.stores, inner.stores),
                     both(all.spills, inner.spills), r.code.bytes, r.strategy);
  }
  return s +
         "\nEstimates are for a full batch on all cores. Vector: bits of the widest packed arithmetic. FMA, loads, "
         "stores: instructions\n"
         "in the code, in brackets those of the busiest innermost loop. Spills: vector registers stored to the stack "
         "or read back. Code: bytes.\n";
}

std::string json(const std::vector<Row>& rows) {
  const auto counts = [](const Counts& c) {
    return nlohmann::json{{"instructions", c.instructions},
                          {"fma", c.fma},
                          {"dot", c.dot},
                          {"loads", c.loads},
                          {"stores", c.stores},
                          {"spills", c.spills},
                          {"vector_bits", c.vector_bits}};
  };
  nlohmann::json all = nlohmann::json::array();
  for (const Row& r : rows) {
    nlohmann::json j = {{"plan", r.plan},
                        {"kernel", r.kernel},
                        {"phase", r.phase},
                        {"shapes", r.shapes},
                        {"strategy", r.strategy},
                        {"estimated_us", r.cost_us},
                        {"flops", r.flops},
                        {"bytes", r.bytes},
                        {"scratch_bytes", r.scratch},
                        {"code_bytes", r.code.bytes},
                        {"inner_loop_bytes", r.code.inner_bytes}};
    j["code"] = counts(r.code.all);
    j["inner_loop"] = counts(r.code.inner);
    all.push_back(std::move(j));
  }
  return all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace netc::report
