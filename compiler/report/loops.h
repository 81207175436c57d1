// The loops of a control-flow graph, however its blocks are laid out.
#pragma once
#include <vector>

namespace netc::report {

/// next[b]: the blocks that may follow block b. Block 0 is the entry; blocks out of its reach are in no loop.
/// The blocks of each natural loop that holds no other, ascending. Branches back to one block are one loop.
std::vector<std::vector<int>> innermost_loops(const std::vector<std::vector<int>>& next);

}  // namespace netc::report
