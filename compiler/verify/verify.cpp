#include "compiler/schedule/make_plan.h"
#include "compiler/verify/verify.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "compiler/ir/interpret.h"
#include "compiler/passes/passes.h"
#include "compiler/schedule/check.h"
#include "compiler/schedule/limit.h"
#include "compiler/verify/elements.h"
#include "compiler/verify/rounding.h"

namespace netc::verify {
namespace {

using namespace ir;
using plan::Kernel;
using plan::Plan;

/// The first samples of the batch, as float32 holds them.
Contents first_samples(const Graph& g, const Contents& contents, int batch) {
  Contents out;
  for (const Variable& v : g.variables) {
    const auto given = contents.find(v.name);
    if (given == contents.end()) continue;
    RefTensor t = given->second;
    const Type& type = g.type(v.value);
    if (type.batched && !t.dims.empty() && t.dims[0] > batch) {
      t.data.resize(t.data.size() / static_cast<size_t>(t.dims[0]) * static_cast<size_t>(batch));
      t.dims[0] = batch;
    }
    for (double& x : t.data) x = rounded_to(type.dtype, x);
    out[v.name] = std::move(t);
  }
  return out;
}

/// Differences from what a variable held: small steps count as much as large weights.
void subtract(RefTensor& t, const RefTensor& from) {
  for (size_t i = 0; i < t.data.size() && i < from.data.size(); ++i) t.data[i] -= from.data[i];
}

class Verifier {
 public:
  Verifier(std::string where, const Plan& p, const Contents& contents, const Options& o, Report& report)
      : where_(std::move(where)),
        p_(p),
        g_(*p.graph),
        contents_(contents),
        o_(o),
        report_(report) {
    for (const Update& u : g_.updates) updates_[u.value] = u.variable;
  }

  bool run(std::string& error) {
    for (const std::string& fault : ir::verify(g_)) report_.faults.push_back(where_ + ": " + fault);
    for (const std::string& fault : schedule::check_plan(p_)) report_.faults.push_back(where_ + ": " + fault);
    kernels_ = Kernels::load(p_, o_.machine, o_.lower, o_.toolchain, error);
    if (!kernels_) return false;
    if (o_.kernels && !one_by_one(error)) return false;
    std::set<int> batches = {p_.max_batch};
    if (o_.batches) batches.insert({1, std::max(1, p_.max_batch - 1)});
    for (auto b = batches.rbegin(); b != batches.rend(); ++b)
      if (!whole_steps(*b, error)) return false;
    return true;
  }

 private:
  RefTensor old_contents(int32_t variable, const Contents& contents) const {
    const Variable& v = g_.variables[static_cast<size_t>(variable)];
    const auto given = contents.find(v.name);
    if (given != contents.end()) return given->second;
    return {g_.type(v.value).dims, std::vector<double>(static_cast<size_t>(g_.type(v.value).elements()), 0.0)};
  }

  void add(std::vector<Line>& lines, const std::string& what, ValueId v, RefTensor want, RefTensor got,
           std::vector<RefTensor> rounded, const Contents& contents, double relative) {
    if (const auto update = updates_.find(v); update != updates_.end()) {
      const RefTensor old = old_contents(update->second, contents);
      subtract(want, old), subtract(got, old);
      for (RefTensor& r : rounded) subtract(r, old);
    }
    std::vector<const RefTensor*> list;
    for (const RefTensor& r : rounded) list.push_back(&r);
    Line line{where_, what, compare(want, got, list, relative), ""};
    if (!line.result.ok()) line.text = describe(line.result, want);
    lines.push_back(std::move(line));
  }

