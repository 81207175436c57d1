// A net while it is drawn: its text in parts, and what the interpreter says of the tensors it has so far.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "compiler/sema/model.h"
#include "tests/random/rng.h"

namespace netc::random {

/// A whole number that is a parameter of what is being written: of the net, a block or an op.
struct Parameter {
  std::string name;
  int64_t value;
};
/// "n1 = 4, n2: int(1..) = 3"
std::string declared(const std::vector<Parameter>&);

/// The text in parts. `names` numbers what is declared.
struct Draft {
  std::vector<std::string> declarations;  // of the file: ops, blocks, nets, functions
  std::vector<Parameter> parameters;      // of the net
  std::vector<std::string> inputs, body, outputs, train;
  int names = 0;
  std::string fresh(const std::string& prefix) { return prefix + std::to_string(++names); }
  std::string text() const;
};

struct Tensor {
  std::string name;
  ir::Type type;
  bool constant = false;       // all its values are the same
  int nodes = 0, weights = 0;  // that it is computed of
};

std::optional<sema::Model> analyse(const std::string& text);

/// No value is larger than the limit, but for those that an attribute of the node says, as what stands for a masked
/// score.
bool sensible(const ir::Node&, const ir::RefTensor&, double limit);

/// Values of a growing graph: what was there before is not computed again.
class Evaluation {
 public:
  /// False when a value is not finite, or larger than kLargest, or the graph takes too long.
  bool extend(const ir::Graph&);
  const ir::RefTensor& value(ir::ValueId v) const { return values_[static_cast<size_t>(v)]; }

  static constexpr double kLargest = 1000, kMostWork = 400e3;
  static constexpr int64_t kMostElements = 20000;
  static constexpr int kBatch = 3;

 private:
  std::vector<ir::Node> nodes_;                      // whose results are known
  std::vector<std::vector<std::string>> variables_;  // that each of them reads
  std::map<std::string, ir::RefTensor> contents_;
  std::vector<ir::RefTensor> values_;
};

}  // namespace netc::random
