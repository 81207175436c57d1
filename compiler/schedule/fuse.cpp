// A kernel is one anchor (contraction, reduction, window) with the element-wise nodes that follow it, or element-wise nodes alone.
//
//   conv -> bias_add -> relu -> normalize -> pool        one kernel: each value has one reader, the anchor's tile feeds the rest in registers
//   a -> normalize -> {max_pool, max_pool_grad}          normalize is cheap and reads stored values: recomputed in both, never stored
//   input -> rescale -> conv                             one kernel in inference: rescale is a part of the copy that the convolution makes of an image
//   matmul_weight_grad -> penalty_grad -> adam_update    one kernel: the gradient of a weight is never stored
//
// Why it is legal: an absorbed node moves later, next to the last node of its chain. Its value has one reader, which is in the chain, so nobody misses it;
// what the chain's nodes read besides is defined before the chain's last node.
#include "compiler/schedule/fuse.h"

#include <algorithm>
#include <map>
#include <set>

#include "compiler/ir/by_pixel.h"

namespace netc::schedule {
namespace {

using ir::Graph;
using ir::Kind;
using ir::kNone;
using ir::Node;
using ir::NodeId;
using ir::ValueId;

constexpr int kRecomputeNodes = 4;   // a chain of at most so many element-wise nodes is recomputed rather than stored, for at most
constexpr int kRecomputeReaders = 3; // so many readers

bool is_anchor(const Node& n) { return n.op->kind != Kind::elementwise && n.op->kind != Kind::view; }

class Fuser {
 public:
  explicit Fuser(const Graph& g) : g_(g) {}

  Groups run() {
    count_uses();
    find_roots();
    absorb();
    decide_stored();
    build();
    return std::move(out_);
  }

 private:
  void count_uses() {
    users_.resize(g_.values.size());
    pinned_.assign(g_.values.size(), false);
    for (NodeId n = 0; n < static_cast<NodeId>(g_.nodes.size()); ++n)
      for (ValueId v : std::set<ValueId>(g_.nodes[n].inputs.begin(), g_.nodes[n].inputs.end())) users_[v].push_back(n);
    for (auto& o : g_.outputs) pinned_[o.value] = true;
    for (auto& u : g_.updates) pinned_[u.value] = true;
  }

  void find_roots() {
    out_.root.resize(g_.values.size());
    for (ValueId v = 0; v < static_cast<ValueId>(g_.values.size()); ++v) {
      NodeId d = g_.values[v].def;
      out_.root[v] = d != kNone && g_.nodes[d].op->kind == Kind::view ? out_.root[g_.nodes[d].inputs[0]] : v;
    }
  }

  bool same_shape(ValueId a, ValueId b) const { return g_.type(a).dims == g_.type(b).dims && g_.type(a).batched == g_.type(b).batched; }

  // The one reader of `v` that may join v's kernel, or kNone.
  NodeId follower(ValueId v, const Node& anchor, bool& pooled) const {
    if (pinned_[v] || users_[v].size() != 1) return kNone;
    NodeId u = users_[v][0];
    const Node& n = g_.nodes[u];
    if (n.op->kind == Kind::elementwise) return same_shape(v, n.results[0]) ? u : kNone;
    bool pools = n.op->kind == Kind::window && n.inputs.size() == 1 && !n.op->overlaps(n.attrs) && g_.type(n.results[0]).elements() <= g_.type(v).elements() &&
                 whole_windows(anchor, v, n.results[0]);
    if (pools && anchor.op->kind == Kind::contraction && !pooled) { pooled = true; return u; }
    return kNone;
  }
  // A tile of the anchor's results has whole windows, where it has tiles.
  bool whole_windows(const Node& anchor, ValueId in, ValueId out) const {
    if (!anchor.op->transforms_tiles) return true;
    for (int d = 0; d < 2; ++d)
      if (anchor.attrs.i("tile") % std::max<int64_t>(1, g_.type(in).dims[d] / std::max<int64_t>(1, g_.type(out).dims[d])) != 0) return false;
    return true;
  }