  // Each kernel on operands from the interpreter, rounded: its own error, whatever came before.
  bool one_by_one(std::string& error) {
    const int batch = p_.max_batch;
    const Contents contents = first_samples(g_, contents_, batch);
    const auto values = interpret(g_, contents, batch);
    const auto run = Run::create(*kernels_, Layout::apart, batch, 2, error);
    if (!run) return false;
    for (size_t k = 0; k < p_.kernels.size(); ++k) {
      const Kernel& kernel = p_.kernels[k];
      run->set(contents);  // a kernel before may have overwritten some
      std::vector<RefTensor> exact(g_.values.size());
      for (size_t i = 0; i < kernel.inputs.size(); ++i) {
        RefTensor t = values[static_cast<size_t>(kernel.input_values[i])];
        for (double& x : t.data) x = rounded_to(g_.type(kernel.input_values[i]).dtype, x);
        if (kernel.phase != plan::Phase::ingest) run->put(kernel.inputs[i], t);
        exact[static_cast<size_t>(kernel.input_values[i])] = std::move(t);
      }
      std::vector<std::vector<RefTensor>> rounded(static_cast<size_t>(o_.roundings), exact);
      for (const NodeId n : kernel.nodes) {
        evaluate(n, exact, [&](const Node& node, const std::vector<RefTensor>& in) {
          return node.op->reference(node, g_, in, batch);
        });
        for (size_t r = 0; r < rounded.size(); ++r)
          evaluate(n, rounded[r], [&](const Node& node, const std::vector<RefTensor>& in) {
            return off_by_rounding(node, g_, in, batch, 1 + r);
          });
      }
      std::string fault;
      if (!run->run_kernel(k, fault)) {
        report_.faults.push_back(where_ + ": " + fault);
        continue;
      }
      for (size_t i = 0; i < kernel.outputs.size(); ++i) {
        const auto v = static_cast<size_t>(kernel.output_values[i]);
        std::vector<RefTensor> near;
        for (const auto& r : rounded) near.push_back(r[v]);
        const std::string what =
            kernel.outputs.size() == 1
                ? kernel.name
                : fmt::format("{}, {}", kernel.name, p_.buffers[static_cast<size_t>(kernel.outputs[i])].name);
        add(report_.kernels, what, kernel.output_values[i], exact[v], run->get(kernel.outputs[i]), std::move(near),
            contents, kKernelRelative);
      }
    }
    return true;
  }

  void evaluate(NodeId n, std::vector<RefTensor>& values, const Evaluate& how) const {
    const Node& node = g_.nodes[static_cast<size_t>(n)];
    std::vector<RefTensor> in;
    for (const ValueId v : node.inputs) in.push_back(values[static_cast<size_t>(v)]);
    std::vector<RefTensor> out = how(node, in);
    for (size_t i = 0; i < out.size() && i < node.results.size(); ++i)
      values[static_cast<size_t>(node.results[i])] = std::move(out[i]);
  }

  // A step as a product runs it, with any number of threads: outputs, the loss and its terms, what variables become.
  bool whole_steps(int batch, std::string& error) {
    const Contents contents = first_samples(g_, contents_, batch);
    const auto exact = interpret(g_, contents, batch);
    std::vector<std::vector<RefTensor>> rounded;
    for (uint64_t key = 1; key <= static_cast<uint64_t>(o_.roundings); ++key)
      rounded.push_back(interpret(g_, contents, batch, [&](const Node& n, const std::vector<RefTensor>& in) {
        return off_by_rounding(n, g_, in, batch, key);
      }));
    std::map<std::string, std::pair<ValueId, int>> results;  // by name: value and buffer
    for (const Output& o : g_.outputs) results[o.name] = {o.value, buffer_of(o.value)};
    for (const Update& u : g_.updates)
      results["new " + g_.variables[static_cast<size_t>(u.variable)].name] = {u.value, buffer_of(u.value)};
    std::map<std::string, RefTensor> first;
    struct Way {
      Layout layout;
      int threads;
    };
    std::vector<Way> ways;
    for (const int threads : o_.threads) ways.push_back({Layout::product, threads});
    // kernels are tried in it one by one: sharing memory and slices of the batch change no bit
    ways.push_back({Layout::apart, o_.threads.back()});
    for (const auto [layout, threads] : ways) {
      const auto run = Run::create(*kernels_, layout, batch, threads, error);
      if (!run) return false;
      run->set(contents);
      std::string fault;
      if (!run->step(fault)) {
        report_.faults.push_back(fmt::format("{}, batch {}: {}", where_, batch, fault));
        return true;
      }
      for (const auto& [name, of] : results) {
        const auto [v, buffer] = of;
        RefTensor got = buffer < 0 ? RefTensor() : run->get(buffer);
        if (const auto known = first.find(name); known != first.end()) {
          if (const std::string other = difference(known->second, got); !other.empty()) {
            const std::string ways = layout == Layout::apart
                                         ? "where blocks share memory"
                                         : fmt::format("between {} and {} threads", o_.threads[0], threads);
            report_.faults.push_back(fmt::format("{}, batch {}: {} differs {}: {}", where_, batch, name, ways, other));
          }
          continue;
        }
        first[name] = got;
        std::vector<RefTensor> near;
        for (const auto& r : rounded) near.push_back(r[static_cast<size_t>(v)]);
        add(report_.results, fmt::format("{}{}", name, batch == p_.max_batch ? "" : fmt::format(", batch {}", batch)),
            v, exact[static_cast<size_t>(v)], std::move(got), std::move(near), contents, kRelative);
      }
    }
    return true;
  }

