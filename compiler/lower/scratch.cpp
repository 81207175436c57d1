#include "compiler/lower/scratch.h"

#include <map>

namespace netc::lower {
namespace {

using namespace Halide::Internal;

/// The extents of a kernel's arguments by their names in the code.
using Extents = std::map<std::string, std::vector<int64_t>>;

class Bound : public IRVisitor {
 public:
  explicit Bound(Extents extents) : extents_(std::move(extents)) {}
  Scratch found;

 private:
  using IRVisitor::visit;

  // One nest of allocations after the other: what the kernel holds while its tasks run on the same thread, and what one
  // of these holds.
  void visit(const Allocate* op) override {
    int64_t bytes = op->type.bytes();
    for (const Halide::Expr& e : op->extents) {
      const auto extent = as_const_int(find_constant_bounds(e, scope_).max);
      found.by_batch |= !as_const_int(e);
      bytes = extent ? bytes * std::max<int64_t>(*extent, 0) : 0;
    }
    const int64_t block = bytes > 0 ? 128 + (bytes + op->padding * op->type.bytes() + 63) / 64 * 64 : 0;
    held_ += block;
    found.bytes = std::max(found.bytes, held_);
    IRVisitor::visit(op);
    held_ -= block;
  }
  void visit(const LetStmt* op) override {
    const ScopedBinding<Interval> bound(scope_, op->name, interval(op->value));
    IRVisitor::visit(op);
  }
  void visit(const For* op) override {
    const Interval first = find_constant_bounds(op->min, scope_),
                   last = find_constant_bounds(op->min + op->extent - 1, scope_);
    const ScopedBinding<Interval> bound(scope_, op->name, Interval(first.min, last.max));
    IRVisitor::visit(op);
  }

  Interval interval(const Halide::Expr& value) const {
    const Call* call = value.as<Call>();
    if (call && call->name == Call::buffer_get_min) return Interval::single_point(0);
    if (call && call->name == Call::buffer_get_extent)
      if (const Variable* buffer = call->args[0].as<Variable>())
        if (const auto it = extents_.find(buffer->name); it != extents_.end())
          if (const auto dim = as_const_int(call->args[1]); dim && *dim < static_cast<int64_t>(it->second.size()))
            return {Halide::Expr(1), Halide::Expr(static_cast<int32_t>(it->second[static_cast<size_t>(*dim)]))};
    return find_constant_bounds(value, scope_);
  }

  const Extents extents_;
  Scope<Interval> scope_;
  int64_t held_ = 0;
};

/// At the largest batch. Empty where no bound is known.
std::vector<int64_t> largest(const plan::Plan& p, const plan::Buffer& b) {
  std::vector<int64_t> extents;
  if (b.type.has_any_extent()) return extents;
  for (const plan::StoredDim& d : stored_dims(b)) extents.push_back(d.extent);
  if (b.type.batched) extents.back() = p.max_batch;
  return extents;
}

}  // namespace

Stmt ScratchPass::mutate(const Stmt& s) {
  Extents extents;
  for (size_t i = 0; i < k_.inputs.size(); ++i)
    extents[b_.params[i].name() + ".buffer"] = largest(p_, p_.buffers[k_.inputs[i]]);
  const auto out = b_.out.output_buffers();
  for (size_t i = 0; i < out.size(); ++i) extents[out[i].name() + ".buffer"] = largest(p_, p_.buffers[k_.outputs[i]]);
  Bound bound(std::move(extents));
  s.accept(&bound);
  found_ = bound.found;
  return s;
}

}  // namespace netc::lower
