#include "compiler/report/loops.h"

#include <algorithm>
#include <map>
#include <utility>

namespace netc::report {
namespace {

using Graph = std::vector<std::vector<int>>;

/// Depth first from the entry: `order` gets the reachable blocks, each before those that follow it (but for branches
/// back).
void reverse_postorder(const Graph& next, std::vector<int>& order) {
  std::vector<bool> seen(next.size());
  std::vector<std::pair<int, size_t>> path{{0, 0}};
  seen[0] = true;
  while (!path.empty()) {
    auto& [block, edge] = path.back();
    if (edge == next[block].size()) {
      order.push_back(block);
      path.pop_back();
      continue;
    }
    const int to = next[block][edge++];
    if (!seen[to]) seen[to] = true, path.emplace_back(to, 0);
  }
  std::reverse(order.begin(), order.end());
}

/// dominator[b]: the nearest block that every way from the entry to b passes; -1 out of reach. After Cooper, Harvey and
/// Kennedy.
std::vector<int> dominators(const Graph& before, const std::vector<int>& order) {
  std::vector<int> place(before.size(), -1), dominator(before.size(), -1);
  for (size_t i = 0; i < order.size(); ++i) place[order[i]] = static_cast<int>(i);
  dominator[0] = 0;
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t i = 1; i < order.size(); ++i) {
      int nearest = -1;
      for (int from : before[order[i]]) {
        if (dominator[from] < 0) continue;
        for (; nearest >= 0 && nearest != from;)
          (place[nearest] > place[from] ? nearest : from) = dominator[place[nearest] > place[from] ? nearest : from];
        nearest = from;
      }
      changed |= dominator[order[i]] != nearest;
      dominator[order[i]] = nearest;
    }
  }
  return dominator;
}

}  // namespace

std::vector<std::vector<int>> innermost_loops(const Graph& next) {
  if (next.empty()) return {};
  Graph before(next.size());
  for (size_t b = 0; b < next.size(); ++b)
    for (int to : next[b]) before[to].push_back(static_cast<int>(b));
  std::vector<int> order;
  reverse_postorder(next, order);
  const std::vector<int> dominator = dominators(before, order);
  const auto dominates = [&](int a, int b) {
    while (b != a && b != 0) b = dominator[b];
    return b == a;
  };
  std::map<int, std::vector<bool>> loops;  // by the block that they are entered at
  for (int from : order)
    for (int head : next[from]) {
      if (!dominates(head, from)) continue;
      std::vector<bool>& in = loops.try_emplace(head, next.size()).first->second;
      in[head] = true;
      for (std::vector<int> todo{from}; !todo.empty();) {  // all that reaches the branch back without passing the head
        const int block = todo.back();
        todo.pop_back();
        if (in[block] || dominator[block] < 0) continue;
        in[block] = true;
        todo.insert(todo.end(), before[block].begin(), before[block].end());
      }
    }
  std::vector<std::vector<int>> innermost;
  for (const auto& [head, in] : loops) {
    if (std::any_of(loops.begin(), loops.end(),
                    [&, head = head, &in = in](const auto& other) { return other.first != head && in[other.first]; }))
      continue;
    std::vector<int> blocks;
    for (size_t b = 0; b < in.size(); ++b)
      if (in[b]) blocks.push_back(static_cast<int>(b));
    innermost.push_back(std::move(blocks));
  }
  return innermost;
}

}  // namespace netc::report
