#include "runtime/train/report.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <ctime>
#include <fstream>

#include <fmt/format.h>

#include "runtime/core/files.h"
#include "runtime/cores.h"
#include "runtime/train/progress.h"
#include "runtime/train/report_parts.h"

namespace netc::rt {
namespace {

using html::escape;

constexpr int kMostClasses = 60;   // of a matrix that is shown whole
constexpr size_t kMostRows = 500;  // of the table of epochs

std::string text(const char* s) { return escape(s == nullptr ? "" : s); }

std::string tile(const std::string& name, const std::string& value) {
  return fmt::format("<div class=\"tile\"><b>{}</b><span>{}</span></div>\n", value, name);
}
std::string section(const std::string& title, const std::string& body) {
  return body.empty() ? "" : fmt::format("<section><h2>{}</h2>\n{}</section>\n", title, body);
}
std::string pair_row(const std::string& key, const std::string& value) {
  return value.empty() ? "" : fmt::format("<tr><td>{}</td><td>{}</td></tr>\n", key, value);
}

/// The value after "key :" in a /proc file, "" when there is none.
std::string proc_value(const char* path, std::string_view key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.compare(0, key.size(), key) != 0) continue;
    const size_t colon = line.find(':');
    const size_t at = colon == std::string::npos ? colon : line.find_first_not_of(" \t", colon + 1);
    return at == std::string::npos ? "" : line.substr(at);
  }
  return "";
}

int64_t parameters(const ModelInfo& info) {
  int64_t n = 0;
  for (const VarInfo& v : info.variables)
    if (v.role != VarRole::slot) n += static_cast<int64_t>(v.elements());
  return n;
}

double total_seconds(const ReportInput& in) {
  double s = 0;
  for (const EpochRow& row : in.history)
    if (const double* v = row.find("seconds")) s += *v;
  return s;
}

/// "accuracy", "among the first 2", "precision above 0.4", "box: loss"
std::string title_of(const std::string& metric) {
  const size_t colon = metric.find(':');
  if (colon != std::string::npos) return metric.substr(0, colon) + ": " + title_of(metric.substr(colon + 1));
  const size_t at = metric.find('@');
  if (at != std::string::npos) return fmt::format("{} above {}", metric.substr(0, at), metric.substr(at + 1));
  return metric.compare(0, 3, "top") == 0 ? "among the first " + metric.substr(3) : metric;
}

std::string tiles(const ReportInput& in) {
  const EvalResult& r = in.review.result;
  const char* of = in.validation ? "validation" : "training";
  std::string s;
  for (const NamedValue& v : r.metrics.values())
    s += tile(fmt::format("{} {}", of, title_of(v.name)), fmt::format("{:.4f}", v.value));
  if (r.confusion().classes() > 0)
    s += tile("share of the largest class", fmt::format("{:.4f}", r.confusion().majority_share()));
  s += tile("best epoch", fmt::format("{} of {}", in.epoch, in.history.empty() ? 0 : in.history.back().epoch));
  s += tile("training time", duration_text(total_seconds(in)));
  s += tile("parameters", grouped(parameters(in.info)));
  return s;
}

std::string curve(const ReportInput& in, const std::string& name, const std::string& title) {
  html::Series training{"training", {}}, validation{"validation", {}, true};
  for (const EpochRow& row : in.history) {
    const double x = static_cast<double>(row.epoch);
    if (const double* v = row.find(name)) training.points.push_back({x, *v});
    if (const double* v = row.find("val_" + name)) validation.points.push_back({x, *v});
  }
  if (training.points.empty()) return "";
  std::vector<html::Series> series{training};
  if (!validation.points.empty()) series.push_back(validation);
  return html::line_chart(title, "epoch", series, false);
}

