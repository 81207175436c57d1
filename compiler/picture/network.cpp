#include "compiler/picture/network.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "compiler/base/counted.h"

namespace netc::picture {
namespace {

using namespace ir;

constexpr size_t kLongestText = 46;
constexpr int kWorthFolding = 3;  // rows saved

/// "61,504"; up to four digits stand together.
std::string grouped(int64_t n) {
  std::string s = std::to_string(n);
  for (int i = static_cast<int>(s.size()) - 3; i > 0 && n > 9999; i -= 3) s.insert(static_cast<size_t>(i), ",");
  return s;
}

std::string shape_text(const Type& t) {
  std::string s;
  for (const int64_t d : t.dims) s += (s.empty() ? "" : " × ") + (d == kAnyExtent ? std::string("*") : grouped(d));
  return s.empty() ? "1" : s;
}

/// At most this many characters, of which UTF-8 has several bytes.
std::string shortened(const std::string& s) {
  size_t n = 0, cut = 0;
  for (size_t i = 0; i < s.size(); ++i) {
    if ((static_cast<unsigned char>(s[i]) & 0xC0) == 0x80) continue;
    if (n++ == kLongestText - 1) cut = i;
  }
  return n <= kLongestText ? s : s.substr(0, cut) + "…";
}

/// The look of a layer that also has an operator of this kind.
Look heavier(Look l, Kind k) {
  if (l == Look::product || k == Kind::contraction) return Look::product;
  if (l == Look::fold || k == Kind::reduction || k == Kind::window) return Look::fold;
  return l == Look::pointwise || k == Kind::elementwise ? Look::pointwise : Look::move;
}

class Reader {
 public:
  Reader(const sema::Model& model, const plan::Plan& plan) : m_(model), g_(model.graph), plan_(plan) {}

  Network read() {
    inputs();
    layers();
    edges();
    kernels();
    fold();
    boxes();
    return std::move(net_);
  }

 private:
  const sema::Model& m_;
  const Graph& g_;
  const plan::Plan& plan_;
  Network net_;
  int first_layer_ = 0;                    // row of layer 0
  std::vector<std::vector<int>> owners_;   // of each value: the rows it comes from
  std::vector<std::vector<int>> kernels_;  // of each row
  std::vector<int> times_;                 // of each row: index into repeats, or -1
  std::set<std::pair<int, int>> seen_;

  void inputs() {
    owners_.resize(g_.values.size());
    for (const Variable& v : g_.variables) {
      if (v.role != Role::input) continue;
      owners_[v.value] = {static_cast<int>(net_.rows.size())};
      net_.rows.push_back({Look::input, v.name, v.name, shape_text(g_.type(v.value)),
                           fmt::format("input {}: {}", v.name, shape_for_user(g_.type(v.value)))});
    }
    first_layer_ = static_cast<int>(net_.rows.size());
  }

  void layers() {
    std::vector<double> macs(g_.layers.size());
    std::vector<Look> looks(g_.layers.size(), Look::move);
    for (const Node& n : g_.nodes)
      if (n.layer != kNone && n.op->cost) macs[n.layer] += n.op->cost(n, g_).macs;
    for (const plan::Kernel& k : plan_.kernels) {  // what inference does for it
      if (k.phase == plan::Phase::prepare) continue;
      for (const NodeId id : k.nodes) {
        const Node& n = plan_.graph->nodes[id];
        if (n.layer != kNone) looks[n.layer] = heavier(looks[n.layer], n.op->kind);
      }
    }
    for (size_t i = 0; i < g_.layers.size(); ++i) {
      const Layer& layer = g_.layers[i];
      int64_t parameters = 0;
      for (const std::string& name : layer.variables)
        if (const int32_t v = g_.find_variable(name); v != kNone)
          parameters += g_.type(g_.variables[v].value).elements();
      Row r{looks[i], layer.name, shortened(i < m_.sources.size() ? m_.sources[i].call : layer.text),
            layer.output == kNone ? "" : shape_text(g_.type(layer.output)),
            fmt::format("{}: {}", layer.name, layer.text)};
      if (parameters > 0) r.title += "\n" + counted(parameters, "parameter");
      if (macs[i] > 0) r.title += "\n" + counted(static_cast<int64_t>(macs[i]), "multiply-add");
      r.weights = parameters > 0;
      net_.rows.push_back(std::move(r));
    }
  }

  void add(const std::vector<int>& from, int to) {
    for (const int f : from)
      if (f != to && seen_.insert({f, to}).second) net_.edges.push_back({f, to});
  }

