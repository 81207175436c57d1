// From kernels to a plan: buffers, layouts, phases, names, the arena.
#include "compiler/schedule/make_plan.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>

#include <fmt/format.h>

#include "compiler/nests/nest.h"
#include "compiler/schedule/arena.h"
#include "compiler/schedule/check.h"
#include "compiler/schedule/forms.h"
#include "compiler/schedule/fuse.h"
#include "compiler/schedule/in_step.h"
#include "compiler/schedule/order.h"
#include "compiler/schedule/tuning.h"

namespace netc::schedule {
namespace {

using ir::Graph;
using ir::Kind;
using ir::kNone;
using ir::Role;
using ir::ValueId;

constexpr double kReadingAgain = 0.03;  // of a batch's time: what reading weights again may take

Storage storage_of(Role r) {
  switch (r) {
    case Role::input: return Storage::input;
    case Role::label: return Storage::label;
    case Role::scalar: return Storage::scalar;
    case Role::constant: return Storage::constant;
    default: return Storage::variable;
  }
}

bool is_loss(const ir::Output& o) { return o.kind == ir::OutputKind::loss || o.kind == ir::OutputKind::term; }

class Planner {
 public:
  Planner(ChosenForms chosen, const Machine& m, int max_batch)
      : graph_(std::make_shared<Graph>(std::move(chosen.graph))),
        g_(*graph_),
        m_(m) {
    plan_.tuned = chosen.tuned;
    plan_.graph = graph_;
    plan_.max_batch = max_batch;
  }

  Plan run() {
    groups_ = fuse(g_);
    find_in_step(g_, groups_, m_);
    plan_.kernels = std::move(groups_.kernels);
    find_overwritten();
    make_buffers();
    if (g_.trains()) lower_peak(plan_, groups_.root);
    find_ports();
    choose_layouts();
    assign_phases();
    name_kernels();
    for (auto& k : plan_.kernels) describe(k);
    plan_.slice = choose_slice();
    plan_arena(plan_, groups_.root);
    return std::move(plan_);
  }

 private:
  void find_overwritten() {
    for (auto& u : g_.updates) home_[u.value] = u.variable;
  }

  int buffer(ValueId v) {
    if (auto it = index_.find(v); it != index_.end()) return it->second;
    Buffer b;
    b.value = v;
    b.type = g_.type(v);
    b.name = g_.values[v].name;
    if (const ir::NodeId def = g_.values[v].def; def != kNone && g_.nodes[def].op->stores_blocks) {
      b.block_dim = static_cast<int>(g_.nodes[def].attrs.i("dim"));
      b.block = g_.nodes[def].attrs.i("block");
      if (g_.nodes[def].attrs.has("pairs")) b.pair_dim = static_cast<int>(g_.nodes[def].attrs.i("pairs"));
    }
    ValueId root = groups_.root[v];
    if (g_.values[root].def == kNone) {
      b.variable = g_.values[root].variable;
      b.storage = storage_of(g_.variables[b.variable].role);
      if (root == v) b.name = g_.variables[b.variable].name;
    } else if (g_.nodes[g_.values[root].def].op->kind == Kind::ingest) {
      // its result is what the batch's kernels have as the input
      b.storage = Storage::input;
      while (g_.values[root].def != kNone) root = g_.nodes[g_.values[root].def].inputs[0];
      b.variable = g_.values[root].variable;
    } else if (home_.count(v)) {
      b.storage = Storage::variable;
      b.variable = home_[v];
    }
    plan_.buffers.push_back(b);
    return index_[v] = static_cast<int>(plan_.buffers.size()) - 1;
  }

  void make_buffers() {
    for (size_t k = 0; k < plan_.kernels.size(); ++k) {
      Kernel& kernel = plan_.kernels[k];
      for (ValueId v : kernel.input_values) kernel.inputs.push_back(buffer(v));
      for (ValueId v : kernel.output_values) kernel.outputs.push_back(buffer(v));
      kernel.unbatched = true;
      for (int b : kernel.inputs) kernel.unbatched &= !plan_.buffers[b].type.batched;
      for (int b : kernel.outputs) kernel.unbatched &= !plan_.buffers[b].type.batched;
    }
    for (auto& o : g_.outputs) {
      const int b = buffer(o.value);
      if (o.kind == ir::OutputKind::loss) plan_.loss_buffer = b;
      else (is_loss(o) ? plan_.term_buffers : plan_.output_buffers).push_back(b);
    }
  }

  void find_ports() {
    for (int32_t v = 0; v < static_cast<int32_t>(g_.variables.size()); ++v)
      if (g_.variables[v].role == Role::input) plan_.inputs.push_back(input_port(v));
  }

