#include "compiler/schedule/make_plan.h"
#include "compiler/tool/limit.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "compiler/emit/text.h"
#include "compiler/schedule/forms.h"
#include "compiler/schedule/limit.h"
#include "runtime/counted.h"

namespace netc::tool {
namespace {

using emit::grouped;

constexpr size_t kNamed = 4;  // layers that a line names

int64_t bytes_of(const emit::Unit& u) {
  const emit::Memory m = memory_of(u, 0);
  return u.train ? training_bytes(m, 0) : inference_bytes(m, 0);
}

double flops_of(const plan::Plan& p) {
  double flops = 0;
  for (const plan::Kernel& k : p.kernels) flops += k.flops * p.max_batch + k.fixed_flops;
  return flops;
}

/// The layers that these are results of, each once.
std::vector<std::string> names(const ir::Graph& g, std::vector<ir::ValueId> values) {
  std::sort(values.begin(), values.end());
  std::vector<std::string> names;
  for (const ir::ValueId v : values) {
    const int32_t layer = g.nodes[static_cast<size_t>(g.values[static_cast<size_t>(v)].def)].layer;
    const std::string name =
        layer == ir::kNone ? g.values[static_cast<size_t>(v)].name : g.layers[static_cast<size_t>(layer)].name;
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  return names;
}

/// The largest batch that fits, planned as the unit is; 0: none.
int largest_batch(emit::Unit u, const ir::Graph& inference, int64_t limit) {
  const plan::Plan* training = u.train;
  int fits = 0;
  for (int too_many = u.infer->max_batch; too_many - fits > 1;) {
    const int batch = (fits + too_many) / 2;
    plan::Plan train, infer = schedule::make_plan(inference, *u.machine, batch);
    if (training) train = schedule::plan_chosen({*training->graph}, *u.machine, batch);
    u.infer = &infer;
    u.train = training ? &train : nullptr;
    (bytes_of(u) <= limit ? fits : too_many) = batch;
  }
  return fits;
}

}  // namespace

bool limit_memory(emit::Unit& unit, const passes::Program& program, const schedule::Tuning& tuning, plan::Plan& train,
                  int64_t limit, LimitCost& cost, std::string& error) {
  if (bytes_of(unit) <= limit) return true;
  if (unit.train) {
    const int64_t others = bytes_of(unit) - std::max(train.arena_bytes, unit.infer->arena_bytes);
    cost.unlimited_arena = train.arena_bytes;
    cost.unlimited_flops = flops_of(train);
    // Evaluation, in the same arena, takes what it takes.
    schedule::LimitedPlan within = schedule::plan_within(program.training, *unit.machine, train.max_batch,
                                                         std::max(limit - others, unit.infer->arena_bytes), &tuning);
    train = std::move(within.plan);
    cost.layers = names(program.training, within.recomputed);
    cost.plain = names(program.training, within.plain);
    cost.arena = train.arena_bytes;
    cost.flops = flops_of(train);
  }
  const int64_t least = bytes_of(unit);
  if (least <= limit) return true;
  const int batch = largest_batch(unit, unit.train ? program.evaluation : program.inference, limit);
  error = fmt::format("--memory-limit: {} at batch {} takes {} bytes at least, more than {}; {}",
                      unit.train ? "training" : "inference", unit.infer->max_batch, grouped(least), grouped(limit),
                      batch > 0 ? fmt::format("a batch of {} would fit (--max-batch {})", batch, batch)
                                : std::string("not even a batch of 1 would fit"));
  return false;
}

std::string text(const LimitCost& c, bool all) {
  if (c.layers.empty() && c.plain.empty()) return "";
  std::string what;
  const auto add = [&](const std::vector<std::string>& names, const char* how) {
    if (names.empty()) return;
    const size_t n = all ? names.size() : std::min(kNamed, names.size());
    what += fmt::format("{} {} ({}{}), ", rt::counted(static_cast<int64_t>(names.size()), "layer"), how,
                        fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(n), ", "),
                        n < names.size() ? ", ..." : "");
  };
  add(c.layers, "computed again in the backward pass");
  add(c.plain, "in a form that takes less memory");
  return fmt::format("within the limit: {}{:.1f} % more operations; arena {} bytes instead of {}\n", what,
                     100 * (c.flops / c.unlimited_flops - 1), grouped(c.arena), grouped(c.unlimited_arena));
}

}  // namespace netc::tool
