#include "compiler/picture/layout.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace netc::picture {
namespace {

constexpr double kBetween = 26;     // from one thing of a rank to the next
constexpr double kBeside = 12;      // from a wire that passes to what it passes
constexpr double kLane = 6;         // the width of a wire that passes
constexpr double kGap = 40;         // from one rank to the next: room for a label and an arrow
constexpr double kTrack = 7;        // between horizontal pieces of one gap
constexpr double kFirstTrack = 22;  // below the label
constexpr double kNearly = 14;      // wires that turn by less are made straight where there is room
constexpr double kEntry = 18;       // between arrows into one box

/// A box, or a wire on its way past a rank.
struct Item {
  int box = -1, wire = -1;
  int rank = 0;
  double width = kLane, x = 0;  // x: of its middle
  std::vector<int> above, below;
};

class Layout {
 public:
  Layout(std::vector<Box>& boxes, std::vector<Wire>& wires) : boxes_(boxes), wires_(wires) {}

  void run() {
    if (boxes_.empty()) return;
    ranks();
    items();
    order();
    place();
    heights();
    paths();
  }

 private:
  std::vector<Box>& boxes_;
  std::vector<Wire>& wires_;
  std::vector<int> rank_;                // of boxes
  std::vector<Item> items_;              // boxes first
  std::vector<std::vector<int>> lanes_;  // of each wire: its items, from top to bottom
  std::vector<std::vector<int>> rows_;   // of each rank: items from left to right
  std::vector<double> bottom_;           // of each rank

  /// Wires go from lower to higher numbers: the longest way from a source, and sources as late as they can be.
  void ranks() {
    const size_t n = boxes_.size();
    rank_.assign(n, 0);
    std::vector<std::vector<int>> out(n);
    std::vector<int> waits(n, 0), ready;
    for (const Wire& w : wires_) out[w.from].push_back(w.to), ++waits[w.to];
    std::vector<bool> source(n, false);
    for (size_t b = 0; b < n; ++b)
      if (waits[b] == 0) source[b] = true, ready.push_back(static_cast<int>(b));
    for (size_t i = 0; i < ready.size(); ++i)
      for (const int b : out[ready[i]]) {
        rank_[b] = std::max(rank_[b], rank_[ready[i]] + 1);
        if (--waits[b] == 0) ready.push_back(b);
      }
    for (size_t b = 0; b < n; ++b) {
      if (!source[b] || out[b].empty()) continue;
      int first = 1 << 30;
      for (const int o : out[b]) first = std::min(first, rank_[o]);
      rank_[b] = first - 1;
    }
  }

  void items() {
    items_.resize(boxes_.size());
    for (size_t b = 0; b < boxes_.size(); ++b)
      items_[b] = {static_cast<int>(b), -1, rank_[b], std::max(boxes_[b].width, 2 * boxes_[b].label), 0, {}, {}};
    lanes_.resize(wires_.size());
    const auto join = [&](int a, int b) { items_[a].below.push_back(b), items_[b].above.push_back(a); };
    for (size_t w = 0; w < wires_.size(); ++w) {
      const Wire& wire = wires_[w];
      const int first = rank_[wire.from] + (wire.leaves < 0 ? 1 : 0), last = rank_[wire.to] - (wire.enters < 0 ? 1 : 0);
      for (int r = first; r <= last; ++r) {
        lanes_[w].push_back(static_cast<int>(items_.size()));
        items_.push_back({-1, static_cast<int>(w), r, kLane, 0, {}, {}});
      }
      int before = wire.from;
      for (const int lane : lanes_[w]) {
        if (items_[before].rank != items_[lane].rank) join(before, lane);
        before = lane;
      }
      if (items_[before].rank != rank_[wire.to]) join(before, wire.to);
    }
    int last = 0;
    for (const Item& i : items_) last = std::max(last, i.rank);
    rows_.resize(static_cast<size_t>(last) + 1);
    for (size_t i = 0; i < items_.size(); ++i) rows_[items_[i].rank].push_back(static_cast<int>(i));
  }

  /// Few crossings: each rank by the mean place of its neighbours in the rank before it, then in the one behind it.
  void order() {
    std::vector<double> at(items_.size());
    const auto number = [&](const std::vector<int>& row) {
      for (size_t k = 0; k < row.size(); ++k)
        at[row[k]] = (static_cast<double>(k) + 0.5) / static_cast<double>(row.size());
    };
    for (const auto& row : rows_) number(row);
    const auto sort = [&](std::vector<int>& row, std::vector<int> Item::* side) {
      std::map<int, double> key;
      for (const int i : row) {
        double sum = 0;
        for (const int n : items_[i].*side) sum += at[n];
        key[i] = (items_[i].*side).empty() ? at[i] : sum / static_cast<double>((items_[i].*side).size());
      }
      std::stable_sort(row.begin(), row.end(), [&](int a, int b) { return key[a] < key[b] - 1e-9; });
      number(row);
    };
    for (int sweep = 0; sweep < 4; ++sweep) {
      for (size_t r = 1; r < rows_.size(); ++r) sort(rows_[r], &Item::above);
      for (size_t r = rows_.size() - 1; r-- > 0;) sort(rows_[r], &Item::below);
    }
    for (size_t r = 1; r < rows_.size(); ++r) sort(rows_[r], &Item::above);
  }

