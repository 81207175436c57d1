#include "compiler/schedule/tuning.h"

#include <charconv>
#include <cmath>
#include <cstring>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <llvm/Support/xxhash.h>

#include "compiler/nests/nest.h"

namespace netc::schedule {
namespace {

constexpr const char* kFirstLine = "netc-tuning 1";
constexpr const char* kAbout =
    "# Strategies and forms that netc --tune measured to be the fastest, for each machine. Compilations of the model "
    "beside this file read it.\n"
    "# kernel|form  machine  key  batch:microseconds/microseconds of the compiler's own choice,...  name  choice\n";

std::string hashed(const std::string& text) { return fmt::format("{:016x}", llvm::xxh3_64bits(llvm::StringRef(text))); }

/// The next word of `rest`, which loses it.
std::string_view word(std::string_view& rest) {
  while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
  const std::string_view w = rest.substr(0, rest.find(' '));
  rest.remove_prefix(w.size());
  return w;
}

template <class T>
bool number(std::string_view text, T& out) {
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), out);
  return failed == std::errc() && end == text.data() + text.size();
}

bool parse_timing(std::string_view text, Timing& t) {
  const size_t colon = text.find(':'), slash = text.find('/');
  if (colon == std::string_view::npos || slash == std::string_view::npos || slash < colon) return false;
  return number(text.substr(0, colon), t.batch) && number(text.substr(colon + 1, slash - colon - 1), t.us) &&
         number(text.substr(slash + 1), t.default_us) && t.batch > 0 && std::isfinite(t.us) &&
         std::isfinite(t.default_us) && t.us > 0 && t.default_us > 0;
}

/// What is wrong with the line, or "".
std::string parse_entry(std::string_view line, TuningEntry& e) {
  const std::string_view kind = word(line);
  if (kind != "kernel" && kind != "form")
    return fmt::format("an entry begins with kernel or form, not {}", kind.substr(0, 40));
  e.form = kind == "form";
  e.machine = word(line);
  e.key = word(line);
  if (e.key.size() != 16 || e.key.find_first_not_of("0123456789abcdef") != std::string::npos)
    return "the key, the third word, is not 16 hexadecimal digits";
  std::string_view times = word(line);
  for (bool more = true; more;) {
    const std::string_view one = times.substr(0, times.find(','));
    Timing t;
    if (!parse_timing(one, t)) return fmt::format("\"{}\" is no time; one looks like 32:10.5/12.25", one.substr(0, 40));
    e.timings.push_back(t);
    more = one.size() < times.size();
    times.remove_prefix(one.size() + more);
  }
  e.name = word(line);
  while (!line.empty() && line.front() == ' ') line.remove_prefix(1);
  while (!line.empty() && line.back() == ' ') line.remove_suffix(1);
  e.choice = line;
  return e.choice.empty() ? "the line ends before the choice" : "";
}

}  // namespace

const TuningEntry* Tuning::find(const std::string& machine, const std::string& key) const {
  const auto it = entries.find({machine, key});
  return it == entries.end() ? nullptr : &it->second;
}

void Tuning::set(TuningEntry e) {
  const auto key = std::pair(e.machine, e.key);
  entries[key] = std::move(e);
}

std::optional<Tuning> parse_tuning(const std::string& text, std::string& error) {
  Tuning tuning;
  std::map<std::pair<std::string, std::string>, int> lines;
  int at = 0;
  const auto wrong = [&](const std::string& what) {
    error = fmt::format("line {}: {}", at, what);
    return std::nullopt;
  };
  for (std::string_view rest = text; !rest.empty();) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (++at == 1) {
      if (line != kFirstLine) return wrong(fmt::format("a tuning file begins with \"{}\"", kFirstLine));
      continue;
    }
    if (line.find_first_not_of(' ') == std::string_view::npos || line.front() == '#') continue;
    TuningEntry e;
    if (const std::string what = parse_entry(line, e); !what.empty()) return wrong(what);
    const auto [first, fresh] = lines.try_emplace({e.machine, e.key}, at);
    if (!fresh) return wrong(fmt::format("the same machine and key as in line {}; keep one of them", first->second));
    tuning.set(std::move(e));
  }
  if (at == 0) return at = 1, wrong(fmt::format("a tuning file begins with \"{}\"", kFirstLine));
  return tuning;
}

std::string print(const Tuning& tuning) {
  std::string s = fmt::format("{}\n{}", kFirstLine, kAbout);
  for (const auto& [key, e] : tuning.entries) {
    std::vector<std::string> times;
    for (const Timing& t : e.timings) times.push_back(fmt::format("{}:{:.2f}/{:.2f}", t.batch, t.us, t.default_us));
    s += fmt::format("{} {} {} {} {} {}\n", e.form ? "form" : "kernel", e.machine, e.key, fmt::join(times, ","), e.name,
                     e.choice);
  }
  return s;
}

std::string machine_key(const Machine& m) {
  const std::string cpu = m.cpu.empty() ? "unknown" : m.cpu;
  return fmt::format("{},{}x{},{},{}K,{}K,{}K", cpu, m.vector_floats, m.vector_registers, m.cores, m.l1 >> 10,
                     m.l2 >> 10, m.l3 >> 10);
}

std::string kernel_key(const Plan& p, const Kernel& k) {
  return hashed(fmt::format("{}batch {} {}", content_of(p, k), p.max_batch, p.graph->trains() ? "trains" : "infers"));
}

std::string form_key(const ir::Graph& g, ir::NodeId n, int max_batch) {
  const ir::Node& node = g.nodes[n];
  std::string text = node.op->name;
  for (ir::ValueId v : node.inputs) text += " " + to_string(g.type(v));
  for (auto& [key, value] : node.attrs) text += fmt::format(" {}={}", key, plan::attr_text(value));
  return hashed(fmt::format("form of {} batch {} {}", text, max_batch, g.trains() ? "trains" : "infers"));
}

void apply_tuning(Plan& p, const Machine& m, const Tuning& tuning) {
  const std::string machine = machine_key(m);
  for (Kernel& k : p.kernels) {
    const TuningEntry* e = tuning.find(machine, kernel_key(p, k));
    if (!e || e->form) continue;
    const auto measured = strategy_of(e->choice);
    if (!measured || !nests::can_take({p, k, m}, *measured)) continue;
    k.strategy.numbers = measured->numbers;
    k.strategy.cost_us = nests::estimate_us({p, k, m}, k.strategy);
    k.strategy.measured_us = e->timings.front().us;
    ++p.tuned;
  }
}

}  // namespace netc::schedule
