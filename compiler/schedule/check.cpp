#include "compiler/schedule/check.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "compiler/plan/joins.h"

namespace netc::schedule {
namespace {

using ir::Kind;
using ir::kNone;
using ir::Node;
using ir::NodeId;
using ir::ValueId;

class Checker {
 public:
  explicit Checker(const Plan& p) : p_(p), g_(*p.graph) {}

  std::vector<std::string> run() {
    find_roots();
    for (const Phase phase : {Phase::prepare, Phase::forward})  // as products run them: what is prepared first
      for (size_t k = 0; k < p_.kernels.size(); ++k)
        if ((p_.kernels[k].phase == Phase::prepare) == (phase == Phase::prepare)) order_.push_back(k);
    for (const Kernel& k : p_.kernels) check_nodes(k), check_overwritten(k);
    check_values();
    check_arena();
    return std::move(errors_);
  }

 private:
  template <class... Args>
  void error(fmt::format_string<Args...> text, Args&&... args) {
    errors_.push_back(fmt::format(text, std::forward<Args>(args)...));
  }
  const std::string& name(ValueId v) const { return g_.values[static_cast<size_t>(v)].name; }
  const Buffer& buffer(int b) const { return p_.buffers[static_cast<size_t>(b)]; }

  void find_roots() {
    for (ValueId v = 0; v < static_cast<ValueId>(g_.values.size()); ++v) root_.push_back(v);
    for (const Node& n : g_.nodes)
      if (n.op->kind == Kind::view) root_[n.results[0]] = root_[n.inputs[0]];
  }

  // A kernel is an anchor with what may follow it, and element-wise nodes.
  void check_nodes(const Kernel& k) {
    std::set<ValueId> there(k.input_values.begin(), k.input_values.end()), of_anchor;
    bool pooled = false;
    for (const NodeId id : k.nodes) {
      const Node& n = g_.nodes[static_cast<size_t>(id)];
      for (const ValueId v : n.inputs)
        if (!there.count(v)) error("kernel {} reads {}, which is none of its operands", k.name, name(v));
      if (n.op->kind == Kind::view) error("kernel {} has a view, {}", k.name, n.op->name);
      const auto fed = std::find_if(n.inputs.begin(), n.inputs.end(), [&](ValueId v) { return of_anchor.count(v); });
      if (id != k.anchor && fed != n.inputs.end()) {
        if (!may_follow(g_, g_.nodes[static_cast<size_t>(k.anchor)], *fed, n, pooled))
          error("kernel {}: {} may not follow its anchor", k.name, n.op->name);
        pooled = pooled || n.op->kind == Kind::window;
      } else if (id != k.anchor && n.op->kind != Kind::elementwise) {
        error("kernel {} has {} besides its anchor", k.name, n.op->name);
      }
      for (const ValueId v : n.results) {
        there.insert(v);
        if (id == k.anchor || fed != n.inputs.end()) of_anchor.insert(v);
      }
    }
    if (k.nodes.empty()) return error("kernel {} has no node", k.name);
    if (k.output_values != g_.nodes[static_cast<size_t>(k.nodes.back())].results)
      error("kernel {} does not store the results of its last node", k.name);
    for (const ValueId v : k.output_values)
      if (g_.type(v).dims != g_.type(k.output_values[0]).dims) error("kernel {} has results of several shapes", k.name);
  }

  // What a kernel overwrites it reads element by element only, next to where it writes; a fold over the batch is done
  // before.
  void check_overwritten(const Kernel& k) {
    if (!overwrites_operand(p_, k)) return;
    std::set<ValueId> mine;
    for (size_t i = 0; i < k.inputs.size(); ++i)
      for (int o : k.outputs) {
        const Buffer &in = buffer(k.inputs[i]), &out = buffer(o);
        if (in.storage == out.storage &&
            (in.storage == Storage::arena ? in.arena_block == out.arena_block : in.variable == out.variable))
          mine.insert(k.input_values[i]);
      }
    for (const NodeId id : k.nodes) {
      const Node& n = g_.nodes[static_cast<size_t>(id)];
      const bool folds = id == k.anchor && n.op->kind == Kind::reduction;
      for (const ValueId v : n.inputs) {
        if (!mine.count(v) || folds) continue;
        if (n.op->kind != Kind::elementwise)
          error("kernel {} overwrites {}, which {} reads elsewhere", k.name, name(v), n.op->name);
        else if (k.anchor == kNone && g_.type(v).dims != g_.type(k.output_values[0]).dims)
          error("kernel {} overwrites {}, which {} broadcasts", k.name, name(v), n.op->name);
      }
    }
  }

