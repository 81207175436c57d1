// Runs one operator three ways: its Halide lowering, unscheduled and JIT-compiled; its reference in double; its
// gradient against finite differences.
#pragma once
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "compiler/ir/layer_def.h"

namespace netc::test {

enum class Fill { normal, positive, probability, label, byte, counter, zero };

/// One operator on one set of operand types. `fix` may replace operands that others determine (y = max_pool(x)).
struct Case {
  std::string op;
  std::vector<ir::Type> in;
  ir::Attrs attrs = {};
  std::vector<Fill> fill = {};                 // by operand; missing ones: normal
  int64_t classes = 1;                         // labels lie in [0, classes)
  std::vector<std::vector<int64_t>> any = {};  // operand 0's extents when its type has '*', by trial
  std::function<void(std::vector<ir::RefTensor>&, int64_t batch)> fix = {};
};

std::string name_of(const Case& c);
ir::RefTensor random_tensor(const ir::Type& type, Fill fill, int64_t batch, int64_t classes, std::mt19937& random);
std::vector<ir::RefTensor> operands(const Case& c, int64_t batch, std::mt19937& random);
/// A graph of one node: operand i is variable i.
ir::Graph graph_of(const Case& c);
/// Every value of the graph from its variables' contents, by reference.
std::vector<ir::RefTensor> evaluate(const ir::Graph& g, const std::vector<ir::RefTensor>& variables, int64_t batch);

/// The worst difference of lowering and reference over the batches, in bounds (verify::compare): up to 1 it is right.
double lowering_error(const Case& c, const std::vector<int64_t>& batches);
/// That of the gradient graph and central differences of the reference, over at most 24 elements of each operand,
/// relative to the largest of these.
double gradient_error(const Case& c, int64_t batch);

}  // namespace netc::test
