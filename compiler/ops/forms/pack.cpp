// Weights as a kernel wants to read them: the same tensor, stored so that the lanes of a tile lie side by side.
#include "compiler/ops/forms/pack.h"
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

OpDef pack() {
  OpDef d;
  d.name = "pack";
  d.doc =
      "The same values, stored in blocks of `block` along dim `dim` (0 is the innermost): a block's elements lie side "
      "by side, the blocks one after another. "
      "With `pairs`, a dim, each element of a block is two neighbours along it.";
  d.inputs = 1;
  d.stores_blocks = true;
  d.no_gradient = "it only says where elements lie, and is put in after gradients are";
  d.cost = per_element(0);
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    const int64_t dim = a.i("dim"), block = a.i("block");
    const auto divides = [&](int64_t n, int64_t d) {
      return d >= 0 && d < in[0].rank() && in[0].dims[static_cast<size_t>(in[0].rank() - 1 - d)] % n == 0;
    };
    if (!is_real(in[0].dtype) || in[0].batched || block < 1 || !divides(block, dim) ||
        (a.has("pairs") && (a.i("pairs") == dim || !divides(2, a.i("pairs"))))) {
      error = fmt::format("pack needs an f32 or bf16 tensor whose dim {} is a multiple of {}{}, not {}", dim, block,
                          a.has("pairs") ? fmt::format(" and whose dim {} is even", a.i("pairs")) : "", list_types(in));
      return false;
    }
    out = {in[0]};
    return true;
  };
  lowering(d).scalar = [](const LowerContext&, const Exprs& in, const Exprs&) { return Exprs{in[0]}; };
  d.reference = [](const Node&, const Graph&, const Tensors& in, int64_t) { return Tensors{in[0]}; };
  return d;
}

const OpDef& pack_op() {
  static const OpDef op = pack();
  return op;
}

}  // namespace

int64_t block_of(int64_t extent, const Machine& m) {
  int64_t lanes = m.vector_floats;
  while (lanes > 4 && extent % lanes != 0) lanes /= 2;
  if (extent % lanes != 0) return 0;
  const int64_t vectors = extent / lanes;
  for (int64_t v : {2, 3})
    if (vectors % v == 0) return v * lanes;
  return lanes;
}

ValueId added_once(Graph& g, const OpDef& op, ValueId w, const Attrs& attrs, int32_t layer, const std::string& suffix) {
  for (const Node& n : g.nodes)
    if (n.op == &op && n.inputs[0] == w && n.attrs == attrs) return n.results[0];
  return g.add(op, {w}, attrs, layer, g.values[w].name + suffix);
}

ValueId packed(Graph& g, ValueId w, Reads reads, int64_t block, bool pairs, int32_t layer) {
  Attrs a = {{"dim", static_cast<int64_t>(reads.lanes)}, {"block", block}};
  if (pairs) a.set("pairs", static_cast<int64_t>(reads.sums));
  return added_once(g, pack_op(), w, a, layer, ".packed");
}

namespace {

int64_t extent(const Type& t, int dim) { return t.dims[static_cast<size_t>(t.rank() - 1 - dim)]; }

// That its sums can take two products of bf16 at a time, and the machine does so in one instruction.
bool in_pairs(const Node& n, const Graph& g, const Machine& m, Reads reads) {
  const Type &x = g.type(n.inputs[0]), &w = g.type(n.inputs[1]);
  const bool neighbours = x.dims.back() == extent(w, reads.sums);  // in operand 0 too: of one group of channels
  return m.bf16_dot && x.dtype == DType::bf16 && w.dtype == DType::bf16 && neighbours && extent(w, reads.sums) % 2 == 0;
}

}  // namespace

Form packed_form(Reads reads, std::function<bool(const Node&, const Graph&)> fits) {
  Form f;
  f.name = "packed";
  const auto block = [reads](const Node& n, const Graph& g, const Machine& m) {
    const Type& w = g.type(n.inputs[1]);
    return w.batched ? 0 : block_of(extent(w, reads.lanes), m);
  };
  f.cost = [block, fits, reads](const Node& n, const Graph& g, const Machine& m) -> std::optional<double> {
    const NodeId def = g.values[n.inputs[1]].def;
    if ((fits && !fits(n, g)) || block(n, g, m) == 0 || (def != kNone && g.nodes[def].op->stores_blocks))
      return std::nullopt;
    return n.op->cost(n, g).flops / (in_pairs(n, g, m, reads) ? 2 : 1);
  };
  f.rewrite = [block, reads](Graph& g, NodeId id, const Machine& m) {
    const int64_t size = block(g.nodes[id], g, m);
    const ValueId w =
        packed(g, g.nodes[id].inputs[1], reads, size, in_pairs(g.nodes[id], g, m, reads), g.nodes[id].layer);
    g.nodes[id].inputs[1] = w;  // not before: adding moves the nodes
  };
  return f;
}

void add_pack(Registry& r) { r.ops.ops.push_back(&pack_op()); }

}  // namespace netc::ops
