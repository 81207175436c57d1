#include <algorithm>

#include <fmt/format.h>

#include "runtime/train/report_parts.h"

namespace netc::rt::html {
namespace {

/// The bytes of the UTF-8 character at `at`, 0 when there is none that XML may hold.
size_t character(std::string_view s, size_t at) {
  const unsigned char c = static_cast<unsigned char>(s[at]);
  if (c < 0x80) return c >= 0x20 || c == '\t' || c == '\n' || c == '\r' ? 1 : 0;
  const size_t n = c >= 0xf0 && c < 0xf5 ? 4 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xc2 && c < 0xe0 ? 2 : 0;
  if (n == 0 || at + n > s.size()) return 0;
  for (size_t i = 1; i < n; ++i)
    if ((static_cast<unsigned char>(s[at + i]) & 0xc0) != 0x80) return 0;
  return n;
}

std::string bar(double share) {
  return fmt::format("<td class=\"bar\"><span style=\"width:{:.1f}%\"></span><b>{:.4f}</b></td>",
                     100 * std::clamp(share, 0.0, 1.0), share);
}

}  // namespace

std::string escape(std::string_view text) {
  std::string s;
  for (size_t i = 0; i < text.size();) {
    const size_t n = character(text, i);
    if (n == 0) s += '?';
    else if (text[i] == '&') s += "&amp;";
    else if (text[i] == '<') s += "&lt;";
    else if (text[i] == '>') s += "&gt;";
    else if (text[i] == '"') s += "&quot;";
    else s += text.substr(i, n);
    i += std::max<size_t>(1, n);
  }
  return s;
}

std::string confusion_table(const Confusion& c, const std::vector<std::string>& names) {
  std::string s = "<div class=\"scroll\"><table class=\"confusion\"><tr><th></th>";
  for (const std::string& n : names) s += fmt::format("<th class=\"column\">{}</th>", escape(n));
  s += "</tr>\n";
  for (int t = 0; t < c.classes(); ++t) {
    const std::string truth = escape(names[static_cast<size_t>(t)]);
    s += fmt::format("<tr><th>{}</th>", truth);
    const double all = static_cast<double>(std::max<uint64_t>(1, c.of_class(t)));
    for (int a = 0; a < c.classes(); ++a) {
      const uint64_t n = c.at(t, a);
      const double share = static_cast<double>(n) / all;
      s += fmt::format("<td class=\"{}{}\" style=\"--share:{:.3f}\" title=\"{} answered as {}: {} ({:.1f} %)\">{}</td>",
                       t == a ? "right" : "wrong", share > 0.55 ? " strong" : "", n == 0 ? 0 : 0.12 + 0.88 * share,
                       truth, escape(names[static_cast<size_t>(a)]), n, 100 * share,
                       n == 0 ? "&#183;" : fmt::format("{}", n));
    }
    s += "</tr>\n";
  }
  return s + "</table></div>\n";
}

std::string class_table(const Confusion& c, const std::vector<std::string>& names) {
  std::string s =
      "<div class=\"scroll\"><table><tr><th>class</th><th>precision</th><th>recall</th><th>F1</th><th "
      "class=\"number\">samples</th></tr>\n";
  for (int k = 0; k < c.classes(); ++k) {
    s += fmt::format("<tr><td>{}</td>{}{}{}<td class=\"number\">{}</td></tr>\n", escape(names[static_cast<size_t>(k)]),
                     bar(c.precision(k)), bar(c.recall(k)), bar(c.f1(k)), c.of_class(k));
  }
  return s + "</table></div>\n";
}

std::string_view style() {
  return R"css(
:root { color-scheme: light dark; --back: #f7f8fa; --card: #ffffff; --text: #1b2330; --muted: #667085; --rule: #e3e7ee; --first: 37 99 235; --second: 217 119 6;
  --good: 22 132 84; --bad: 200 45 55; }
@media (prefers-color-scheme: dark) { :root { --back: #11151c; --card: #1a202b; --text: #e6eaf2; --muted: #97a3b6; --rule: #2b3443; --first: 110 160 255; --second: 245 170 70;
  --good: 52 190 130; --bad: 245 100 105; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 28px 20px 60px; max-width: 1180px; background: var(--back); color: var(--text); font: 15px/1.5 system-ui, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 26px; margin: 0; } h2 { font-size: 17px; margin: 0 0 12px; } p { margin: 4px 0 10px; }
.muted { color: var(--muted); } .small { font-size: 13px; }
section { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 18px 20px; margin-top: 18px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin-top: 18px; }
.tile { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 12px 16px; }
.tile b { display: block; font-size: 23px; font-variant-numeric: tabular-nums; } .tile span { color: var(--muted); font-size: 13px; }
.pair > * { min-width: 0; } .pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(330px, 1fr)); gap: 22px; }
figure { margin: 0; } figcaption { font-weight: 600; } svg { width: 100%; height: auto; display: block; }
.key { font-weight: 400; font-size: 13px; color: var(--muted); margin-left: 14px; }
.key::before { content: ""; display: inline-block; width: 14px; height: 3px; margin: 0 5px 3px 0; border-radius: 2px; }
.key.first::before { background: rgb(var(--first)); } .key.second::before { background: rgb(var(--second)); }
.grid { stroke: var(--rule); } .axis { stroke: var(--muted); } .tick { fill: var(--muted); font-size: 12px; } .chance { stroke: var(--muted); stroke-dasharray: 4 4; }
.line path { fill: none; stroke-width: 2.2; stroke-linejoin: round; } .first path { stroke: rgb(var(--first)); } .second path { stroke: rgb(var(--second)); }
.first circle { fill: rgb(var(--first)); } .second circle { fill: rgb(var(--second)); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 14px; }
th, td { padding: 4px 10px; text-align: left; border-bottom: 1px solid var(--rule); white-space: nowrap; } th { color: var(--muted); font-weight: 600; }
.number { text-align: right; } .key-values td { white-space: normal; overflow-wrap: anywhere; vertical-align: top; }
.key-values td:first-child { color: var(--muted); white-space: nowrap; overflow-wrap: normal; } .wide { width: 100%; }
.bar { position: relative; min-width: 120px; } .bar span { position: absolute; left: 4px; top: 5px; bottom: 5px; max-width: calc(100% - 8px); background: rgb(var(--first) / .18); border-radius: 3px; }
.bar b { position: relative; font-weight: 400; }
.confusion td { text-align: center; min-width: 42px; border: 2px solid var(--card); border-radius: 5px; } .confusion th { border: 0; text-align: right; }
.confusion th.column { text-align: center; } .confusion .right { background: rgb(var(--good) / var(--share)); } .confusion .wrong { background: rgb(var(--bad) / var(--share)); }
.confusion .strong { color: #fff; }
@media (prefers-color-scheme: dark) { .confusion .strong { color: #0d1117; } }
.shots { display: grid; grid-template-columns: repeat(auto-fill, minmax(124px, 1fr)); gap: 12px; margin-bottom: 14px; }
.shot { font-size: 13px; display: flex; flex-direction: column; } .shot img { width: 100%; aspect-ratio: 1; object-fit: contain; background: #000; border-radius: 6px; margin-bottom: 4px; }
.pixels { image-rendering: pixelated; } .good { color: rgb(var(--good)); font-weight: 600; } .bad { color: rgb(var(--bad)); font-weight: 600; }
code { font: 13px ui-monospace, "DejaVu Sans Mono", monospace; }
)css";
}

}  // namespace netc::rt::html