/// The cells off the diagonal with the most samples, for nets of many classes.
std::string worst_pairs(const Confusion& c, const std::vector<std::string>& names) {
  struct Pair {
    int truth, answer;
    uint64_t n;
  };
  std::vector<Pair> pairs;
  for (int t = 0; t < c.classes(); ++t)
    for (int a = 0; a < c.classes(); ++a)
      if (t != a && c.at(t, a) > 0) pairs.push_back({t, a, c.at(t, a)});
  std::sort(pairs.begin(), pairs.end(), [](const Pair& a, const Pair& b) { return a.n > b.n; });
  std::string s = "<table><tr><th>is</th><th>answered</th><th class=\"number\">samples</th></tr>\n";
  for (size_t i = 0; i < std::min<size_t>(30, pairs.size()); ++i) {
    s += fmt::format("<tr><td>{}</td><td>{}</td><td class=\"number\">{}</td></tr>\n",
                     escape(names[static_cast<size_t>(pairs[i].truth)]),
                     escape(names[static_cast<size_t>(pairs[i].answer)]), pairs[i].n);
  }
  return s + "</table>\n";
}

std::string answers(const ReportInput& in, const std::vector<std::string>& names) {
  const Confusion& c = in.review.result.confusion();
  if (c.classes() == 0) return "";
  std::string s = fmt::format(
      "<p class=\"muted\">{}, {} of them seen, with the weights of epoch {}. Always answering <b>{}</b> would be right "
      "for {:.4f}; the network is right for {:.4f}.</p>\n",
      escape(in.reviewed.describe()), in.review.result.n, in.epoch, escape(names[static_cast<size_t>(c.majority())]),
      c.majority_share(), in.review.result.metrics.classes()->accuracy());
  if (c.classes() > kMostClasses) return s + worst_pairs(c, names);
  return s + "<p class=\"muted small\">Rows: what it is. Columns: what was answered.</p>" +
         html::confusion_table(c, names);
}

std::string samples(const ReportInput& in, const std::vector<std::string>& names) {
  const std::string wrong = html::pictures(in.reviewed, in.review.wrong, names),
                    right = html::pictures(in.reviewed, in.review.right, names);
  std::string s;
  if (!right.empty()) s += "<p class=\"muted\">Right</p><div class=\"shots\">\n" + right + "</div>\n";
  if (!wrong.empty()) s += "<p class=\"muted\">Wrong, the surest first</p><div class=\"shots\">\n" + wrong + "</div>\n";
  return s;
}

std::string settings(const ReportInput& in) {
  std::string s = "<table class=\"key-values\">\n";
  s += pair_row("data", escape(in.train.describe())) +
       pair_row("validation", in.validation ? escape(in.reviewed.describe()) : "none");
  s += pair_row("loss", text(in.info.loss)) + pair_row("optimizer", text(in.info.optimizer));
  s += pair_row("learning rate", fmt::format("{:g}", in.args.lr)) + pair_row("batch", fmt::format("{}", in.args.batch));
  s += pair_row("epochs", fmt::format("{} of {}", in.history.size(), in.args.epochs)) +
       pair_row("seed", fmt::format("{}", in.args.seed));
  s += pair_row("started from", escape(in.args.weights));
  for (const KeyValue& h : in.info.hyperparameters) s += pair_row(text(h.key), "<code>" + text(h.value) + "</code>");
  for (const AugmentInfo& a : in.info.augment) s += pair_row("augmentation", text(a.kind));
  return s + "</table>\n";
}

std::string machine(const ReportInput& in) {
  struct utsname system = {};
  uname(&system);
  const double gib =
      static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 30);
  const int cores = available_cores();
  std::string s = "<table class=\"key-values\">\n";
  s += pair_row("processor", escape(proc_value("/proc/cpuinfo", "model name")));
  s += pair_row("cores", fmt::format("{}", cores)) +
       pair_row("threads", fmt::format("{}", in.args.threads > 0 ? in.args.threads : cores));
  s += pair_row("memory", fmt::format("{:.1f} GiB, at most {:.0f} MB used", gib,
                                      std::strtod(proc_value("/proc/self/status", "VmHWM").c_str(), nullptr) / 1e3));
  s += pair_row("system", escape(fmt::format("{} {} {}", system.sysname, system.release, system.machine)));
  s += pair_row("source", fmt::format("{} <code>{}</code>", text(in.info.source_path), text(in.info.source_hash)));
  s += pair_row("compiler", "netc " + text(in.info.compiler_version)) +
       pair_row("target", "<code>" + text(in.info.target) + "</code>");
  return s + "</table>\n";
}

