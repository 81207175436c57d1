#include "compiler/lower/whole_vectors.h"

#include <optional>

namespace netc::lower {
namespace {

using namespace Halide::Internal;
using Halide::Expr;

// The elements of a vector that are a multiple of `stride` from its first.
struct EveryNth {
  int stride, lanes;
  bool moved = false;  // a load begins elsewhere now

  Expr of(const Expr& e) {
    if (const auto* b = e.as<Broadcast>(); b && b->value.type().is_scalar()) return Broadcast::make(b->value, lanes);
    for (const auto& made : {both<Add>(e), both<Sub>(e), both<Mul>(e), both<Min>(e), both<Max>(e)})
      if (made) return *made;
    if (const auto* load = e.as<Load>())
      if (const int first = place(load); first > 0) {
        moved = true;
        const Ramp* ramp = load->index.as<Ramp>();
        const Expr index = Ramp::make(simplify(ramp->base - first), ramp->stride, ramp->lanes);
        return Shuffle::make_slice(Load::make(load->type, load->name, index, load->image, load->param, load->predicate,
                                              ModulusRemainder{stride, 0}),
                                   first, stride, lanes);
      }
    return Shuffle::make_slice(e, 0, stride, lanes);
  }

  template <class Op>
  std::optional<Expr> both(const Expr& e) {
    const Op* op = e.as<Op>();
    return op ? std::optional<Expr>(Op::make(of(op->a), of(op->b))) : std::nullopt;
  }

  // Of the first element of a load of whole vectors, from a multiple of `stride` on.
  int place(const Load* load) const {
    const Ramp* ramp = load->index.as<Ramp>();
    if (!ramp || !is_const_one(ramp->stride) || !is_const_one(load->predicate) || !ramp->base.type().is_scalar())
      return 0;
    const ModulusRemainder at = modulus_remainder(ramp->base);
    const int first =
        at.modulus % stride == 0 ? static_cast<int>(mod_imp(at.remainder, static_cast<int64_t>(stride))) : 0;
    return first + stride * (lanes - 1) < ramp->lanes ? first : 0;
  }
};

}  // namespace

Expr WholeVectors::visit(const Shuffle* op) {
  if (op->vectors.size() != 1 || !op->is_slice() || op->slice_begin() != 0 || op->slice_stride() < 2)
    return IRMutator::visit(op);
  EveryNth elements{op->slice_stride(), op->type.lanes()};
  const Expr taken = elements.of(op->vectors[0]);
  return elements.moved ? taken : IRMutator::visit(op);
}

}  // namespace netc::lower
