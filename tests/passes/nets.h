// Small nets for the passes' tests, written into the graph as the elaborator would.
#pragma once
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "compiler/ir/interpret.h"
#include "compiler/ops/ops.h"
#include "compiler/passes/passes.h"
#include "compiler/sema/model.h"

namespace netc::test {

using Contents = std::map<std::string, ir::RefTensor>;

/// conv -> bias -> norm -> relu -> pool -> relu -> norm2 -> dropout -> flatten -> dense -> bias -> softmax, with l1 and
/// l2 on the conv's weight. `shared_sum`: the pooled image is added to itself, so a gradient is accumulated.
ir::Graph small_net(bool dropout, bool shared_sum = false);
/// The net with a train section: categorical_crossentropy and the named optimiser with its default arguments.
sema::Model model_of(ir::Graph g, const std::string& optimizer);
/// Random contents for all variables of these roles: images normal, labels classes below 3, variances positive, scalars
/// lr 0.1, seed 5, step 1.
Contents contents_of(const ir::Graph& g, int64_t batch, unsigned seed = 1);
ir::ValueId output(const ir::Graph& g, const std::string& name);
double difference(const ir::RefTensor& a, const ir::RefTensor& b);
int count_kind(const ir::Graph& g, const std::string& op);

/// A graph of single patterns.
struct Small {
  ir::Graph g;
  ir::ValueId var(const char* name, ir::Role role, std::vector<int64_t> dims, bool batched = false,
                  std::vector<float> literal = {}) {
    ir::Variable v;
    v.name = name;
    v.role = role;
    v.trainable = role == ir::Role::weight;
    v.literal = std::move(literal);
    return g.add_variable(v, ir::Type{ir::DType::f32, batched, std::move(dims)});
  }
  ir::ValueId add(const char* op, std::vector<ir::ValueId> in, ir::Attrs a = {}) {
    return g.add(ops::registry().ops.at(op), std::move(in), std::move(a));
  }
};

}  // namespace netc::test