std::string layers(const ModelInfo& info) {
  if (info.layers.empty()) return "";
  std::string s =
      "<div class=\"scroll\"><table class=\"wide\"><tr><th>name</th><th>layer</th><th>output</th><th "
      "class=\"number\">parameters</th><th "
      "class=\"number\">MACs</th></tr>\n";
  for (const LayerInfo& l : info.layers) {
    s += fmt::format(
        "<tr><td>{}</td><td><code>{}</code></td><td><code>{}</code></td><td class=\"number\">{}</td><td "
        "class=\"number\">{}</td></tr>\n",
        text(l.name), text(l.text), text(l.output_shape), grouped(l.params), grouped(l.macs));
  }
  return s + "</table></div>\n";
}

std::string epochs(const ReportInput& in) {
  if (in.history.empty()) return "";
  std::string s = "<div class=\"scroll\"><table class=\"wide\"><tr><th>epoch</th>";
  for (const NamedValue& v : in.history.front().values)
    s += fmt::format("<th class=\"number\">{}</th>", escape(v.name));
  s += "</tr>\n";
  for (size_t i = in.history.size() - std::min(kMostRows, in.history.size()); i < in.history.size(); ++i) {
    s += fmt::format("<tr><td>{}{}</td>", in.history[i].epoch,
                     in.history[i].epoch == in.epoch ? " <span class=\"good\">best</span>" : "");
    for (const NamedValue& v : in.history[i].values) s += fmt::format("<td class=\"number\">{:.4g}</td>", v.value);
    s += "</tr>\n";
  }
  return s + "</table></div>\n";
}

std::string skipped(const ReportInput& in) {
  if (in.skipped == 0) return "";
  std::string s = fmt::format("<p>{} training samples could not be read and were left out{}:</p><ul>", in.skipped,
                              in.skipped > in.skipped_names.size() ? "; the first of them" : "");
  for (const std::string& name : in.skipped_names) s += fmt::format("<li><code>{}</code></li>", escape(name));
  return s + "</ul>\n";
}

std::string now() {
  const std::time_t t = std::time(nullptr);
  struct tm parts = {};
  localtime_r(&t, &parts);
  char buffer[40] = "";
  std::strftime(buffer, sizeof buffer, "%Y-%m-%d %H:%M", &parts);
  return buffer;
}

}  // namespace

tl::expected<void, std::string> write_report(const ReportInput& in, const std::string& path) {
  const Confusion& c = in.review.result.confusion();
  std::vector<std::string> names;
  for (int k = 0; k < c.classes(); ++k) names.push_back(class_name(in.info, in.train.classes(), k));
  std::string page = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/><meta name=\"viewport\" "
      "content=\"width=device-width, "
      "initial-scale=1\"/><title>{0}</title>\n"
      "<style>{1}</style></head><body>\n<h1>{0}</h1>\n<p class=\"muted\">{2}{3} &#183; {4}</p>\n",
      text(in.info.name), html::style(), text(in.info.doc),
      in.info.doc && *in.info.doc ? "" : "the net " + text(in.info.net), now());
  page += "<div class=\"tiles\">\n" + tiles(in) + "</div>\n";
  std::string curves;
  for (const NamedValue& v : in.review.result.metrics.values()) {
    std::string title = title_of(v.name);
    title[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(title[0])));
    curves += curve(in, v.name, title);
  }
  page += section("Training", "<div class=\"pair\">\n" + curves + "</div>\n");
  page += section("Confusion matrix", answers(in, names));
  if (c.classes() > 0) page += section("Classes", html::class_table(c, names));
  if (c.classes() == 2) {
    const std::string roc = html::roc_chart(in.review.scores, names[1]);
    if (!roc.empty())
      page += section("Telling the two classes apart", fmt::format("<div class=\"pair\">\n{}</div>\n", roc));
  }
  page += section("Sample predictions", samples(in, names));
  page += "<div class=\"pair\">\n" + section("Settings", settings(in)) + section("Machine", machine(in)) + "</div>\n";
  page += section("Layers", layers(in.info)) + section("Epochs", epochs(in)) + section("Files left out", skipped(in));
  return write_atomically(path, page + "</body></html>\n");
}

}  // namespace netc::rt