  // Each value is computed once, before it is read, and a variable's old contents are read before they are overwritten.
  void check_values() {
    std::map<ValueId, ValueId> overwrites;
    for (const ir::Update& u : g_.updates)
      if (!overwrites.emplace(u.value, g_.variables[static_cast<size_t>(u.variable)].value).second)
        error("{} is the new contents of two variables", name(u.value));
    std::set<ValueId> there, gone;
    for (const ir::Variable& v : g_.variables) there.insert(v.value);
    for (const size_t i : order_) {
      const Kernel& k = p_.kernels[i];
      for (const ValueId v : k.input_values) {
        if (!there.count(root_[v])) error("kernel {} reads {} before it is computed", k.name, name(v));
        if (gone.count(root_[v])) error("kernel {} reads {} after it was overwritten", k.name, name(v));
      }
      for (const ValueId v : k.output_values) {
        if (!there.insert(v).second) error("kernel {} computes {} again", k.name, name(v));
        if (const auto it = overwrites.find(v); it != overwrites.end()) gone.insert(it->second);
      }
    }
    for (const ir::Output& o : g_.outputs)
      if (!there.count(root_[o.value])) error("output {} is never computed", o.name);
    for (const auto& [value, variable] : overwrites)
      if (!there.count(root_[value])) error("{} is never computed", name(value));
  }

  struct Held {
    int64_t begin = 0, end = 0;
  };
  Held held(const Buffer& b) const {
    const rt::ArenaBlock& block = p_.blocks[static_cast<size_t>(b.arena_block)];
    return {b.offset, b.offset + rt::arena_bytes(block, p_.max_batch, p_.slice)};
  }

  // What a kernel reads of the arena is still what was written there.
  void check_arena() {
    std::map<ValueId, Held> alive;  // by root
    const auto write = [&](const Buffer& b) {
      const Held h = held(b);
      std::erase_if(alive, [&](const auto& other) {
        return other.first != root_[b.value] && other.second.begin < h.end && h.begin < other.second.end;
      });
      alive[root_[b.value]] = h;
    };
    const auto read = [&](const std::string& who, const Buffer& b) {
      if (b.storage == Storage::arena && !alive.count(root_[b.value]))
        error("{} reads {} where something else was written since", who, b.name);
    };
    for (size_t i = 0; i < order_.size(); ++i) {
      const Kernel& k = p_.kernels[order_[i]];
      for (int b : k.inputs) read("kernel " + k.name, buffer(b));
      if (!p_.kernels[order_[i]].with_next)
        for (size_t j = i; j > 0 && p_.kernels[order_[j - 1]].with_next; --j)  // kernels in step run at the same time
          for (int mine : k.outputs)
            for (int theirs : p_.kernels[order_[j - 1]].inputs) {
              const Buffer &a = buffer(mine), &b = buffer(theirs);
              if (a.storage != Storage::arena || b.storage != Storage::arena || root_[a.value] == root_[b.value])
                continue;
              if (held(a).begin < held(b).end && held(b).begin < held(a).end)
                error("kernel {} writes over {} while {} reads it", k.name, b.name, p_.kernels[order_[j - 1]].name);
            }
      for (int b : k.outputs)
        if (buffer(b).storage == Storage::arena) write(buffer(b));
    }
    for (const std::vector<int>& outputs : {p_.output_buffers, p_.term_buffers, {p_.loss_buffer}})
      for (int b : outputs)
        if (b >= 0) read("a caller", buffer(b));
    for (const Kernel& k : p_.kernels) {  // the next step does not prepare again
      if (k.phase == Phase::prepare) continue;
      for (int b : k.inputs)
        if (is_prepared(buffer(b))) read("the next step's " + k.name, buffer(b));
    }
  }
  bool is_prepared(const Buffer& b) const {
    return b.storage == Storage::arena && std::any_of(p_.kernels.begin(), p_.kernels.end(), [&](const Kernel& k) {
             return k.phase == Phase::prepare && std::any_of(k.output_values.begin(), k.output_values.end(),
                                                             [&](ValueId v) { return v == root_[b.value]; });
           });
  }

  const Plan& p_;
  const ir::Graph& g_;
  std::vector<ValueId> root_;
  std::vector<size_t> order_;
  std::vector<std::string> errors_;
};

}  // namespace

std::vector<std::string> check_plan(const Plan& p) { return Checker(p).run(); }

}  // namespace netc::schedule
