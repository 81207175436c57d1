#include "compiler/tool/verify.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "compiler/verify/contents.h"
#include "compiler/verify/verify.h"
#include "runtime/counted.h"

namespace netc::tool {
namespace {

using verify::Line;

void print(const std::vector<Line>& lines) {
  size_t width = 0;
  for (const Line& l : lines) width = std::max(width, l.where.size() + l.what.size() + 2);
  for (const Line& l : lines) {
    const std::string name = fmt::format("{}  {}", l.where, l.what);
    fmt::print("  {:<{}}  {:>8.1e} of {:>7.1e}{}\n", name, width, l.result.error, l.result.bound,
               l.text.empty() ? "" : "  WRONG: " + l.text);
  }
}

nlohmann::json json_of(const std::vector<Line>& lines) {
  nlohmann::json all = nlohmann::json::array();
  for (const Line& l : lines)
    all.push_back({{"plan", l.where},
                   {"name", l.what},
                   {"error", l.result.error},
                   {"bound", l.result.bound},
                   {"ok", l.result.ok()},
                   {"wrong", l.text}});
  return all;
}

}  // namespace

int verify(const emit::Unit& u, const passes::Program& program, const lower::Options& lower, const VerifyOptions& o) {
  verify::Options how;
  how.machine = *u.machine;
  how.batch = u.infer->max_batch;
  how.lower = lower;
  how.passes = !u.bf16;
  how.train = u.train;
  how.infer = u.infer;
  std::string error;
  verify::Report report;
  if (!emit::find_toolchain(how.toolchain, error)) return print_error(error), kFailed;
  const auto contents = [&](const ir::Graph& g) { return verify::contents(g, how.batch, o.seed); };
  if (!verify::verify_model(*u.model, program, contents, how, report, error)) {
    print_error(error);
    return error.starts_with("internal error") ? kInternal : kFailed;
  }
  const auto wrong = [](const std::vector<Line>& lines) {
    return std::count_if(lines.begin(), lines.end(), [](const Line& l) { return !l.result.ok(); });
  };
  const auto bad = wrong(report.kernels) + wrong(report.results) + static_cast<std::ptrdiff_t>(report.faults.size());
  if (o.json) {
    fmt::print("{}\n", nlohmann::json{{"net", u.model->net},
                                      {"ok", report.ok()},
                                      {"kernels", json_of(report.kernels)},
                                      {"results", json_of(report.results)},
                                      {"faults", report.faults}}
                           .dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
    return bad ? kFailed : kDone;
  }
  fmt::print("kernels: the worst error beside its bound, of the largest element\n");
  print(report.kernels);
  fmt::print("results of whole steps, passes and gradients\n");
  print(report.results);
  for (const std::string& fault : report.faults) fmt::print("  WRONG: {}\n", fault);
  if (bad)
    fmt::print("{}: {} of {} checks are over their bound; please report it with the model\n", u.model->net, bad,
               report.kernels.size() + report.results.size() + report.faults.size());
  else
    fmt::print("{}: {} and {} within their bounds\n", u.model->net,
               rt::counted(static_cast<int64_t>(report.kernels.size()), "kernel"),
               rt::counted(static_cast<int64_t>(report.results.size()), "result"));
  return bad ? kFailed : kDone;
}

}  // namespace netc::tool
