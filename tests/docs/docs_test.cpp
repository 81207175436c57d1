// The documentation is true: its .net examples compile without a warning, the reference of layers is what the
// operators' definitions say, paths and links lead somewhere.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "compiler/parse/parse.h"
#include "compiler/sema/model.h"

using namespace netc;
namespace fs = std::filesystem;

namespace {

const fs::path kRoot = NETC_SOURCE_DIR;

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

std::vector<fs::path> documents() {
  std::vector<fs::path> out = {kRoot / "README.md", kRoot / "CONTRIBUTING.md"};
  for (const char* folder : {"docs", "examples", "bench"})
    for (auto e = fs::recursive_directory_iterator(kRoot / folder); e != fs::recursive_directory_iterator(); ++e) {
      // bench/.venv: the peers'
      if (e->is_directory() && e->path().filename().string()[0] == '.') e.disable_recursion_pending();
      else if (e->path().extension() == ".md") out.push_back(e->path());
    }
  std::sort(out.begin(), out.end());
  return out;
}

/// The blocks between ```LANGUAGE and ```.
std::vector<std::string> blocks(const std::string& text, const std::string& language) {
  std::vector<std::string> out;
  const std::string open = "\n```" + language + "\n";
  for (size_t at = text.find(open); at != std::string::npos; at = text.find(open, at)) {
    at += open.size();
    const size_t end = std::min(text.find("\n```", at), text.size());
    out.push_back(text.substr(at, end - at) + "\n");
    at = end;
  }
  return out;
}

std::string show(const ir::ArgValue& value) {
  if (const auto* b = std::get_if<bool>(&value)) return *b ? "true" : "false";
  if (const auto* i = std::get_if<int64_t>(&value)) return fmt::format("{}", *i);
  if (const auto* d = std::get_if<double>(&value)) return fmt::format("{:g}", *d);
  if (const auto* s = std::get_if<std::string>(&value)) return *s;
  if (const auto* w = std::get_if<std::vector<std::string>>(&value)) return fmt::format("{}", fmt::join(*w, ", "));
  if (const auto* init = std::get_if<ir::Initializer>(&value)) return init->kind;
  if (std::holds_alternative<ir::Constraint>(value)) return "none";
  if (const auto* list = std::get_if<std::vector<double>>(&value)) return fmt::format("[{:g}]", fmt::join(*list, ", "));
  return "";
}

std::string wording(const ir::ArgDef& a) {
  using T = ir::ArgType;
  std::string s = a.type == T::boolean       ? "true or false"
                  : a.type == T::integer     ? "integer"
                  : a.type == T::number      ? "number"
                  : a.type == T::choice      ? fmt::format("{}", fmt::join(a.choices, ", "))
                  : a.type == T::padding     ? "valid, same, an integer or a list of 2 or 4"
                  : a.type == T::numbers     ? "number or list of numbers"
                  : a.type == T::words       ? fmt::format("{}, or a list of them", fmt::join(a.choices, ", "))
                  : a.type == T::axis        ? "channel, width, height or an integer"
                  : a.type == T::integers    ? "integers"
                  : a.type == T::initializer ? "an initialiser"
                  : a.type == T::constraint  ? "a constraint"
                                             : "integer or [height, width]";
  if (a.type == T::boolean || a.type == T::choice || a.type == T::padding || a.type == T::words || a.type == T::axis)
    return s;
  if (a.min > -1e300 && a.max < 1e300) return s + fmt::format(", {:g} to {:g}", a.min, a.max);
  return a.min > -1e300 ? s + fmt::format(", at least {:g}", a.min) : s;
}

std::string arguments(const std::vector<ir::ArgDef>& args) {
  if (args.empty()) return "";
  std::string s = "\n| argument | value | default | meaning |\n|---|---|---|---|\n";
  for (const ir::ArgDef& a : args) {
    std::string doc = a.doc;
    for (size_t at = doc.find('|'); at != std::string::npos; at = doc.find('|', at + 2)) doc.insert(at, "\\");
    s += fmt::format("| `{}` | {} | {} | {} |\n", a.name, wording(a),
                     a.fallback ? "`" + show(*a.fallback) + "`" : "needed", doc);
  }
  return s;
}

std::string reference() {
  const ir::Registry& r = ops::registry();
  std::string s =
      "# Layers, losses, optimisers, metrics\n\nWritten from the definitions in `compiler/ops` by a test "
      "(`NETC_UPDATE_GOLDEN=1 build/bin/test_docs`); do not edit. Shapes are of one sample.\n";
  std::vector<std::string> sections;
  for (const ir::LayerDef* l : r.layers)
    if (std::find(sections.begin(), sections.end(), l->section) == sections.end()) sections.push_back(l->section);
  auto paragraph = [&](const std::string& name, const std::string& doc, const std::vector<ir::ArgDef>& args) {
    std::string text = doc;
    const size_t formula = text.find(" y");
    // up to the words after a semicolon
    if (formula != std::string::npos && text.find(" = ", formula) != std::string::npos) {
      const size_t end = std::min(text.find(';', formula), text.size());
      text = fmt::format("{} `{}`{}", text.substr(0, formula), text.substr(formula + 1, end - formula - 1),
                         text.substr(end));
    }
    s += fmt::format("\n### {}\n{}{}\n{}", name, text,
                     !text.empty() && text.back() != '.' && text.back() != '`' ? "." : "", arguments(args));
  };
  for (const std::string& section : sections) {
    s += "\n## " + section + "\n";
    for (const ir::LayerDef* l : r.layers)
      if (l->section == section)
        paragraph(l->name + (l->tensor_inputs < 0 ? "(y, …)" : l->tensor_inputs == 2 ? "(y)" : ""), l->doc, l->args);
  }
  s += "\n## Functions\nOf tensors, in expressions.\n";
  for (const ir::FunctionDef* f : r.functions)
    s += fmt::format("\n### {}\n{}{}\n", f->name, f->doc, !f->doc.empty() && f->doc.back() != '.' ? "." : "");
  s += "\n## How exact\nThe largest errors of functions and of their gradients, in units in the last place of the "
       "exact result, over all floats where that is a normal number. "
       "Gradients are measured as functions of what they read, `x` or `y`. Where a gradient has a root that is not 0 "
       "(gelu, gelu_tanh, silu, mish), the unit is that of the "
       "sum of its terms' sizes. sin and cos: relative for |x| up to 1e5, to 1 for |x| up to 2^30; beyond, some number "
       "in [-1, 1]. pow is within 1, and exact where the result "
       "is a float. NaN gives NaN, and infinities the limits.\n\n| function | result | gradient |\n|---|---|---|\n";
  for (const ir::OpDef* op : r.ops.ops)
    if (op->ulps >= 0)
      s += fmt::format("| {} | {} | {} |\n", op->name, op->ulps,
                       op->gradient_ulps >= 0 ? fmt::format("{}", op->gradient_ulps) : "-");
  for (const auto& [heading, type] :
       {std::pair{"Initialisers", ir::ArgType::initializer}, std::pair{"Constraints", ir::ArgType::constraint}}) {
    s += fmt::format("\n## {}\nValues of arguments of layers, written by themselves when they need no argument.\n",
                     heading);
    for (const ir::SettingDef* d : r.settings)
      if (d->type == type) s += fmt::format("\n### {}\n{}.\n{}", d->name, d->doc, arguments(d->args));
  }
  s += "\n## Losses\n`loss = NAME(OUTPUT, label)`\n";
  for (const ir::LossDef* l : r.losses) s += fmt::format("\n### {}\n{}\n{}", l->name, l->doc, arguments(l->args));
  s += "\n## Optimisers\n`optimizer = NAME(…)`\n";
  for (const ir::OptimizerDef* o : r.optimizers)
    s += fmt::format("\n### {}\n{}\n{}", o->name, o->doc, arguments(o->args));
  s += "\n## Metrics\n`metrics = [NAME, NAME(...)]`; of a net with several outputs `NAME(OUTPUT)` counts one of them\n";
  for (const ir::MetricDef* m : r.metrics) s += fmt::format("\n### {}\n{}\n{}", m->name, m->doc, arguments(m->args));
  return s;
}

}  // namespace