  InputPort input_port(int32_t variable) {
    InputPort port{variable, {}};
    for (size_t k = 0; k < plan_.kernels.size(); ++k) {
      const Kernel& kernel = plan_.kernels[k];
      if (kernel.anchor == kNone || g_.nodes[kernel.anchor].op->kind != Kind::ingest ||
          plan_.buffers[kernel.inputs[0]].variable != variable)
        continue;
      port.ingests.push_back({static_cast<int>(k), kernel.outputs[0]});
    }
    if (port.ingests.size() > 1) place_beside(port.ingests);
    return port;
  }

  // What several kernels make of a sample, in an order that all plans of a net agree on.
  void place_beside(std::vector<Ingest>& ingests) {
    const auto order = [&](const Ingest& i) { return content_of(plan_, plan_.kernels[i.kernel]); };
    std::stable_sort(ingests.begin(), ingests.end(),
                     [&](const Ingest& a, const Ingest& b) { return order(a) < order(b); });
    const auto whole = [](int64_t bytes) { return (bytes + 3) / 4 * 4; };  // elements of all types have a place there
    int64_t bytes = 0;
    std::map<ValueId, int64_t> at;
    for (const Ingest& i : ingests)
      at[plan_.buffers[i.buffer].value] = bytes, bytes += whole(plan_.buffers[i.buffer].type.bytes());
    for (Buffer& b : plan_.buffers)  // and views of it
      if (const auto it = at.find(groups_.root[b.value]); it != at.end())
        b.sample_at = it->second / size_of(b.type.dtype), b.sample_stride = bytes / size_of(b.type.dtype);
  }

  // Few channels leave most lanes of a vector empty: such images are stored as planes. Not where a user or a view sees
  // the bytes.
  void choose_layouts() {
    std::set<ValueId> fixed;
    for (auto& n : g_.nodes)
      if (n.op->kind == Kind::view) {
        fixed.insert(n.inputs[0]);
        fixed.insert(n.results[0]);
      }
    for (auto& o : g_.outputs) fixed.insert(o.value);
    for (auto& b : plan_.buffers) {
      bool image = b.type.batched && b.type.rank() == 3 && b.type.dtype == ir::DType::f32 && !b.type.has_any_extent();
      bool ours =
          b.storage == Storage::arena || (b.storage == Storage::input && g_.values[groups_.root[b.value]].def != kNone);
      b.planar = image && ours && !fixed.count(b.value) && b.type.dims[2] > 1 && b.type.dims[2] < m_.vector_floats &&
                 b.type.dims[1] >= m_.vector_floats / 2;
    }
  }

  // prepare: depends on weights alone. forward: needed for the outputs but the loss. loss: for the loss. update: writes
  // a variable. backward: the rest.
  void assign_phases() {
    std::set<ValueId> output_needs, loss_needs;
    for (auto& o : g_.outputs) (is_loss(o) ? loss_needs : output_needs).insert(groups_.root[o.value]);
    std::set<ValueId> varying;
    for (auto& v : g_.variables)
      if (v.role != Role::weight && v.role != Role::state && v.role != Role::constant) varying.insert(v.value);
    for (auto& k : plan_.kernels) {
      bool varies = false;
      for (ValueId v : k.input_values) varies |= varying.count(groups_.root[v]) != 0;
      if (varies)
        for (ValueId v : k.output_values) varying.insert(v);
      k.phase = varies || g_.trains() ? Phase::backward : Phase::prepare;
    }
    bool trains = g_.trains();
    for (auto it = plan_.kernels.rbegin(); it != plan_.kernels.rend(); ++it) {
      auto needed = [&](const std::set<ValueId>& s) {
        return std::any_of(it->output_values.begin(), it->output_values.end(), [&](ValueId v) { return s.count(v); });
      };
      auto need = [&](std::set<ValueId>& s) {
        for (ValueId v : it->input_values) s.insert(groups_.root[v]);
      };
      bool out = needed(output_needs), loss = needed(loss_needs);
      if (out) need(output_needs);
      if (loss) need(loss_needs);
      bool updates =
          std::any_of(it->output_values.begin(), it->output_values.end(), [&](ValueId v) { return home_.count(v); });
      if (it->anchor != kNone && g_.nodes[it->anchor].op->kind == Kind::ingest) it->phase = Phase::ingest;
      else if (it->phase == Phase::prepare && (out || loss)) it->phase = loss && !out ? Phase::loss : Phase::prepare;
      else if (updates) it->phase = Phase::update;
      else if (out) it->phase = Phase::forward;
      else if (loss) it->phase = trains ? Phase::forward : Phase::loss;
      else it->phase = Phase::backward;
    }
  }

