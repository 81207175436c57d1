// A kernel is one anchor (contraction, reduction, window) with the element-wise nodes that follow it, or element-wise
// nodes alone.
//
//   conv -> bias_add -> relu -> normalize -> pool        one kernel: each value has one reader, the anchor's tile feeds
//   the rest in registers a -> normalize -> {max_pool, max_pool_grad}          normalize is cheap and reads stored
//   values: recomputed in both, never stored input -> rescale -> conv                             one kernel in
//   inference: rescale is a part of the copy that the convolution makes of an image matmul_weight_grad -> penalty_grad
//   -> adam_update    one kernel: the gradient of a weight is never stored
//
// Why it is legal: an absorbed node moves later, next to the last node of its chain. Its value has one reader, which is
// in the chain, so nobody misses it; what the chain's nodes read besides is defined before the chain's last node.
// joins.h has the rules for what may follow an anchor.
//
// Why it ends: kernels are put in a topological order of what they read and of what they overwrite. Two that overwrite
// variables, each recomputing what it needs from the other's old contents, would wait for each other: their last nodes
// are then kernels of their own, which read stored values. Each round does that to at least one more node.
#include "compiler/schedule/fuse.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <queue>
#include <set>

#include "compiler/ir/by_pixel.h"
#include "compiler/plan/joins.h"

namespace netc::schedule {
namespace {

using ir::Graph;
using ir::Kind;
using ir::kNone;
using ir::Node;
using ir::NodeId;
using ir::ValueId;

// a chain of at most so many element-wise nodes is recomputed rather than stored, for at most
constexpr int kRecomputeNodes = 4;
constexpr int kRecomputeReaders = 3;  // so many readers

bool is_anchor(const Node& n) { return n.op->kind != Kind::elementwise && n.op->kind != Kind::view; }

class Fuser {
 public:
  explicit Fuser(const Graph& g) : g_(g) {}

  Groups run() {
    count_uses();
    find_roots();
    do {
      absorb();
      decide_stored();
      build();
    } while (!order());
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
    for (ValueId v = 0; v < static_cast<ValueId>(g_.values.size()); ++v) out_.root.push_back(v);
    for (const Node& n : g_.nodes)
      if (n.op->kind == Kind::view) out_.root[n.results[0]] = out_.root[n.inputs[0]];
  }

  // The one reader of `v` that may join v's kernel, or kNone.
  NodeId follower(ValueId v, const Node& anchor, bool& pooled) const {
    if (pinned_[v] || users_[v].size() != 1 || alone_.count(users_[v][0])) return kNone;
    const NodeId u = users_[v][0];
    if (!may_follow(g_, anchor, v, g_.nodes[u], pooled)) return kNone;
    pooled = pooled || g_.nodes[u].op->kind == Kind::window;
    return u;
  }

  // Chains: each anchor takes its followers.
  void absorb() {
    kernel_of_.assign(g_.nodes.size(), kNone);
    chains_.clear();
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
      const int cost = lighten(n, weight);
      bool chained = kernel_of_[n] != kNone;
      bool ends_chain = chained && chains_[kernel_of_[n]].back() == n;
      for (ValueId r : node.results) {
        weight[r] = cost;
        bool store;
        // of an image of any size: computed where it is resized
        if (node.op->kind == Kind::elementwise && g_.type(r).has_any_extent()) store = false;
        else if (node.op->kind == Kind::view) store = true;
        else if (chained) store = ends_chain;
        else
          store = must_store(r) || node.results.size() > 1 || node.op->random ||
                  (users_[r].size() > 1 &&
                   (cost > kRecomputeNodes || static_cast<int>(users_[r].size()) > kRecomputeReaders));
        out_.stored[r] = store;
      }
    }
  }

