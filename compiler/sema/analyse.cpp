// Entry of semantic analysis: picks the net, elaborates it, names the source.
#include <algorithm>

#include "compiler/sema/elaborator.h"

namespace netc::sema {
namespace {

void names_in(const ast::Expr& e, std::set<std::string>& out) {
  if (e.kind == ast::ExprKind::name) out.insert(e.text);
  for (const auto& i : e.items) names_in(*i, out);
  for (const ast::Arg& a : e.args) names_in(*a.value, out);
}

void names_in(const std::vector<ast::Param>& params, std::set<std::string>& out) {
  for (const ast::Param& p : params)
    if (p.fallback) names_in(*p.fallback, out);
}

void names_in(const std::vector<ast::Stmt>& body, std::set<std::string>& out) {
  for (const ast::Stmt& s : body) {
    names_in(s.params, out);
    if (s.value) names_in(*s.value, out);
    names_in(s.body, out);
    names_in(s.otherwise, out);
  }
}

/// The net that is the product: the one that --net names, else the only one that no other net uses.
const ast::Net* choose(const ast::File& file, const Options& options, Diagnostics& diagnostics) {
  if (file.nets.empty()) {
    diagnostics.report(DiagId::no_net, Span{0, 1}).help.push_back("write: net Name { input ... output ... }");
    return nullptr;
  }
  std::vector<std::string> all, free;
  const ast::Net* last = nullptr;
  for (const ast::Net& n : file.nets) {
    all.push_back(n.name);
    if (n.name == options.net) return &n;
    bool used = false;
    for (const ast::Net& other : file.nets) {
      std::set<std::string> names;
      if (&other != &n) names_in(other.body, names), names_in(other.params, names);
      used = used || names.count(n.name) != 0;
    }
    std::set<std::string> outside;
    names_in(file.declarations, outside);
    if (!used && !outside.count(n.name)) free.push_back(n.name), last = &n;
  }
  if (!options.net.empty()) {
    Diagnostic& d = diagnostics.report(DiagId::unknown_net, file.nets[0].name_span, options.net);
    const std::string near = nearest_name(options.net, all);
    d.help.push_back(near.empty() ? fmt::format("it has {}", fmt::join(all, ", "))
                                  : fmt::format("did you mean {}?", near));
    return nullptr;
  }
  if (free.size() > 1) {
    diagnostics.report(DiagId::ambiguous_net, last->name_span, fmt::format("{}", fmt::join(free, ", ")))
        .help.push_back("say which with --net NAME");
    return nullptr;
  }
  return last ? last : &file.nets.back();
}

/// FNV-1a, 64 bits: tells whether a product came from these very texts.
std::string hash_of(const Diagnostics& files) {
  uint64_t h = 14695981039346656037ull;
  const auto add = [&](const std::string& text) {
    for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  };
  add(files.file().text());
  for (const auto& f : files.further_files()) add(f->text());
  return fmt::format("{:016x}", h);
}

}  // namespace

std::optional<Model> analyse(const ast::File& file, const Options& options, const ir::Registry& registry,
                             Diagnostics& diagnostics) {
  const ast::Net* net = choose(file, options, diagnostics);
  if (!net) return std::nullopt;
  Model model;
  model.source_path = diagnostics.file().path();
  model.source_hash = hash_of(diagnostics);
  for (const auto& f : diagnostics.further_files()) model.imported_files.push_back(f->path());
  Elaborator(file, registry, diagnostics).product(*net, options, model);
  if (diagnostics.has_errors()) {
    diagnostics.drop(DiagId::unused_value);  // what an error kept from being read is not unused
    return std::nullopt;
  }
  lint(model, diagnostics);
  return model;
}

}  // namespace netc::sema
