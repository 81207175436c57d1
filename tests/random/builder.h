// Draws a net statement by statement: proposes one, and keeps it when the text is still a net whose values the
// interpreter finds sensible.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "tests/random/arguments.h"
#include "tests/random/formula.h"

namespace netc::random {

class Builder {
 public:
  explicit Builder(uint64_t seed) : rng_(seed) {}
  /// A whole file, or nothing where the draw led nowhere. `wanted` says what must occur, as generate()'s seed does.
  std::optional<std::string> file(uint64_t wanted);

 private:
  /// Layers one after another.
  struct Chain {
    std::vector<std::string> layers;
    ir::Type type;
    std::string text() const;  // "Conv(4, 3) -> ReLU"
  };

  // Proposals (builder.cpp)
  /// True, and the draft is `next`, when the text is a net and these expressions have sensible values; they become
  /// tensors.
  bool accept(Draft next, const std::vector<std::string>& names);
  std::optional<ir::Type> type_of(const Draft&, const std::string& expression) const;
  bool input(int kind);
  bool any_size_input();
  const Tensor& tensor();
  /// One that is computed of much, for an output or a loss.
  const Tensor& result();
  /// Others that an operator may take together with it: most of its own type.
  std::string partner(const Tensor&);
  /// A layer that combines tensors of one type, most often the first of them.
  const ir::LayerDef& adder();
  const ir::LayerDef& layer_for(const ir::Type&);
  /// "Conv(4, 3)"; operands of layers that take several stand in front.
  std::string applied(const ir::LayerDef&, Site&, const std::vector<std::string>& operands);
  /// `own`: the parameters of a block that is being written; null: the net's.
  std::optional<Chain> chain(Draft&, const std::string& from, const ir::Type&, int length,
                             std::vector<Parameter>* own = nullptr, const std::vector<std::string>& operands = {});
  std::vector<int64_t> shape(int rank);

  // Statements (statements.cpp, constructs.cpp): true when one was added
  bool statement();
  bool plain();
  bool twice();
  bool merge();
  bool residual();
  bool expression();
  bool shared();
  bool parts();
  bool branches();
  bool defaults();
  bool user_op();
  bool block();
  bool ported_block();
  bool inner_net();
  bool loop();
  bool choice();

  // What must occur (wanted.cpp)
  bool want_layer(const ir::LayerDef&);
  bool want_function(const std::string&);
  bool want_setting(const ir::SettingDef&);

  // Outputs and the train section (train.cpp)
  bool outputs();
  /// An input's values in another shape.
  bool view_of_input(Draft&);
  /// Leaves out most inputs that nothing reads.
  void prune();
  bool train(const ir::LossDef& wanted, const ir::OptimizerDef& optimizer);
  /// "0.5 * mse(y1, label2)"; the output it reads may be new.
  std::optional<std::string> loss_term(Draft&, const ir::LossDef&, const Tensor&, const std::string& optimizer);
  std::string target(const Draft&, const ir::LossDef&, const std::string& output);

  Rng rng_;
  Draft draft_;
  Evaluation evaluation_;
  std::vector<Tensor> tensors_;
  std::vector<std::string> lists_;            // of tensors
  bool frozen_ = false, weightless_ = false;  // all layers
};

/// True when `name` stands in the text as a word of its own.
bool mentions(const std::string& text, const std::string& name);

}  // namespace netc::random
