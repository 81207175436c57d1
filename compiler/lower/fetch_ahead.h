// Weights come from memory while others are multiplied.
#pragma once
#include <Halide.h>

#include <string>

namespace netc::lower {

/// A lowering pass for the reduction of `sums`, which reads a panel `weights`[steps][block] in each of about `passes` rounds of the loop around it: spread over
/// all rounds it asks for the panel that lies behind this one in memory, so that the reduction after this one finds it in cache. Left to the processor, the first
/// round would wait for memory and the others leave it idle.
class FetchAhead : public Halide::Internal::IRMutator {
 public:
  FetchAhead(std::string sums, std::string weights, int steps, int block, int passes)
      : loops_(std::move(sums) + ".s1."), weights_(std::move(weights)), steps_(steps), block_(block), passes_(passes) {}

 private:
  using IRMutator::visit;
  Halide::Internal::Stmt visit(const Halide::Internal::For*) override;

  std::string loops_, weights_;
  int steps_, block_, passes_;
  const Halide::Internal::For* around_ = nullptr;  // the loop around the one that is visited
};

}  // namespace netc::lower