  // Element-wise nodes that are computed where n is: its own, and those of operands that are not stored. The heaviest
  // are stored where these would be too many, and all of a node's that is to stand alone; a chain that is too long ends
  // before n.
  int lighten(NodeId n, const std::vector<int>& weight) {
    const std::vector<ValueId>& in = g_.nodes[n].inputs;
    const auto cost = [&] {
      int sum = 1;
      for (ValueId v : std::set<ValueId>(in.begin(), in.end())) sum += out_.stored[v] ? 0 : weight[v];
      return sum;
    };
    int now = cost();
    if (now > 1 && alone_.count(n)) {
      for (ValueId v : in) out_.stored[v] = true;
      return 1;
    }
    while (now > kMostNodes) {
      ValueId heaviest = kNone;
      for (ValueId v : in)
        if (!out_.stored[v] && (heaviest == kNone || weight[v] > weight[heaviest])) heaviest = v;
      if (const NodeId d = g_.values[heaviest].def; kernel_of_[d] != kNone && kernel_of_[d] == kernel_of_[n]) {
        std::vector<NodeId>& chain = chains_[kernel_of_[n]];
        while (chain.back() != d) kernel_of_[chain.back()] = kNone, chain.pop_back();
      }
      out_.stored[heaviest] = true;
      now = cost();
    }
    return now;
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
      // broadcast: computed once
      if (k == Kind::elementwise && !same_shape(g_, v, g_.nodes[u].results[0]) && g_.type(v).elements() > 1)
        return true;
    }
    return false;
  }
  // A convolution that alone reads what was made element by element of the net's inputs, or pixel by pixel, makes it in
  // its tasks' copies of the image.
  bool copies(ValueId v, const Node& reader) const {
    return reader.op->windows && !reader.op->structure && users_[v].size() == 1 && reader.inputs[0] == v &&
           reader.inputs[1] != v && (from_inputs(v) || ir::by_pixel(reader, g_));
  }
  bool from_inputs(ValueId v) const {
    const NodeId d = g_.values[v].def;
    if (d == kNone || g_.nodes[d].op->kind == Kind::ingest) return true;
    const Node& n = g_.nodes[d];
    return n.op->kind == Kind::elementwise &&
           std::all_of(n.inputs.begin(), n.inputs.end(), [&](ValueId i) { return from_inputs(i); });
  }
  bool same_rank_reduction(NodeId u) const { return same_shape(g_, g_.nodes[u].inputs[0], g_.nodes[u].results[0]); }

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
        if (out_.stored[v] && !(g_.values[v].def != kNone && nodes.count(g_.values[v].def)) && seen.insert(v).second)
          k.input_values.push_back(v);
    const Node& last = g_.nodes[chain.back()];
    k.output_values = last.results;
    position_.push_back({chain.front(), chain.back()});
    out_.kernels.push_back(std::move(k));
  }

  void build() {
    out_.kernels.clear();
    position_.clear();
    for (auto& c : chains_) add_kernel(c, c[0]);
    for (NodeId n = 0; n < static_cast<NodeId>(g_.nodes.size()); ++n) {
      const Node& node = g_.nodes[n];
      if (node.op->kind == Kind::elementwise && kernel_of_[n] == kNone && out_.stored[node.results[0]])
        add_kernel({n}, kNone);
    }
  }

  // Each kernel comes where its first node stands, or as soon after as all that it reads is there: what it reads can be
  // forgotten early. One that writes a variable also comes after all readers of what it overwrites. False where some
  // wait for each other: those that overwrite are to stand alone.
  bool order() {
    const size_t count = out_.kernels.size();
    std::map<ValueId, size_t> producer;
    std::map<ValueId, std::vector<size_t>> readers;
    for (size_t k = 0; k < count; ++k) {
      for (ValueId v : out_.kernels[k].output_values) producer[v] = k;
      for (ValueId v : out_.kernels[k].input_values) readers[out_.root[v]].push_back(k);
    }
    std::map<ValueId, ValueId> overwrites;  // new contents -> the value of the variable
    for (auto& u : g_.updates) overwrites[u.value] = g_.variables[u.variable].value;
    std::vector<std::vector<size_t>> after(count);
    std::vector<int> waits(count, 0);
    const auto edge = [&](size_t from, size_t to) {
      if (from != to) after[from].push_back(to), ++waits[to];
    };
    for (size_t k = 0; k < count; ++k) {
      for (ValueId v : out_.kernels[k].input_values)
        if (const auto it = producer.find(out_.root[v]); it != producer.end()) edge(it->second, k);
      for (ValueId v : out_.kernels[k].output_values)
        if (const auto it = overwrites.find(v); it != overwrites.end())
          for (size_t reader : readers[it->second]) edge(reader, k);
    }
    using Entry = std::pair<std::pair<NodeId, NodeId>, size_t>;  // by first node, then by last
    std::priority_queue<Entry, std::vector<Entry>, std::greater<>> ready;
    for (size_t k = 0; k < count; ++k)
      if (waits[k] == 0) ready.push({position_[k], k});
    std::vector<size_t> sorted;
    while (!ready.empty()) {
      const size_t k = ready.top().second;
      ready.pop();
      sorted.push_back(k);
      for (size_t next : after[k])
        if (--waits[next] == 0) ready.push({position_[next], next});
    }
    if (sorted.size() < count) {
      bool more = false;
      for (size_t k = 0; k < count; ++k)
        for (ValueId v : out_.kernels[k].output_values)
          if (waits[k] > 0 && overwrites.count(v)) more |= alone_.insert(g_.values[v].def).second;
      if (more) return false;
      std::fprintf(stderr, "netc: internal error: kernels of %s wait for each other\n", g_.name.c_str());
      std::abort();
    }
    std::vector<Kernel> kernels;
    for (size_t k : sorted) kernels.push_back(std::move(out_.kernels[k]));
    out_.kernels = std::move(kernels);
    return true;
  }

  const Graph& g_;
  Groups out_;
  std::vector<std::vector<NodeId>> users_;
  std::vector<bool> pinned_;
  std::vector<int32_t> kernel_of_;
  std::vector<std::vector<NodeId>> chains_;
  std::vector<std::pair<NodeId, NodeId>> position_;  // by kernel: its first and last node of the graph
  std::set<NodeId> alone_;                           // kernels of their own, whose operands are stored
};

}  // namespace

Groups fuse(const Graph& g) { return Fuser(g).run(); }

}  // namespace netc::schedule
