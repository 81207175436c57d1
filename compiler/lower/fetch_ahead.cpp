#include "compiler/lower/fetch_ahead.h"

namespace netc::lower {
namespace {

using namespace Halide::Internal;
using Halide::Expr;

// The address, in elements, of the first vector that a loop's body reads of a buffer.
struct FirstRead : IRVisitor {
  explicit FirstRead(const std::string& name) : name(name) {}
  using IRVisitor::visit;
  void visit(const For*) override { nested = true; }
  void visit(const Load* op) override {
    if (op->name != name || base.defined()) return IRVisitor::visit(op);
    const Ramp* ramp = op->index.as<Ramp>();
    base = ramp ? ramp->base : op->index;
  }
  const std::string& name;
  Expr base;
  bool nested = false;
};

}  // namespace

Stmt FetchAhead::visit(const For* op) {
  const For* around = around_;
  around_ = op;
  Stmt s = IRMutator::visit(op);
  around_ = around;
  if (op->name.compare(0, loops_.size(), loops_) != 0) return s;
  FirstRead read(weights_);
  substitute_in_all_lets(op->body).accept(&read);
  if (read.nested || !read.base.defined()) return s;
  const Expr step = Variable::make(Halide::Int(32), op->name);
  const bool repeated = passes_ > 1 && around && !expr_uses_var(read.base, around->name);
  const Expr done = repeated ? Expr(Variable::make(Halide::Int(32), around->name)) * steps_ + step : step;
  const Expr at = simplify(substitute(op->name, steps_, read.base) + done * block_ / (repeated ? passes_ : 1));
  const Stmt fetch = Evaluate::make(Call::make(Halide::Float(32), Call::prefetch, {Variable::make(Halide::Handle(), weights_), at, 1, 1}, Call::Intrinsic));
  return For::make(op->name, op->min, op->extent, op->for_type, op->partition_policy, op->device_api, Block::make(fetch, op->body));
}

}  // namespace netc::lower
