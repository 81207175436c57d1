// Prefetches: operands come from memory while others are multiplied.
#pragma once
#include <Halide.h>

#include <string>
#include <utility>
#include <vector>

namespace netc::nests {

/// A lowering pass for a reduction that reads a panel of weights several times: spread over all its steps it prefetches
/// the panel behind this one, so that the next reduction finds it in cache. Left to the processor, the first round over
/// a panel would wait for memory, and the others leave it idle.
class Prefetch : public Halide::Internal::IRMutator {
 public:
  /// A loop over the panel, by the end of its name, and how often it runs (about).
  struct Round {
    std::string loop;
    int64_t times = 1;
  };
  /// The panel: `elements` side by side in memory, or `pieces` of so many, `pitch` apart; the next one begins `next`
  /// elements after it.
  struct Panel {
    int64_t elements = 0, pieces = 1, pitch = 0, next = elements;
  };
  /// `rounds`: from the innermost loop of the reduction `sums` outwards.
  Prefetch(std::string sums, std::string weights, Panel panel, std::vector<Round> rounds)
      : sums_(std::move(sums) + ".s1."),
        weights_(std::move(weights)),
        panel_(panel),
        rounds_(std::move(rounds)) {}

 private:
  using IRMutator::visit;
  Halide::Internal::Stmt visit(const Halide::Internal::LetStmt*) override;
  Halide::Internal::Stmt visit(const Halide::Internal::For*) override;

  std::string sums_, weights_;
  Panel panel_;
  std::vector<Round> rounds_;
  std::vector<const Halide::Internal::For*> around_;        // the loops around the one that is visited, outermost first
  std::vector<std::pair<std::string, Halide::Expr>> lets_;  // defined around it
};

/// A lowering pass for what a tile's sums are combined with at their end, such as the image that a residual block adds:
/// it is prefetched before they are made. The sums are long enough to hide that it comes from memory, but too long for
/// a processor to look beyond them by itself.
class PrefetchOperands : public Halide::Internal::IRMutator {
 public:
  /// `operands`: buffers that are read where `sums` are consumed.
  PrefetchOperands(std::string sums, std::vector<std::string> operands)
      : sums_(std::move(sums)),
        operands_(std::move(operands)) {}

 private:
  using IRMutator::visit;
  Halide::Internal::Stmt visit(const Halide::Internal::Block*) override;

  std::string sums_;
  std::vector<std::string> operands_;
};

}  // namespace netc::nests
