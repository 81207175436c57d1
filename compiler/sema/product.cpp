#include "compiler/sema/product.h"

#include <algorithm>

#include "compiler/ir/remedies.h"

namespace netc::sema {
namespace {

/// Where an input or output of the net is written, in its branches and loops too.
const ast::Stmt* find(const std::vector<ast::Stmt>& body, ast::StmtKind kind, const std::string& name) {
  for (const ast::Stmt& s : body) {
    if (s.kind == kind && (s.name == name || (s.name.empty() && name == "output"))) return &s;
    if (s.kind == ast::StmtKind::block) continue;
    for (const auto* inner : {&s.body, &s.otherwise})
      if (const ast::Stmt* found = find(*inner, kind, name)) return found;
  }
  return nullptr;
}

}  // namespace

void check_product(const ast::File& file, const Model& m, Diagnostics& diagnostics) {
  const ir::Graph& g = m.graph;
  const auto place = [&](ast::StmtKind kind, const std::string& name) {
    for (const ast::Net& n : file.nets)
      if (const ast::Stmt* s = n.name == m.net ? find(n.body, kind, name) : nullptr)
        return s->value ? s->value->span : s->span;
    return Span{0, 1};
  };
  for (const ir::Output& o : g.outputs) {
    const ir::Type& t = g.type(o.value);
    if (t.batched && t.dtype == ir::DType::f32 && !t.has_any_extent()) continue;
    Diagnostic& d = diagnostics.report(DiagId::expected_type, place(ast::StmtKind::output, o.name),
                                       "the output " + o.name, "f32 of known extents, for each sample",
                                       ir::shape_for_user(t) + (t.batched ? "" : " for the whole batch"));
    if (const std::string remedy = ops::type_remedy(t); !remedy.empty()) d.help = {remedy};
  }
  for (const ir::Variable& v : g.variables) {
    if (v.role != ir::Role::input || !g.type(v.value).has_any_extent() || diagnostics.has_errors()) continue;
    const bool read = std::any_of(g.nodes.begin(), g.nodes.end(), [&](const ir::Node& n) {
      return std::count(n.inputs.begin(), n.inputs.end(), v.value) > 0;
    });
    if (!read)
      diagnostics
          .report(DiagId::expected_type, place(ast::StmtKind::input, v.name), "the input " + v.name,
                  "resized, for its images are of any size", "not")
          .help = {"begin with Resize(height, width)"};
  }
}

}  // namespace netc::sema