  void edges() {
    std::vector<bool> writes(g_.layers.size(), false);
    for (const Node& n : g_.nodes)
      if (n.layer != kNone) writes[n.layer] = true;
    // A layer without a node (a dropout of nothing) hands on what it is given.
    int next = 0;
    const auto idle = [&](int until) {
      for (; next < until; ++next) {
        const ValueId v = g_.layers[next].output;
        if (writes[next] || v == kNone) continue;
        add(owners_[v], first_layer_ + next);
        owners_[v] = {first_layer_ + next};
      }
    };
    for (const Node& n : g_.nodes) {
      if (n.layer != kNone) idle(n.layer);
      std::vector<int> from;
      for (const ValueId v : n.inputs) from.insert(from.end(), owners_[v].begin(), owners_[v].end());
      if (n.layer != kNone) {
        add(from, first_layer_ + n.layer);
        from = {first_layer_ + n.layer};
      }
      for (const ValueId v : n.results) owners_[v] = from;
    }
    idle(static_cast<int>(g_.layers.size()));
    for (const Output& o : g_.outputs) {
      const int row = static_cast<int>(net_.rows.size());
      net_.rows.push_back({Look::output, o.name, o.name, shape_text(g_.type(o.value)),
                           fmt::format("output {}: {}", o.name, shape_for_user(g_.type(o.value)))});
      add(owners_[o.value], row);
    }
  }

  void kernels() {
    kernels_.resize(net_.rows.size());
    for (size_t k = 0; k < plan_.kernels.size(); ++k) {
      if (plan_.kernels[k].phase == plan::Phase::prepare) continue;
      for (const NodeId id : plan_.kernels[k].nodes) {
        const int32_t layer = plan_.graph->nodes[id].layer;
        if (layer == kNone) continue;
        auto& list = kernels_[static_cast<size_t>(first_layer_ + layer)];
        if (std::find(list.begin(), list.end(), static_cast<int>(k)) == list.end()) list.push_back(static_cast<int>(k));
      }
    }
    for (size_t r = 0; r < net_.rows.size(); ++r)
      net_.rows[r].gone = kernels_[r].empty() && net_.rows[r].look != Look::input && net_.rows[r].look != Look::output;
  }

  std::vector<std::vector<int>> sources() const {
    std::vector<std::vector<int>> s(net_.rows.size());
    for (const Edge& e : net_.edges) s[e.to].push_back(e.from);
    for (auto& list : s) std::sort(list.begin(), list.end());
    return s;
  }

  // Folding: rows [i, i + p) and the k - 1 copies behind them, each fed by the last row of the one before it and by
  // nothing else.

  /// The rows of the copy at `at` are those at `first`, with the same tensors between them; `entry` is the one row
  /// outside that feeds it.
  bool equal(const std::vector<std::vector<int>>& sources, int first, int at, int p, int& entry) const {
    entry = -1;
    for (int j = 0; j < p; ++j) {
      const Row &a = net_.rows[first + j], &b = net_.rows[at + j];
      const auto &x = sources[first + j], &y = sources[at + j];
      if (a.text != b.text || a.shape != b.shape || a.gone != b.gone || x.size() != y.size()) return false;
      for (size_t s = 0; s < x.size(); ++s) {
        const bool inside = y[s] >= at;
        if ((x[s] >= first) != inside || (inside && x[s] - first != y[s] - at)) return false;
        if (inside) continue;
        if (entry != -1 && entry != y[s]) return false;
        entry = y[s];
      }
    }
    return entry != -1;
  }
  /// Only its last row is read from outside: by anyone, or, where another copy follows, by that one alone.
  bool closed(const std::vector<std::vector<int>>& readers, int at, int p, bool followed) const {
    for (int j = 0; j < p; ++j)
      for (const int r : readers[at + j]) {
        if (r < at + p) continue;
        if (j + 1 < p || (followed && r >= at + 2 * p)) return false;
      }
    return true;
  }
  int copies(const std::vector<std::vector<int>>& sources, const std::vector<std::vector<int>>& readers, int i, int p,
             int end) const {
    int entry = -1;
    if (!equal(sources, i, i, p, entry) || net_.rows[entry].shape != net_.rows[i + p - 1].shape ||
        !closed(readers, i, p, false))
      return 1;
    int k = 1;
    for (int at = i + p; at + p <= end; at += p, ++k)
      if (!equal(sources, i, at, p, entry) || entry != at - 1 || !closed(readers, at - p, p, true) ||
          !closed(readers, at, p, false))
        break;
    return k;
  }

  /// Parts begin with what weighs: a convolution, or a normalisation before one.
  bool heads(int r) const {
    const Row& row = net_.rows[r];
    return row.look == Look::product || row.look == Look::fold ||
           (row.weights && r + 1 < static_cast<int>(net_.rows.size()) && net_.rows[r + 1].look == Look::product);
  }

