#include "compiler/sema/product.h"

#include <algorithm>

namespace netc::sema {

void check_product(const Model& m, Diagnostics& diagnostics) {
  const ir::Graph& g = m.graph;
  const auto place = [&](ir::ValueId v) {   // where the layer was written that gives it, else the file's beginning
    const int32_t layer = g.values[v].def == ir::kNone ? ir::kNone : g.nodes[g.values[v].def].layer;
    return layer >= 0 && layer < static_cast<int32_t>(m.sources.size()) ? m.sources[layer].span : Span{0, 1};
  };
  for (const ir::Output& o : g.outputs) {
    const ir::Type& t = g.type(o.value);
    if (t.batched && t.dtype == ir::DType::f32 && !t.has_any_extent()) continue;
    Diagnostic& d = diagnostics.report(DiagId::expected_type, place(o.value), "the output " + o.name, "f32 of known extents, for each sample",
                                       ir::shape_for_user(t) + (t.batched ? "" : " for the whole batch"));
    if (t.has_any_extent()) d.help = {"put Resize(height, width) behind the input"};
    else if (t.dtype == ir::DType::u8) d.help = {"put Rescale(1/255) behind the input"};
  }
  for (const ir::Variable& v : g.variables) {
    if (v.role != ir::Role::input || !g.type(v.value).has_any_extent() || diagnostics.has_errors()) continue;
    const bool read = std::any_of(g.nodes.begin(), g.nodes.end(), [&](const ir::Node& n) { return std::count(n.inputs.begin(), n.inputs.end(), v.value) > 0; });
    if (!read)
      diagnostics.report(DiagId::expected_type, place(v.value), "the input " + v.name, "resized, for its images are of any size", "not").help = {"begin with Resize(height, width)"};
  }
}

}  // namespace netc::sema
