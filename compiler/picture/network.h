// What there is to draw: rows (layers, inputs, outputs), the tensors between them, boxes of rows that one kernel
// computes, parts that repeat.
#pragma once
#include <string>
#include <vector>

#include "compiler/plan/plan.h"
#include "compiler/sema/model.h"

namespace netc::picture {

enum class Look : uint8_t {
  input,
  output,
  product /*convolutions and matrix products*/,
  fold /*windows, reductions*/,
  pointwise,
  move /*other place or shape*/
};

struct Row {
  Look look = Look::pointwise;
  std::string name, text, shape;  // "conv1", "Conv(6, 5)", "28 × 28 × 6"
  std::string title;              // more of it, for a pointer that rests on it
  bool weights = false;
  bool gone = false;  // no kernel computes anything for it
};

struct Edge {
  int from = 0, to = 0;
};  // rows

/// Rows [first, last] stand for `times` equal parts, one after the other.
struct Repeat {
  int first = 0, last = 0, times = 1;
};

struct Network {
  std::vector<Row> rows;  // in topological order
  std::vector<Edge> edges;
  std::vector<Repeat> repeats;
  std::vector<std::vector<int>> boxes;  // rows, each computed from the one before it
  std::vector<std::string> kernels;     // of each box: what computes it
};

Network network_of(const sema::Model&, const plan::Plan&);

}  // namespace netc::picture
