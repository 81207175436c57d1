#include "compiler/lower/fetch_ahead.h"

#include <algorithm>
#include <numeric>

namespace netc::lower {
namespace {

using namespace Halide::Internal;
using Halide::Expr;

bool ends_with(const std::string& s, const std::string& end) { return s.size() >= end.size() && s.compare(s.size() - end.size(), end.size(), end) == 0; }

using Lets = std::vector<const LetStmt*>;

constexpr size_t kMostFetches = 64;  // of one tile

Stmt fetch(const std::string& buffer, const Halide::Type& of, const Expr& element) {
  return Evaluate::make(Call::make(of, Call::prefetch, {Variable::make(Halide::Handle(), buffer), element, 1, 1}, Call::Intrinsic));
}

// The address, in elements, of what a loop's body reads first of a buffer, without the names that are defined in the body and around it.
struct FirstRead : IRVisitor {
  FirstRead(const std::string& name, const Lets& around) : name(name), lets(around) {}
  using IRVisitor::visit;
  void visit(const LetStmt* op) override {
    lets.push_back(op);
    IRVisitor::visit(op);
    lets.pop_back();
  }
  void visit(const For* op) override {
    loops.push_back(op);
    IRVisitor::visit(op);
    loops.pop_back();
  }
  void visit(const Load* op) override {
    if (op->name != name || base.defined()) return IRVisitor::visit(op);
    const Ramp* ramp = op->index.as<Ramp>();
    const Expr first = ramp ? ramp->base : op->index;
    if (first.type().is_vector()) return;
    base = first;
    type = op->type.element_of();
    for (auto let = lets.rbegin(); let != lets.rend(); ++let) base = substitute((*let)->name, (*let)->value, base);
    for (const For* loop : loops) base = substitute(loop->name, 0, base);
  }
  const std::string& name;
  Lets lets;
  std::vector<const For*> loops;
  Expr base;
  Halide::Type type;
};

// All addresses, in elements, that a statement reads of a buffer in vectors; loops of constant extent are gone through.
struct AllReads : IRVisitor {
  explicit AllReads(const std::string& name) : name(name) {}
  using IRVisitor::visit;
  void visit(const LetStmt* op) override {
    lets.push_back(op);
    IRVisitor::visit(op);
    lets.pop_back();
  }
  void visit(const For* op) override {
    loops.push_back(op);
    IRVisitor::visit(op);
    loops.pop_back();
  }
  void visit(const Load* op) override {
    IRVisitor::visit(op);
    const Ramp* ramp = op->index.as<Ramp>();
    if (op->name != name || !ramp || ramp->base.type().is_vector()) return;
    Expr base = ramp->base;
    type = op->type.element_of();
    for (auto let = lets.rbegin(); let != lets.rend(); ++let) base = substitute((*let)->name, (*let)->value, base);
    add(base, 0);
  }
  void add(const Expr& at, size_t loop) {
    if (found.size() >= kMostFetches) return;
    if (loop == loops.size()) {
      const Expr plain = simplify(at);
      if (std::none_of(found.begin(), found.end(), [&](const Expr& f) { return equal(f, plain); })) found.push_back(plain);
      return;
    }
    const auto extent = as_const_int(loops[loop]->extent);
    for (int64_t i = 0; i < extent.value_or(1); ++i) add(substitute(loops[loop]->name, loops[loop]->min + static_cast<int>(i), at), loop + 1);
  }
  const std::string& name;
  Lets lets;
  std::vector<const For*> loops;
  std::vector<Expr> found;
  Halide::Type type;
};

}  // namespace

Stmt FetchOperands::visit(const Block* op) {
  const auto* made = op->first.as<ProducerConsumer>();
  if (!made || !made->is_producer || made->name != sums_) return IRMutator::visit(op);
  Stmt s = op;
  for (const std::string& operand : operands_) {
    AllReads reads(operand);
    op->rest.accept(&reads);
    for (auto at = reads.found.rbegin(); at != reads.found.rend(); ++at) s = Block::make(fetch(operand, reads.type, *at), s);
  }
  return s;
}

Stmt FetchAhead::visit(const LetStmt* op) {
  lets_.push_back(op);
  Stmt s = IRMutator::visit(op);
  lets_.pop_back();
  return s;
}

Stmt FetchAhead::visit(const For* op) {
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
    const auto loop = std::find_if(loops.rbegin(), loops.rend(), [&](const For* f) { return ends_with(f->name, round.loop); });
    if (loop == loops.rend()) continue;
    base = substitute((*loop)->name, 0, base);
    done = done + Expr(Variable::make(Halide::Int(32), (*loop)->name)) * static_cast<int>(steps);
    steps *= round.times;
  }
  const int64_t shared = std::gcd(elements_, steps);
  const Expr at = simplify(base + static_cast<int>(elements_) + done * static_cast<int>(elements_ / shared) / static_cast<int>(steps / shared));
  return For::make(op->name, op->min, op->extent, op->for_type, op->partition_policy, op->device_api, Block::make(fetch(weights_, type, at), op->body));
}

}  // namespace netc::lower