  void fold() {
    const int end = first_layer_ + static_cast<int>(g_.layers.size());
    const auto from = sources();
    std::vector<std::vector<int>> readers(net_.rows.size());
    for (const Edge& e : net_.edges) readers[e.from].push_back(e.to);
    std::vector<int> kept(net_.rows.size(), -1);    // new index of each row
    std::vector<int> stands_for(net_.rows.size());  // the row drawn in its place
    std::vector<int> order;
    for (int r = 0; r < static_cast<int>(net_.rows.size());) {
      int best_p = 0, best_k = 1;
      const bool starts = r >= first_layer_ && r < end && heads(r);
      for (int p = 1; starts && r + 2 * p <= end; ++p) {
        if (net_.rows[r + p].text != net_.rows[r].text || (best_k > 1 && r + p < r + best_p * best_k)) continue;
        const int k = copies(from, readers, r, p, end);
        if ((k - 1) * p >= kWorthFolding && (k - 1) * p > (best_k - 1) * best_p) best_p = p, best_k = k;
      }
      const int length = std::max(best_p, 1);
      if (best_k > 1)
        net_.repeats.push_back({static_cast<int>(order.size()), static_cast<int>(order.size()) + length - 1, best_k});
      for (int j = 0; j < length * best_k; ++j) {
        if (j < length) kept[r + j] = static_cast<int>(order.size()), order.push_back(r + j);
        stands_for[r + j] = r + j % length;
      }
      r += length * best_k;
    }
    Network folded;
    folded.repeats = net_.repeats;
    std::vector<std::vector<int>> kernels;
    for (const int r : order) folded.rows.push_back(net_.rows[r]), kernels.push_back(kernels_[r]);
    std::set<std::pair<int, int>> seen;
    for (const Edge& e : net_.edges) {
      const int a = kept[stands_for[e.from]], b = kept[e.to];
      if (b >= 0 && a < b && seen.insert({a, b}).second) folded.edges.push_back({a, b});
    }
    net_ = std::move(folded), kernels_ = std::move(kernels);
    times_.assign(net_.rows.size(), -1);
    for (size_t k = 0; k < net_.repeats.size(); ++k)
      for (int r = net_.repeats[k].first; r <= net_.repeats[k].last; ++r) times_[r] = static_cast<int>(k);
  }

  /// A row joins the box that ends with one of its sources when one kernel computes both, or none computes it.
  void boxes() {
    const auto from = sources();
    std::vector<int> box_of(net_.rows.size(), -1);
    std::vector<std::set<int>> above;  // of each box: the boxes that its rows depend on
    for (int r = 0; r < static_cast<int>(net_.rows.size()); ++r) {
      const Row& row = net_.rows[r];
      int join = -1;
      for (const int s : from[r]) {
        const Look l = net_.rows[s].look;
        if (row.look == Look::output || l == Look::input || times_[s] != times_[r] || net_.boxes[box_of[s]].back() != s)
          continue;
        const bool shares = std::any_of(kernels_[r].begin(), kernels_[r].end(), [&](int k) {
          return std::count(kernels_[s].begin(), kernels_[s].end(), k) > 0;
        });
        const bool behind_gone = net_.rows[s].gone && shared_before(box_of[s], r);
        if (!row.gone && !shares && !behind_gone) continue;
        bool cycle = false;
        for (const int other : from[r])
          cycle = cycle || (box_of[other] != box_of[s] && above[box_of[other]].count(box_of[s]));
        if (!cycle) join = box_of[s];
        if (join >= 0) break;
      }
      if (join < 0) {
        join = static_cast<int>(net_.boxes.size());
        net_.boxes.emplace_back();
        above.emplace_back();
      }
      box_of[r] = join;
      net_.boxes[join].push_back(r);
      for (const int s : from[r]) {
        if (box_of[s] == join) continue;
        above[join].insert(box_of[s]);
        above[join].insert(above[box_of[s]].begin(), above[box_of[s]].end());
      }
    }
    for (const auto& box : net_.boxes) {
      std::set<int> used;
      for (const int r : box) used.insert(kernels_[r].begin(), kernels_[r].end());
      std::string text;
      for (const int k : used) text += (text.empty() ? "" : ", ") + plan_.kernels[k].name;
      net_.kernels.push_back(text);
    }
  }
  /// Whether row r shares a kernel with any row of this box: what stands between them is gone.
  bool shared_before(int box, int r) const {
    for (const int s : net_.boxes[box])
      for (const int k : kernels_[s])
        if (std::count(kernels_[r].begin(), kernels_[r].end(), k) > 0) return true;
    return false;
  }
};

}  // namespace

Network network_of(const sema::Model& model, const plan::Plan& plan) { return Reader(model, plan).read(); }

}  // namespace netc::picture