  /// The box that every way into b passes last, or -1.
  std::vector<int> dominators() const {
    const size_t n = boxes_.size();
    std::vector<std::vector<int>> in(n);
    for (const Wire& w : wires_) in[w.to].push_back(w.from);
    std::vector<int> by_rank(n), dom(n, -1), depth(n, 0);
    for (size_t b = 0; b < n; ++b) by_rank[b] = static_cast<int>(b);
    std::stable_sort(by_rank.begin(), by_rank.end(), [&](int a, int b) { return rank_[a] < rank_[b]; });
    for (const int b : by_rank) {
      int d = -2;
      for (int p : in[b]) {
        if (d == -2) {
          d = p;
          continue;
        }
        while (d != p && d >= 0 && p >= 0) (depth[d] >= depth[p] ? d : p) = dom[depth[d] >= depth[p] ? d : p];
        if (d != p) d = -1;
      }
      dom[b] = d < 0 ? -1 : d;
      depth[b] = dom[b] < 0 ? 0 : depth[dom[b]] + 1;
    }
    return dom;
  }

  /// Middles as near as can be to where they are wanted, in order and apart: least squares by pooling neighbours that
  /// would overlap.
  void settle(const std::vector<int>& row, const std::vector<double>& wanted, const std::vector<double>& weight) {
    struct Pool {
      double sum, weight;
      size_t count;
      double mean() const { return sum / weight; }
    };
    std::vector<Pool> pools;
    std::vector<double> offset(row.size(), 0);
    for (size_t k = 0; k < row.size(); ++k) {
      if (k > 0) {
        const Item &a = items_[row[k - 1]], &b = items_[row[k]];
        offset[k] = offset[k - 1] + (a.width + b.width) / 2 + (a.box < 0 || b.box < 0 ? kBeside : kBetween);
      }
      pools.push_back({(wanted[k] - offset[k]) * weight[k], weight[k], 1});
      while (pools.size() > 1 && pools[pools.size() - 2].mean() > pools.back().mean()) {
        const Pool last = pools.back();
        pools.pop_back();
        pools.back() = {pools.back().sum + last.sum, pools.back().weight + last.weight,
                        pools.back().count + last.count};
      }
    }
    size_t k = 0;
    for (const Pool& p : pools)
      for (size_t c = 0; c < p.count; ++c, ++k) items_[row[k]].x = p.mean() + offset[k];
  }

  void place() {
    const std::vector<int> dom = dominators();
    constexpr double kHeavy = 1e7;
    std::vector<double> lane_side(wires_.size(), 0);  // where a wire's lanes should stand; known after the first pass
    for (int pass = 0; pass < 3; ++pass) {
      for (const auto& row : rows_) {
        std::vector<double> wanted, weight;
        for (const int i : row) {
          const Item& item = items_[i];
          double want = 0, mean = 0;
          for (const int a : item.above) mean += items_[a].x / static_cast<double>(item.above.size());
          if (item.box >= 0) {
            want = dom[item.box] >= 0 ? items_[dom[item.box]].x : mean;
          } else {
            want = pass > 0 ? lane_side[item.wire] : item.above.empty() ? items_[wires_[item.wire].from].x : mean;
          }
          wanted.push_back(want);
          weight.push_back(item.box >= 0 ? (dom[item.box] >= 0 || item.above.empty() ? kHeavy : kHeavy / 10)
                           : pass > 0    ? 10
                                         : 1);
        }
        settle(row, wanted, weight);
      }
      for (size_t w = 0; w < wires_.size(); ++w) {
        const double from = items_[wires_[w].from].x;
        double side = from;
        for (const int lane : lanes_[w])
          if (std::abs(items_[lane].x - from) > std::abs(side - from)) side = items_[lane].x;
        lane_side[w] = side;
      }
    }
    double left = 1e300;
    for (Item& i : items_)
      i.x = std::round(i.x), left = std::min(left, i.x - (i.box >= 0 ? boxes_[i.box].width : kLane) / 2);
    for (Item& i : items_) i.x -= std::floor(left);
    straighten();
    for (size_t b = 0; b < boxes_.size(); ++b) boxes_[b].x = items_[b].x - boxes_[b].width / 2;
  }