  // Chains: each anchor takes its followers.
  void absorb() {
    kernel_of_.assign(g_.nodes.size(), kNone);
    for (NodeId n = 0; n < static_cast<NodeId>(g_.nodes.size()); ++n) {
      const Node& node = g_.nodes[n];
      if (!is_anchor(node) || kernel_of_[n] != kNone) continue;
      int k = static_cast<int>(chains_.size());
      chains_.push_back({n});
      kernel_of_[n] = k;
      bool pooled = false;
      const Node* last = &node;
      while (last->results.size() == 1 && node.op->kind != Kind::ingest && node.op->kind != Kind::scatter) {
        NodeId u = follower(last->results[0], node, pooled);
        if (u == kNone || kernel_of_[u] != kNone) break;  // the first chain takes it: the others' values are stored
        kernel_of_[u] = k;
        chains_[k].push_back(u);
        last = &g_.nodes[u];
      }
    }
  }

  void decide_stored() {
    out_.stored.assign(g_.values.size(), false);
    std::vector<int> weight(g_.values.size(), 0);  // element-wise nodes recomputed to have this value
    for (ValueId v = 0; v < static_cast<ValueId>(g_.values.size()); ++v)
      if (g_.values[v].def == kNone) out_.stored[v] = true;
    for (NodeId n = 0; n < static_cast<NodeId>(g_.nodes.size()); ++n) {
      const Node& node = g_.nodes[n];
      bool chained = kernel_of_[n] != kNone;
      bool ends_chain = chained && chains_[kernel_of_[n]].back() == n;
      int cost = 1;
      for (ValueId v : node.inputs) cost += out_.stored[v] ? 0 : weight[v];
      for (ValueId r : node.results) {
        weight[r] = cost;
        bool store;
        if (node.op->kind == Kind::view) store = true;
        else if (chained) store = ends_chain;
        else store = must_store(r) || node.results.size() > 1 || node.op->random || (users_[r].size() > 1 && (cost > kRecomputeNodes || static_cast<int>(users_[r].size()) > kRecomputeReaders));
        out_.stored[r] = store;
      }
    }
  }

  // Read by something that reads elements more than once, through a view, or by nobody in the graph.
  bool must_store(ValueId v) const {
    if (pinned_[v] || users_[v].empty()) return true;
    for (NodeId u : users_[v]) {
      Kind k = g_.nodes[u].op->kind;
      if (k == Kind::contraction && copies(v, g_.nodes[u])) continue;
      if (k == Kind::contraction || k == Kind::view || k == Kind::ingest || k == Kind::scatter) return true;
      if (k == Kind::window && g_.nodes[u].op->overlaps(g_.nodes[u].attrs)) return true;
      if (k == Kind::reduction && !same_rank_reduction(u)) continue;
      if (k == Kind::elementwise && !same_shape(v, g_.nodes[u].results[0]) && g_.type(v).elements() > 1) return true;  // broadcast: computed once
    }
    return false;
  }
  // A convolution that alone reads what was made element by element of the net's inputs, or pixel by pixel, makes it in its tasks' copies of the image.
  bool copies(ValueId v, const Node& reader) const {
    return reader.op->windows && !reader.op->transforms_tiles && users_[v].size() == 1 && reader.inputs[0] == v && reader.inputs[1] != v &&
           (from_inputs(v) || ir::by_pixel(reader, g_));
  }
  bool from_inputs(ValueId v) const {
    const NodeId d = g_.values[v].def;
    if (d == kNone || g_.nodes[d].op->kind == Kind::ingest) return true;
    const Node& n = g_.nodes[d];
    return n.op->kind == Kind::elementwise && std::all_of(n.inputs.begin(), n.inputs.end(), [&](ValueId i) { return from_inputs(i); });
  }
  bool same_rank_reduction(NodeId u) const { return same_shape(g_.nodes[u].inputs[0], g_.nodes[u].results[0]); }

  // Adds the element-wise nodes that must be recomputed for `v`.
  void gather(ValueId v, std::set<NodeId>& nodes) const {
    if (out_.stored[v]) return;
    NodeId d = g_.values[v].def;
    if (!nodes.insert(d).second) return;
    for (ValueId i : g_.nodes[d].inputs) gather(i, nodes);
  }

