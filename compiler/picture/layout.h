// Boxes and wires to coordinates: a layered drawing from top to bottom.
#pragma once
#include <vector>

namespace netc::picture {

struct Point {
  double x = 0, y = 0;
};

struct Box {
  double width = 0, height = 0;
  double label = 0;     // the width of a text at the wire that leaves it below
  double x = 0, y = 0;  // out: its upper left corner
};

struct Wire {
  int from = 0, to = 0;     // boxes; no cycles
  double leaves = -1;       // the height in `from` where it leaves by the side; below 0: by the bottom
  double enters = -1;       // the height in `to` where it enters by the side; below 0: from the top
  std::vector<Point> path;  // out: horizontal and vertical pieces
};

/// Places boxes so that none overlap and what a join waits for hangs straight below what it branched from.
void lay_out(std::vector<Box>& boxes, std::vector<Wire>& wires);

}  // namespace netc::picture
