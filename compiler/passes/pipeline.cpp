// The passes in order, each with its reason.
#include "compiler/passes/pipeline.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "compiler/passes/passes.h"

namespace netc::passes {

using namespace ir;

namespace {

/// Runs passes over one graph: times, checks and prints each.
class Runner {
 public:
  Runner(std::string graph, const PipelineOptions& options) : graph_(std::move(graph)), options_(options) {}

  template <class Pass>
  void operator()(const char* pass, Graph& g, Pass run) {
    const auto start = std::chrono::steady_clock::now();
    run(g);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    const std::string name = graph_ + "/" + pass;
    if (options_.timings) options_.timings->emplace_back(name, took.count());
    if (options_.on_print && (options_.print_after == "all" || options_.print_after == pass))
      options_.on_print(name, g);
    if (options_.verify) check(name, g);
  }

 private:
  static void check(const std::string& name, const Graph& g) {
    const std::vector<std::string> errors = verify(g);
    for (const std::string& e : errors)
      std::fprintf(stderr, "netc: internal error: after pass %s: %s\n", name.c_str(), e.c_str());
    if (!errors.empty()) std::abort();
  }

  std::string graph_;
  const PipelineOptions& options_;
};

void train(const sema::Model& m, const Registry& r, const PipelineOptions& options, Program& p) {
  Graph& g = p.training;
  Runner pass("training", options);
  Loss loss;
  std::map<int32_t, ValueId> gradients;
  // Before gradients are taken: then theirs are of fewer pixels, too.
  pass("pool_first", g, [](Graph& g) { g = pool_first(std::move(g)); });
  // Autodiff starts from it, and a softmax under the loss is still to be seen.
  pass("loss", g, [&](Graph& g) { loss = add_loss(g, r, m.train.losses); });
  // From the data's loss only: a penalty's gradient needs no node of its own per weight, see update.
  pass("autodiff", g, [&](Graph& g) { gradients = add_gradients(g, r, loss.data); });
  pass("update", g, [&](Graph& g) {
    add_updates(g, r, *m.train.optimizer, m.train.optimizer_args, gradients);
    // passes keep outputs
    for (const auto& [variable, value] : gradients)
      g.outputs.push_back({g.variables[variable].name, value, OutputKind::gradient});
  });
  // Constants in BatchNorm without scale or centre, and what gradients did with them.
  pass("constant_fold", g, [](Graph& g) { g = fold_constants(std::move(g)); });
  // Gradients of operators that share operands compute the same twice.
  pass("cse", g, [](Graph& g) { g = merge_common(std::move(g)); });
  // Gradients that nobody asked for.
  pass("dce", g, [](Graph& g) { g = remove_dead(g); });
  // After gradients are taken, which go straight through; and after common nodes are one, so that each value is rounded
  // once.
  if (options.bf16) pass("round_products", g, [&](Graph& g) { g = round_products(std::move(g), r); });
  // Last: nothing is to see through it.
  pass("copy_inputs", g, [&](Graph& g) { g = copy_inputs(std::move(g), r); });
  std::vector<Output> outputs;
  for (const Output& o : g.outputs) {
    if (o.kind == OutputKind::gradient) p.gradients.emplace_back(g.find_variable(o.name), o.value);
    else outputs.push_back(o);
  }
  g.outputs = outputs;
}

void infer(const char* name, const Registry& r, const PipelineOptions& options, Graph& g) {
  Runner pass(name, options);
  // First: it cuts off dropout and the batch's statistics, so that affine maps read state only.
  pass("inference", g, [](Graph& g) { g = to_inference(std::move(g)); });
  // Less arithmetic; before folding, which may put an offset between.
  pass("pool_first", g, [](Graph& g) { g = pool_first(std::move(g)); });
  // Before merging: what is left of constants would hide equal nodes.
  pass("constant_fold", g, [](Graph& g) { g = fold_constants(std::move(g)); });
  // A normalisation after a convolution costs nothing then; elsewhere one multiply-add.
  pass("fold_batch_norm", g, [&](Graph& g) { g = fold_affine(std::move(g), r); });
  // Folding may have computed one scale twice.
  pass("cse", g, [](Graph& g) { g = merge_common(std::move(g)); });
  pass("dce", g, [](Graph& g) { g = remove_dead(g); });
  // Last: weights are rounded after batch norm is folded into them.
  if (options.bf16) pass("round_products", g, [&](Graph& g) { g = round_products(std::move(g), r); });
  // Nothing is to see through it.
  pass("copy_inputs", g, [&](Graph& g) { g = copy_inputs(std::move(g), r); });
}

}  // namespace

const std::vector<std::string>& pass_names() {
  static const std::vector<std::string> names = {"pool_first", "loss",           "autodiff",        "update",
                                                 "inference",  "constant_fold",  "fold_batch_norm", "cse",
                                                 "dce",        "round_products", "copy_inputs"};
  return names;
}

Program run_pipeline(const sema::Model& m, const Registry& r, const PipelineOptions& options) {
  Program p;
  p.inference = m.graph;
  infer("inference", r, options, p.inference);
  if (!m.train.present || m.train.losses.empty() || m.train.optimizer == nullptr || m.graph.outputs.empty()) return p;
  p.training = m.graph;
  p.training.training = true;
  train(m, r, options, p);
  p.evaluation = m.graph;
  Runner("evaluation", options)("loss", p.evaluation, [&](Graph& g) { add_loss(g, r, m.train.losses); });
  infer("evaluation", r, options, p.evaluation);
  return p;
}

}  // namespace netc::passes
