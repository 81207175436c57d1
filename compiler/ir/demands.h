// What the loops of a kernel ask of the algorithm that they go over.
#pragma once
#include <cstdint>

namespace netc::ir {

struct Demands {
  /// One row of the result is made at a time: terms outside the image may be left out of its sums.
  bool by_row = false;
  bool whole_rows = false;  // ... and all pixels of a row together: so may terms beside the image
  /// Loops go along the result: an operand that lies along the reduction is to be transposed.
  bool transposed = false;
  bool planes = false;   // lanes go along rows of the padded copies
  int row_multiple = 1;  // a reduction along rows of an image may go on to such a multiple: terms beyond are zero
  int64_t many = 0;      // > 0: batches of fewer samples have loops, and so an algorithm, of their own
};

}  // namespace netc::ir