TEST_CASE("examples compile") {
  size_t count = 0;
  auto compiles = [&](const fs::path& path, const std::string& text) {
    const SourceFile source(path.filename().string(), text);
    Diagnostics diagnostics(source);
    bool good = false;
    if (const auto file = load(source, {(kRoot / "models").string()}, diagnostics))
      good = sema::analyse(*file, {}, ops::registry(), diagnostics).has_value();
    INFO(text);
    CHECK_MESSAGE(good, diagnostics.render(false));
    CHECK_MESSAGE(diagnostics.all().empty(), diagnostics.render(false));
    ++count;
  };
  for (const fs::path& path : documents())
    for (const std::string& block : blocks(read(path), "net")) compiles(path, block);
  for (const auto& e : fs::recursive_directory_iterator(kRoot / "examples"))
    if (e.path().extension() == ".net") compiles(e.path(), read(e.path()));
  CHECK(count >= 13);
}

TEST_CASE("the reference of layers is up to date") {
  const fs::path path = kRoot / "docs" / "layers.md";
  if (std::getenv("NETC_UPDATE_GOLDEN")) std::ofstream(path, std::ios::binary) << reference();
  CHECK_MESSAGE(read(path) == reference(), "run NETC_UPDATE_GOLDEN=1 build/bin/test_docs");
}

TEST_CASE("quoted code is in the file it is quoted from") {
  const std::regex open(R"(\n```cpp ([A-Za-z0-9_./-]+)\n)");
  for (const fs::path& path : documents()) {
    const std::string text = read(path);
    for (std::sregex_iterator it(text.begin(), text.end(), open), end; it != end; ++it) {
      const std::string from = (*it)[1].str();
      for (const std::string& block : blocks(text, "cpp " + from)) {
        INFO(block);
        CHECK_MESSAGE(read(kRoot / from).find(block) != std::string::npos, from);
      }
    }
  }
}

TEST_CASE("links and paths lead somewhere") {
  const std::regex link(R"(\]\(([^)#:]+)(#[^)]*)?\))"),
      file(R"(`((?:bench|cmake|compiler|docs|examples|grammar|models|runtime|scripts|tests)/[A-Za-z0-9_./-]+)`)");
  for (const fs::path& path : documents()) {
    const std::string text = read(path), prose = std::regex_replace(text, std::regex("```[^`]*```|`[^`\n]*`"), "");
    INFO(path.string());
    for (std::sregex_iterator it(prose.begin(), prose.end(), link), end; it != end; ++it)
      CHECK_MESSAGE(fs::exists(path.parent_path() / (*it)[1].str()), (*it)[1].str());
    for (std::sregex_iterator it(text.begin(), text.end(), file), end; it != end; ++it)
      CHECK_MESSAGE(fs::exists(kRoot / (*it)[1].str()), (*it)[1].str());
  }
}