  /// The first element that is not the same bits; "" where all are.
  static std::string difference(const RefTensor& a, const RefTensor& b) {
    if (a.data.size() != b.data.size()) return fmt::format("{} elements and {}", a.data.size(), b.data.size());
    for (size_t i = 0; i < a.data.size(); ++i)
      if (a.data[i] != b.data[i] && !(a.data[i] != a.data[i] && b.data[i] != b.data[i]))
        return fmt::format("element {} is {} and {}", i, a.data[i], b.data[i]);
    return "";
  }

  int buffer_of(ValueId v) const {
    for (size_t i = 0; i < p_.buffers.size(); ++i)
      if (p_.buffers[i].value == v) return static_cast<int>(i);
    return -1;
  }

  const std::string where_;
  const Plan& p_;
  const Graph& g_;
  const Contents& contents_;
  const Options& o_;
  Report& report_;
  std::unique_ptr<Kernels> kernels_;
  std::map<ValueId, int32_t> updates_;
};

}  // namespace

bool Report::ok() const {
  const auto right = [](const Line& l) { return l.result.ok(); };
  return faults.empty() && std::all_of(kernels.begin(), kernels.end(), right) &&
         std::all_of(results.begin(), results.end(), right);
}

bool verify_plan(const std::string& where, const Plan& p, const Contents& contents, const Options& o, Report& report,
                 std::string& error) {
  return Verifier(where, p, contents, o, report).run(error);
}

bool verify_model(const sema::Model& m, const passes::Program& program,
                  const std::function<Contents(const Graph&)>& contents, const Options& o, Report& report,
                  std::string& error) {
  const bool trains = !program.training.nodes.empty();
  const auto plan = [&](const Graph& g) {
    if (o.plan) return o.plan(g, o.machine, o.batch);
    return g.trains() ? schedule::plan_sparing(g, o.machine, o.batch) : schedule::make_plan(g, o.machine, o.batch);
  };
  const Contents data = contents(trains ? program.training : program.inference);
  if (o.passes) verify_passes(m, program, data, o.batch, report);
  const auto check = [&](const char* where, const plan::Plan* known, const Graph& g) {
    return verify_plan(where, known ? *known : plan(g), data, o, report, error);
  };
  if (!check(trains ? "evaluation" : "inference", o.infer, trains ? program.evaluation : program.inference))
    return false;
  if (!trains) return true;
  if (!check("training", o.train, program.training)) return false;
  if (!o.gradients || program.gradients.empty()) return true;
  Graph g = program.training;
  for (const auto& [variable, value] : program.gradients)
    g.outputs.push_back(
        {"gradient of " + g.variables[static_cast<size_t>(variable)].name, value, OutputKind::gradient});
  g.updates.clear();
  Options steps_only = o;
  steps_only.kernels = false;
  return verify_plan("gradients", plan(passes::remove_dead(g)), data, steps_only, report, error);
}

}  // namespace netc::verify