  /// Small steps to the side look like mistakes: what is nearly below what it hangs on moves there.
  void straighten() {
    for (const auto& row : rows_)
      for (size_t k = 0; k < row.size(); ++k) {
        Item& item = items_[row[k]];
        const auto step = [&](int a) { return items_[a].x - item.x; };
        if (std::any_of(item.above.begin(), item.above.end(), [&](int a) { return step(a) == 0; })) continue;
        const auto room = [&](const Item& other) {
          return (item.width + other.width) / 2 + (item.box < 0 || other.box < 0 ? kBeside / 2 : kBetween / 2);
        };
        for (const int a : item.above) {
          const double d = step(a), to = items_[a].x;
          const bool left = k == 0 ? to - item.width / 2 >= 0 : to - items_[row[k - 1]].x >= room(items_[row[k - 1]]);
          const bool right = k + 1 == row.size() || items_[row[k + 1]].x - to >= room(items_[row[k + 1]]);
          if (std::abs(d) > kNearly || (d < 0 && !left) || (d > 0 && !right)) continue;
          item.x = to;
          break;
        }
      }
  }

  /// The items whose wires turn in the gap below a rank, each with its track.
  std::map<int, int> tracks(size_t rank) const {
    std::map<int, int> out;
    for (const int i : rows_[rank])
      if (std::any_of(items_[i].below.begin(), items_[i].below.end(),
                      [&](int b) { return items_[b].x != items_[i].x; }))
        out.emplace(i, static_cast<int>(out.size()));
    return out;
  }

  void heights() {
    double y = 0;
    for (size_t r = 0; r < rows_.size(); ++r) {
      double tallest = 0;
      for (const int i : rows_[r])
        if (items_[i].box >= 0) tallest = std::max(tallest, boxes_[items_[i].box].height);
      for (const int i : rows_[r])
        if (items_[i].box >= 0) boxes_[items_[i].box].y = y + std::floor((tallest - boxes_[items_[i].box].height) / 2);
      bottom_.push_back(y += tallest);
      y += kGap + kTrack * std::max(0.0, static_cast<double>(tracks(r).size()) - 1);
    }
  }

  /// Where each wire meets the top of its box: straight from above where it can, else near the middle, on the side it
  /// comes from.
  std::vector<double> entries() const {
    std::vector<double> at(wires_.size(), 0);
    std::map<int, std::vector<std::pair<double, size_t>>> left, right;
    const auto come_from = [&](size_t w) { return items_[lanes_[w].empty() ? wires_[w].from : lanes_[w].back()].x; };
    for (size_t w = 0; w < wires_.size(); ++w) {
      if (wires_[w].enters >= 0) continue;
      const double middle = items_[wires_[w].to].x, d = come_from(w) - middle;
      const bool above = std::abs(d) <= boxes_[wires_[w].to].width / 2 - 10;
      at[w] = above ? middle + d : middle;
      if (!above) (d < 0 ? left : right)[wires_[w].to].emplace_back(std::abs(d), w);
    }
    for (auto* side : {&left, &right})
      for (auto& [box, list] : *side) {
        std::sort(list.begin(), list.end());
        const double room = boxes_[box].width / 2 - 10,
                     step = std::floor(std::min(kEntry, room / static_cast<double>(list.size())));
        for (size_t k = 0; k < list.size(); ++k)
          at[list[k].second] += (side == &left ? -1 : 1) * step * static_cast<double>(k + 1);
      }
    return at;
  }

  void paths() {
    std::vector<std::map<int, int>> track;
    for (size_t r = 0; r < rows_.size(); ++r) track.push_back(tracks(r));
    const std::vector<double> entry = entries();
    for (size_t w = 0; w < wires_.size(); ++w) {
      Wire& wire = wires_[w];
      const Box &a = boxes_[wire.from], &b = boxes_[wire.to];
      std::vector<Point>& p = wire.path;
      int at = wire.from;
      double x = items_[wire.from].x;
      if (wire.leaves >= 0) {
        at = lanes_[w].front();
        x = items_[at].x;
        p = {{x > items_[wire.from].x ? a.x + a.width : a.x, a.y + wire.leaves}, {x, a.y + wire.leaves}};
      } else {
        p = {{x, a.y + a.height}};
      }
      const auto turn = [&](int from_item, double to_x) {  // in the gap below from_item
        if (x != to_x) {
          const auto& turning = track[items_[from_item].rank];
          const auto t = turning.find(from_item);
          const double y =
              bottom_[items_[from_item].rank] + kFirstTrack + (t == turning.end() ? 0 : kTrack * t->second);
          p.push_back({x, y});
          p.push_back({to_x, y});
        }
        x = to_x;
      };
      for (const int lane : lanes_[w]) {
        if (lane == at) continue;
        turn(at, items_[lane].x);
        at = lane;
      }
      if (wire.enters >= 0) {
        p.push_back({x, b.y + wire.enters});
        p.push_back({x > items_[wire.to].x ? b.x + b.width : b.x, b.y + wire.enters});
      } else {
        turn(at, entry[w]);
        p.push_back({x, b.y});
      }
    }
  }
};

}  // namespace

void lay_out(std::vector<Box>& boxes, std::vector<Wire>& wires) { Layout(boxes, wires).run(); }

}  // namespace netc::picture
