// The graphs that the passes make, against the graph as it was written; gradients against finite differences. All in
// double.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "compiler/ir/interpret.h"
#include "compiler/ops/ops.h"
#include "compiler/passes/passes.h"
#include "compiler/verify/verify.h"

namespace netc::verify {
namespace {

using namespace ir;

constexpr double kSame = 1e-9;         // of the largest element: the same arithmetic in another order
constexpr double kDifferences = 1e-4;  // of the largest gradient: what central differences in double leave
constexpr double kStep = 2.5e-5;       // of the largest weight
constexpr int kElements = 4;           // of each weight whose gradient is measured, at most
constexpr double kWork =
    1e9;  // operations that differences of all take, about: of large nets some weights are measured

ValueId value_of(const Graph& g, const std::string& output) {
  for (const Output& o : g.outputs)
    if (o.name == output) return o.value;
  return kNone;
}

void add(Report& report, const std::string& where, const std::string& what, const RefTensor& want, const RefTensor& got,
         double bound) {
  Line line{where, what, compare(want, got, {}, bound), ""};
  if (!line.result.ok()) line.text = describe(line.result, want);
  report.results.push_back(std::move(line));
}

/// Outputs, and what variables are updated to, of `made` are those of `written`.
void compare_graphs(const std::string& where, const Graph& written, const Graph& made, const Contents& contents,
                    int batch, Report& report) {
  const auto want = interpret(written, contents, batch), got = interpret(made, contents, batch);
  for (const Output& o : written.outputs)
    if (const ValueId v = value_of(made, o.name); v != kNone) add(report, where, o.name, want[o.value], got[v], kSame);
  for (const Update& u : written.updates) {
    const std::string& name = written.variables[u.variable].name;
    for (const Update& m : made.updates)
      if (made.variables[m.variable].name == name) add(report, where, name, want[u.value], got[m.value], kSame);
  }
}

/// The derivative by central differences, where the loss is smooth: two steps that agree.
bool difference(const Graph& g, ValueId loss, Contents& contents, double& x, double scale, int batch, double& slope) {
  const double at = x;
  double slopes[2];
  for (int i : {0, 1}) {
    const double h = scale * kStep * (i == 0 ? 4 : 1);
    x = at + h;
    const double up = interpret(g, contents, batch)[loss].data[0];
    x = at - h;
    slopes[i] = (up - interpret(g, contents, batch)[loss].data[0]) / (2 * h);
  }
  x = at;
  slope = slopes[1];
  return std::isfinite(slope) &&
         std::abs(slopes[0] - slopes[1]) <= kDifferences / 10 * std::max(std::abs(slopes[0]), std::abs(slopes[1]));
}

void measure_gradients(const Graph& written, const passes::Program& program, Contents contents, int batch,
                       Report& report) {
  const ValueId loss = value_of(written, "loss");
  const auto values = interpret(program.training, contents, batch);
  double work = 1;  // of one loss
  for (const Node& n : written.nodes)
    if (n.op->cost) work += n.op->cost(n, written).flops * batch;
  // elements of each weight
  const double room = kWork / (4 * work) / std::max<double>(1, static_cast<double>(program.gradients.size()));
  const int elements = static_cast<int>(std::clamp(room, 1.0, static_cast<double>(kElements))),
            every = static_cast<int>(std::clamp(1 / room, 1.0, 1e6));
  int count = 0;
  // A loss is often 1 less something, as a cosine's: what differences of it lose is of that size, however small it is.
  const double at_first =
      std::max(1.0, std::abs(values[static_cast<size_t>(value_of(program.training, "loss"))].data[0]));
  double most = 0;  // of all gradients: what is 0 but for rounding is none of its own
  for (const auto& [variable, gradient] : program.gradients)
    for (double v : values[static_cast<size_t>(gradient)].data) most = std::max(most, std::abs(v));
  for (const auto& [variable, gradient] : program.gradients) {
    if (count++ % every != 0) continue;
    const std::string& name = program.training.variables[static_cast<size_t>(variable)].name;
    std::vector<double>& weight = contents.at(name).data;
    const std::vector<double>& g = values[static_cast<size_t>(gradient)].data;
    double largest = 1e-8 * most, size = 1e-3;
    for (double v : g) largest = std::max(largest, std::abs(v));
    for (double v : weight) size = std::max(size, std::abs(v));
    Line line{"gradients", name, {}, ""};
    line.result.bound = kDifferences;
    for (int i = 0; i < elements && !weight.empty(); ++i) {
      const size_t at = (i * weight.size() / elements + static_cast<size_t>(i) * 7) % weight.size();
      double slope = 0;
      if (!difference(written, loss, contents, weight[at], size, batch, slope)) continue;
      // of a loss of that size, in double, by its differences
      const double lost = 1e-15 * at_first / (2 * kStep * size);
      const double error = std::max(0.0, std::abs(slope - g[at]) - lost) / std::max(largest, std::abs(slope));
      if (!(error > line.result.error)) continue;
      line.result.error = error, line.result.at = static_cast<int64_t>(at), line.result.want = slope,
      line.result.got = g[at];
    }
    if (!line.result.ok())
      line.text = fmt::format("element {} of the gradient is {:.9g}, but the loss changes by {:.9g}", line.result.at,
                              line.result.got, line.result.want);
    report.results.push_back(std::move(line));
  }
}

}  // namespace

void verify_passes(const sema::Model& m, const passes::Program& program, const Contents& contents, int batch,
                   Report& report) {
  compare_graphs("inference graph", passes::to_inference(m.graph), program.inference, contents, batch, report);
  if (program.training.nodes.empty()) return;
  Graph written = m.graph;
  passes::add_loss(written, ops::registry(), m.train.losses);
  compare_graphs("training graph", written, program.training, contents, batch, report);
  compare_graphs("evaluation graph", passes::to_inference(written), program.evaluation, contents, batch, report);
  measure_gradients(written, program, contents, batch, report);
}

}  // namespace netc::verify
