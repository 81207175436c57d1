#include "compiler/nests/prefetch.h"

#include <algorithm>
#include <numeric>

namespace netc::nests {
namespace {

using namespace Halide::Internal;
using Halide::Expr;

bool ends_with(const std::string& s, const std::string& end) {
  return s.size() >= end.size() && s.compare(s.size() - end.size(), end.size(), end) == 0;
}

using Lets = std::vector<std::pair<std::string, Expr>>;

constexpr size_t kMostFetches = 64;  // of one tile

Stmt fetch(const std::string& buffer, const Halide::Type& of, const Expr& element) {
  return Evaluate::make(
      Call::make(of, Call::prefetch, {Variable::make(Halide::Handle(), buffer), element, 1, 1}, Call::Intrinsic));
}

// Reads of a buffer, in a statement that may define names and loop.
struct Reads : IRVisitor {
  Reads(const std::string& name, Lets around = {}) : name(name), lets(std::move(around)) {}
  using IRVisitor::visit;
  void visit(const LetStmt* op) override { define(op); }
  void visit(const Let* op) override { define(op); }
  void visit(const For* op) override {
    loops.push_back(op);
    IRVisitor::visit(op);
    loops.pop_back();
  }
  template <class T>
  void define(const T* op) {
    op->value.accept(this);
    lets.push_back({op->name, op->value});
    op->body.accept(this);
    lets.pop_back();
  }
  Expr without_names(Expr e) const {
    for (auto let = lets.rbegin(); let != lets.rend(); ++let) e = substitute(let->first, let->second, e);
    return e;
  }
  const std::string& name;
  Lets lets;
  std::vector<const For*> loops;
  Halide::Type type;  // of an element
};

// The address, in elements, of what a loop's body reads first, without the names that are defined in the body and
// around it.
struct FirstRead : Reads {
  using Reads::Reads, Reads::visit;
  void visit(const Load* op) override {
    if (op->name != name || base.defined()) return IRVisitor::visit(op);
    const Ramp* ramp = op->index.as<Ramp>();
    const Expr first = ramp ? ramp->base : op->index;
    if (first.type().is_vector()) return;
    base = without_names(first);
    type = op->type.element_of();
    for (const For* loop : loops) base = substitute(loop->name, 0, base);
  }
  Expr base;
};

// All addresses, in elements, that are read in vectors; loops of constant extent are gone through.
struct AllReads : Reads {
  using Reads::Reads, Reads::visit;
  void visit(const Load* op) override {
    IRVisitor::visit(op);
    const Ramp* ramp = op->index.as<Ramp>();
    if (op->name != name || !ramp || ramp->base.type().is_vector()) return;
    type = op->type.element_of();
    add(without_names(ramp->base), 0);
  }
  void add(const Expr& at, size_t loop) {
    if (found.size() >= kMostFetches) return;
    if (loop == loops.size()) {
      const Expr plain = simplify(without_names(at));
      if (std::none_of(found.begin(), found.end(), [&](const Expr& f) { return equal(f, plain); }))
        found.push_back(plain);
      return;
    }
    const auto extent = as_const_int(loops[loop]->extent);
    for (int64_t i = 0; i < extent.value_or(1); ++i)
      add(substitute(loops[loop]->name, loops[loop]->min + static_cast<int>(i), at), loop + 1);
  }
  std::vector<Expr> found;
};

}  // namespace

Stmt PrefetchOperands::visit(const Block* op) {
  const auto* made = op->first.as<ProducerConsumer>();
  if (!made || !made->is_producer || made->name != sums_) return IRMutator::visit(op);
  Stmt s = op;
  for (const std::string& operand : operands_) {
    AllReads reads(operand);
    op->rest.accept(&reads);
    for (auto at = reads.found.rbegin(); at != reads.found.rend(); ++at)
      s = Block::make(fetch(operand, reads.type, *at), s);
  }
  return s;
}

Stmt Prefetch::visit(const LetStmt* op) {
  lets_.push_back({op->name, op->value});
  Stmt s = IRMutator::visit(op);
  lets_.pop_back();
  return s;
}

Stmt Prefetch::visit(const For* op) {
  around_.push_back(op);
  Stmt s = IRMutator::visit(op);
  const std::vector<const For*> loops = around_;
  around_.pop_back();
  if (op->name.compare(0, sums_.size(), sums_) != 0 || !ends_with(op->name, rounds_[0].loop)) return s;
  Halide::Type type;
  Expr base;  // where the panel begins: of what the sums read, or a copy that is made around them
  for (auto loop = loops.rbegin(); loop != loops.rend() && !base.defined(); ++loop) {
    FirstRead read(weights_, lets_);
    (*loop)->body.accept(&read);
    base = read.base;
    type = read.type;
  }
  if (!base.defined()) return s;
  Expr done = 0;  // steps over the panel
  int64_t steps = 1;
  for (const Round& round : rounds_) {
    const auto loop =
        std::find_if(loops.rbegin(), loops.rend(), [&](const For* f) { return ends_with(f->name, round.loop); });
    if (loop == loops.rend()) continue;
    base = substitute((*loop)->name, 0, base);
    done = done + Expr(Variable::make(Halide::Int(32), (*loop)->name)) * static_cast<int>(steps);
    steps *= round.times;
  }
  const int64_t all = panel_.elements * panel_.pieces, shared = std::gcd(all, steps);
  const int piece = static_cast<int>(panel_.elements);
  Expr next = done * static_cast<int>(all / shared) / static_cast<int>(steps / shared);
  if (panel_.pieces > 1) next = next / piece * static_cast<int>(panel_.pitch) + next % piece;
  const Expr at = simplify(base + static_cast<int>(panel_.next) + next);
  return For::make(op->name, op->min, op->extent, op->for_type, op->partition_policy, op->device_api,
                   Block::make(fetch(weights_, type, at), op->body));
}

}  // namespace netc::nests