  // Samples go through an inference net a few at a time where the weights leave room in the last cache but a batch's
  // activations do not; and where activations take most of the memory, in slices so large that reading the weights
  // again for each takes next to no time. 0: all at once.
  int choose_slice() const {
    if (g_.trains()) return 0;
    int64_t weights = 0, activations = 0;  // bytes: of all kernels, and of a sample at the kernel that has most
    double us = 0;
    for (const Kernel& k : plan_.kernels) {
      if (k.phase != Phase::forward) continue;
      int64_t of_sample = 0;
      for (const std::vector<int>* list : {&k.inputs, &k.outputs})
        for (int b : *list) (plan_.buffers[b].type.batched ? of_sample : weights) += plan_.buffers[b].type.bytes();
      activations = std::max(activations, of_sample);
      us += k.strategy.cost_us;
    }
    const int64_t batch = plan_.max_batch;
    int64_t slice = batch;
    if (weights <= m_.l3 / 2) {
      const int64_t room = m_.l3 * 3 / 4 - weights;
      if (activations * batch > room) slice = std::max<int64_t>(1, room / activations);
    } else if (activations * batch > weights / 2) {
      const double reading_us = static_cast<double>(weights) / (m_.limits.memory_gbytes * 1e3);
      const int64_t slices = 1 + static_cast<int64_t>(kReadingAgain * us / reading_us);
      if (slices > 1) slice = ((batch + slices - 1) / slices + m_.cores - 1) / m_.cores * m_.cores;
    }
    return slice < batch ? static_cast<int>(slice) : 0;
  }

  void name_kernels() {
    std::map<std::string, int> used;
    for (auto& k : plan_.kernels) {
      std::string name;
      ir::NodeId first = k.anchor != kNone ? k.anchor : k.nodes.front();
      int layer = g_.nodes[first].layer;
      if (layer != kNone) name = g_.layers[layer].name + "_";
      if (k.anchor != kNone) name += g_.nodes[k.anchor].op->name;
      int listed = 0;
      for (ir::NodeId n : k.nodes)
        if (n != k.anchor && (k.anchor == kNone || n > k.anchor) && ++listed <= 3)
          name += (name.empty() || name.back() == '_' ? "" : "_") + g_.nodes[n].op->name;
      for (char& c : name)
        if (!isalnum(static_cast<unsigned char>(c))) c = '_';
      int count = ++used[name];
      k.name = count == 1 ? name : fmt::format("{}_{}", name, count);
    }
  }

  void describe(Kernel& k) {
    const Buffer& out = plan_.buffers[k.outputs[0]];
    const Buffer* in = nullptr;
    for (int b : k.inputs)
      if (!in || plan_.buffers[b].type.batched > in->type.batched) in = &plan_.buffers[b];
    k.comment = fmt::format("{} -> {}", in ? to_string(in->type) : "()", to_string(out.type));
    for (ir::NodeId n : k.nodes) {
      auto& node = g_.nodes[n];
      if (!node.op->cost) continue;
      bool per_sample = g_.type(node.results[0]).batched;
      for (ValueId v : node.inputs) per_sample |= g_.type(v).batched;
      (per_sample ? k.flops : k.fixed_flops) += node.op->cost(node, g_).flops;
    }
    auto count = [&](int b) {
      const ir::Type& t = plan_.buffers[b].type;
      if (!t.has_any_extent()) (t.batched ? k.bytes : k.fixed_bytes) += static_cast<double>(t.bytes());
    };
    for (int b : k.inputs) count(b);
    for (int b : k.outputs) count(b);
    k.strategy = nests::choose({plan_, k, m_});
  }

  Plan plan_;
  const std::shared_ptr<const Graph> graph_;
  const Graph& g_;
  const Machine& m_;
  Groups groups_;
  std::map<ValueId, int> index_;
  std::map<ValueId, int32_t> home_;  // value -> the variable it is the new contents of
};

}  // namespace

namespace {

/// A violation is a bug here. In debug builds only: it takes as long as planning.
template <class Errors>
void insist([[maybe_unused]] const char* after, [[maybe_unused]] const Errors& find) {
#ifndef NDEBUG
  const std::vector<std::string> errors = find();
  for (const std::string& e : errors) std::fprintf(stderr, "netc: internal error: after %s: %s\n", after, e.c_str());
  if (!errors.empty()) std::abort();
#endif
}

}  // namespace

Plan plan_chosen(ChosenForms chosen, const Machine& m, int max_batch, const Tuning* tuning) {
  insist("choosing forms", [&] { return ir::verify(chosen.graph); });
  Plan p = Planner(std::move(chosen), m, max_batch).run();
  if (tuning) apply_tuning(p, m, *tuning);
  share_tasks(p, m);
  insist("planning", [&] { return check_plan(p); });
  return p;
}

Plan make_plan(const Graph& g, const Machine& m, int max_batch, const Tuning* tuning) {
  return plan_chosen(choose_forms(g, m, {max_batch, tuning}), m, max_batch, tuning);
}

}  // namespace netc::schedule