  void add_kernel(const std::vector<NodeId>& chain, NodeId anchor) {
    Kernel k;
    k.anchor = anchor;
    std::set<NodeId> nodes(chain.begin(), chain.end());
    for (NodeId n : chain)
      for (ValueId v : g_.nodes[n].inputs)
        if (!(g_.values[v].def != kNone && nodes.count(g_.values[v].def))) gather(v, nodes);
    k.nodes.assign(nodes.begin(), nodes.end());
    std::set<ValueId> seen;
    for (NodeId n : k.nodes)
      for (ValueId v : g_.nodes[n].inputs)
        if (out_.stored[v] && !(g_.values[v].def != kNone && nodes.count(g_.values[v].def)) && seen.insert(v).second) k.input_values.push_back(v);
    const Node& last = g_.nodes[chain.back()];
    k.output_values = last.results;
    position_.push_back({chain.front(), chain.back()});
    out_.kernels.push_back(std::move(k));
  }

  void build() {
    for (auto& c : chains_) add_kernel(c, c[0]);
    for (NodeId n = 0; n < static_cast<NodeId>(g_.nodes.size()); ++n) {
      const Node& node = g_.nodes[n];
      if (node.op->kind == Kind::elementwise && kernel_of_[n] == kNone && out_.stored[node.results[0]]) add_kernel({n}, kNone);
    }
    order();
  }

  // Each kernel comes where its first node stands, or as soon after as all that it reads is there: what it reads can be forgotten early. One that writes a variable
  // also comes after all readers of what it overwrites.
  void order() {
    const size_t count = out_.kernels.size();
    std::vector<size_t> topological(count);  // by the last node: all that a kernel reads was defined before
    for (size_t k = 0; k < count; ++k) topological[k] = k;
    std::sort(topological.begin(), topological.end(), [&](size_t a, size_t b) { return position_[a].second < position_[b].second; });
    std::map<ValueId, size_t> producer;
    std::map<ValueId, std::vector<size_t>> readers;
    for (size_t k = 0; k < count; ++k) {
      for (ValueId v : out_.kernels[k].output_values) producer[v] = k;
      for (ValueId v : out_.kernels[k].input_values) readers[v].push_back(k);
    }
    std::map<ValueId, ValueId> overwrites;  // new contents -> the value of the variable
    for (auto& u : g_.updates) overwrites[u.value] = g_.variables[u.variable].value;
    std::vector<double> key(count);
    for (size_t k = 0; k < count; ++k) key[k] = position_[k].first;
    for (bool changed = true; changed;) {
      changed = false;
      const auto not_before = [&](size_t k, double least) {
        if (key[k] < least) key[k] = least, changed = true;
      };
      for (size_t k : topological) {
        for (ValueId v : out_.kernels[k].input_values)
          if (auto it = producer.find(out_.root[v]); it != producer.end()) not_before(k, key[it->second]);
        for (ValueId v : out_.kernels[k].output_values)
          if (auto it = overwrites.find(v); it != overwrites.end())
            for (size_t reader : readers[it->second])
              if (reader != k) not_before(k, key[reader] + 0.5);
      }
    }
    std::stable_sort(topological.begin(), topological.end(), [&](size_t a, size_t b) { return key[a] < key[b]; });
    std::vector<Kernel> sorted;
    for (size_t k : topological) sorted.push_back(std::move(out_.kernels[k]));
    out_.kernels = std::move(sorted);
  }

  const Graph& g_;
  Groups out_;
  std::vector<std::vector<NodeId>> users_;
  std::vector<bool> pinned_;
  std::vector<int32_t> kernel_of_;
  std::vector<std::vector<NodeId>> chains_;
  std::vector<std::pair<NodeId, NodeId>> position_;  // by kernel: its first and last node of the graph
};

}  // namespace

Groups fuse(const Graph& g) { return Fuser(g).run(); }

}  // namespace netc::schedule
