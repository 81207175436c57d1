// A weight's gradient may take tiles of a whole batch; what else runs before or after it decides what lies beside them.
// Exchanges are tried near the fullest moment only: elsewhere kernels stay where the order of the graph has them, next
// to those whose results they read.
#include "compiler/schedule/order.h"

#include <algorithm>
#include <map>

namespace netc::schedule {
namespace {

constexpr int kReach = 32;   // kernels on either side of the fullest moment
constexpr int kRun = 16;     // kernels of a run, at most
constexpr int kRounds = 16;  // exchanges, at most

class Order {
 public:
  Order(const Plan& p, const std::vector<ir::ValueId>& root)
      : n_(static_cast<int>(p.kernels.size())),
        reads_(p.kernels.size()),
        writes_(p.kernels.size()) {
    std::map<std::pair<bool, int32_t>, int> places;  // a variable's memory, or that of a value
    const auto place = [&](int b) {
      const Buffer& buffer = p.buffers[static_cast<size_t>(b)];
      const bool arena = buffer.storage == Storage::arena;
      const int at =
          places.try_emplace({arena, arena ? root[buffer.value] : buffer.variable}, static_cast<int>(places.size()))
              .first->second;
      bytes_.resize(places.size(), 0);
      if (arena) bytes_[at] = std::max(bytes_[at], buffer.type.bytes() * (buffer.type.batched ? p.max_batch : 1));
      return at;
    };
    for (int k = 0; k < n_; ++k) {
      for (int b : p.kernels[k].inputs) reads_[k].push_back(place(b));
      for (int b : p.kernels[k].outputs) writes_[k].push_back(place(b));
      with_next_.push_back(p.kernels[k].with_next);
      kernels_.push_back(k);
    }
    kept_.assign(bytes_.size(), false);
    for (const ir::Output& o : p.graph->outputs)
      if (const auto it = places.find({true, root[o.value]}); it != places.end()) kept_[it->second] = true;
  }

  std::vector<int> run() {
    for (int round = 0; round < kRounds && exchange(); ++round) {}
    return kernels_;
  }

 private:
  template <class F>
  void each_use(int kernel, F&& f) const {
    for (const auto* list : {&reads_[kernel], &writes_[kernel]})
      for (int place : *list) f(place);
  }

  void measure() {
    first_.assign(bytes_.size(), n_);
    last_.assign(bytes_.size(), -1);
    for (int at = 0; at < n_; ++at)
      each_use(kernels_[at], [&](int place) { first_[place] = std::min(first_[place], at), last_[place] = at; });
    std::vector<int64_t> change(n_ + 1, 0);
    for (size_t place = 0; place < bytes_.size(); ++place) {
      if (last_[place] < 0) continue;
      if (kept_[place]) last_[place] = n_;
      change[first_[place]] += bytes_[place];
      if (!kept_[place]) change[last_[place] + 1] -= bytes_[place];
    }
    full_.assign(n_, 0);
    int64_t now = 0;
    for (int at = 0; at < n_; ++at) full_[at] = now += change[at];
  }

  /// Not between two kernels that run in step.
  bool may_cut(int at) const {
    return at == 0 || !with_next_[static_cast<size_t>(kernels_[static_cast<size_t>(at - 1)])];
  }

  bool conflict(int a, int b) const {
    const auto meet = [](const std::vector<int>& x, const std::vector<int>& y) {
      return std::any_of(x.begin(), x.end(),
                         [&](int place) { return std::find(y.begin(), y.end(), place) != y.end(); });
    };
    return meet(writes_[a], reads_[b]) || meet(writes_[a], writes_[b]) || meet(reads_[a], writes_[b]);
  }

  /// The fullest of positions x to z when the run from y to z comes before that from x to y.
  int64_t fullest_of(int x, int y, int z) const {
    int64_t now = full_[x];  // less what kernel x begins: what lies there before
    each_place(x, x + 1, [&](int place) { now -= first_[place] == x ? bytes_[place] : 0; });
    std::map<int, int> left;  // uses that are still to come, of what ends in these runs
    for (int at = x; at < z; ++at) each_place(at, at + 1, [&](int place) { left[place] += last_[place] < z; });
    std::vector<int> begun;
    int64_t most = 0;
    for (int i = x; i < z; ++i) {
      const int at = i < x + z - y ? i + y - x : i - (z - y);
      each_place(at, at + 1, [&](int place) {
        if (first_[place] < x || std::find(begun.begin(), begun.end(), place) != begun.end()) return;
        begun.push_back(place);
        now += bytes_[place];
      });
      most = std::max(most, now);
      each_place(at, at + 1, [&](int place) {
        if (last_[place] < z && --left[place] == 0) now -= bytes_[place];
      });
    }
    return most;
  }
  /// Each place once that the kernels at these positions use.
  template <class F>
  void each_place(int begin, int end, F&& f) const {
    std::vector<int> seen;
    for (int at = begin; at < end; ++at)
      each_use(kernels_[at], [&](int place) {
        if (std::find(seen.begin(), seen.end(), place) == seen.end()) seen.push_back(place);
      });
    for (int place : seen) f(place);
  }

  bool exchange() {
    measure();
    const int peak = static_cast<int>(std::max_element(full_.begin(), full_.end()) - full_.begin());
    int64_t best = full_[peak];
    int bx = 0, by = 0, bz = 0;
    for (int y = std::max(1, peak - kReach); y < std::min(n_, peak + kReach); ++y) {
      if (!may_cut(y)) continue;
      int limit = std::min(n_, y + kRun);
      for (int x = y - 1; x >= std::max(0, y - kRun); --x) {
        int z = y;
        while (z < limit && !conflict(kernels_[x], kernels_[z])) ++z;
        limit = z;
        if (limit == y) break;
        if (x > peak || !may_cut(x)) continue;
        for (z = std::max(y, peak) + 1; z <= limit; ++z) {
          if (z < n_ && !may_cut(z)) continue;
          const int64_t outside = std::max(x > 0 ? *std::max_element(full_.begin(), full_.begin() + x) : 0,
                                           z < n_ ? *std::max_element(full_.begin() + z, full_.end()) : 0);
          const int64_t most = outside >= best ? best : std::max(outside, fullest_of(x, y, z));
          if (most < best) best = most, bx = x, by = y, bz = z;
        }
      }
    }
    if (bz == 0) return false;
    std::rotate(kernels_.begin() + bx, kernels_.begin() + by, kernels_.begin() + bz);
    return true;
  }

  const int n_;
  std::vector<std::vector<int>> reads_, writes_;  // places, by kernel
  std::vector<int64_t> bytes_;                    // of the arena, by place; 0: elsewhere
  std::vector<bool> with_next_;                   // runs in step with the next kernel, by kernel
  std::vector<bool> kept_;                        // until the step ends
  std::vector<int> kernels_;                      // in order
  std::vector<int> first_, last_;                 // positions in it, by place
  std::vector<int64_t> full_;                     // bytes in use, by position
};

}  // namespace

void lower_peak(Plan& p, const std::vector<ir::ValueId>& root) {
  std::vector<Kernel> sorted;
  for (const int k : Order(p, root).run()) sorted.push_back(std::move(p.kernels[static_cast<size_t>(k)]));
  p.kernels = std::move(sorted);
}

}  // namespace netc::schedule
