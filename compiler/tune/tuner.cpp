#include "compiler/schedule/make_plan.h"
#include "compiler/tune/tuner.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iterator>
#include <list>
#include <map>
#include <set>

#include <fmt/format.h>

#include "compiler/nests/nest.h"
#include "compiler/schedule/forms.h"
#include "compiler/tune/measure.h"

namespace netc::tune {
namespace {

using plan::Kernel;
using plan::Phase;
using plan::Plan;
using plan::Strategy;
using schedule::form_key;
using schedule::forms_of;
using schedule::Tuning;
using schedule::TuningEntry;
using Clock = std::chrono::steady_clock;

constexpr double kFormsShare = 0.3;  // of the budget
constexpr double kWorthIt = 0.97;    // of the time of what is left for it: less is noise
constexpr int kValues = 3;           // that are tried of each number, around what it is
constexpr int kAtOnce = 8;           // ways that are compiled and measured together

bool runs_each_time(const Kernel& k) { return k.phase != Phase::ingest && k.phase != Phase::prepare; }

/// Of the times at all batches that count, relative to `base`'s: their geometric mean.
double ratio(const std::vector<double>& us, const std::vector<double>& base) {
  double sum = 0;
  for (size_t i = 0; i < us.size(); ++i) sum += std::log(us[i] / base[i]);
  return us.empty() ? 1 : std::exp(sum / static_cast<double>(us.size()));
}

std::string one_word(std::string name) {
  std::replace(name.begin(), name.end(), ' ', '_');
  return name.empty() ? "unnamed" : name;
}

/// Equal kernels of one plan.
struct Work {
  const Job* job;
  const Plan* plan;
  const Kernel* kernel;
  std::string key;
  int count = 0;
  std::vector<double> default_us = {}, us = {};  // by batch; empty: not measured yet
  Strategy best = {};
  std::set<std::string> tried = {};
  bool known = false;    // measured by an earlier run
  bool settled = false;  // nothing near is faster
  bool fails = false;    // cannot be measured
  double total() const { return default_us.empty() ? kernel->strategy.cost_us * count : default_us.front() * count; }
};

class Tuner {
 public:
  Tuner(const std::vector<Job>& jobs, const Machine& m, const Options& o, Tuning& tuning, Outcome& outcome)
      : jobs_(jobs),
        m_(m),
        o_(o),
        tuning_(tuning),
        outcome_(outcome),
        machine_(schedule::machine_key(m)) {}

  bool run(std::string& error) {
    forms();
    gather();
    defaults(kLeastShare);
    bool found = true;
    for (int round = 0; found && round < o_.rounds && spent() < o_.seconds; ++round) {
      found = false;
      const double least = kLeastShare * all();
      for (Work* w : by_time()) {
        if (w->known || w->settled || w->default_us.empty() || w->total() < least) continue;
        if (spent() >= o_.seconds) break;
        improve(*w);
        found |= !w->settled;
      }
    }
    for (Work& w : works_) confirm(w);
    defaults(0);
    report();
    error = outcome_.why;
    return outcome_.failed == 0 || !outcome_.rows.empty();
  }

 private:
  /// What cannot be measured is passed over.
  void failed(const std::string& why) {
    if (outcome_.failed++ == 0) outcome_.why = why;
  }

  double spent() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }
  void say(const std::string& what) const {
    if (o_.progress) o_.progress(fmt::format("{:.0f} of {:.0f} s, {}", spent(), o_.seconds, what));
  }
  How how(const Job& job, double seconds) const { return {.batches = job.batches, .seconds = seconds}; }

  TuningEntry entry(const Job& job, const std::string& key, const std::string& name, const std::string& choice,
                    const std::vector<double>& us, const std::vector<double>& default_us) const {
    TuningEntry e{machine_, key, one_word(name), choice, {}};
    for (size_t i = 0; i < us.size(); ++i) e.timings.push_back({job.batches[i], us[i], default_us[i]});
    return e;
  }

  // --- forms: each in a graph of the node alone, with the strategies that the compiler chooses for it.

  struct Node {
    const Job* job;
    ir::NodeId id;
    std::string key;
    int count;
    double flops;
  };

  void forms() {
    std::map<std::string, Node> nodes;
    for (const Job& job : jobs_)
      for (ir::NodeId n = 0; n < static_cast<ir::NodeId>(job.graph->nodes.size()); ++n) {
        const ir::Node& node = job.graph->nodes[static_cast<size_t>(n)];
        if (node.op->forms.empty() || forms_of(*job.graph, n, m_).size() < 2) continue;
        const std::string key = form_key(*job.graph, n, job.max_batch);
        const double flops = node.op->cost ? node.op->cost(node, *job.graph).flops * job.max_batch : 0;
        ++nodes.try_emplace(key, Node{&job, n, key, 0, flops}).first->second.count;
      }
    std::vector<const Node*> order;
    for (const auto& [key, node] : nodes) order.push_back(&node);
    std::stable_sort(order.begin(), order.end(),
                     [](const Node* a, const Node* b) { return a->flops * a->count > b->flops * b->count; });
    for (const Node* n : order) {
      if (const TuningEntry* known = tuning_.find(machine_, n->key)) {
        outcome_.rows.push_back({.job = n->job->name,
                                 .name = known->name,
                                 .choice = known->choice,
                                 .default_choice = forms_of(*n->job->graph, n->id, m_).front(),
                                 .form = true,
                                 .known = true,
                                 .count = n->count,
                                 .default_us = known->timings.front().default_us,
                                 .us = known->timings.front().us});
        continue;
      }
      if (spent() >= kFormsShare * o_.seconds) {
        ++outcome_.left;
        continue;
      }
      form(*n);
    }
  }

  void form(const Node& n) {
    const ir::Graph& g = *n.job->graph;
    const std::vector<std::string> names = forms_of(g, n.id, m_);
    const std::string name = g.values[static_cast<size_t>(g.nodes[static_cast<size_t>(n.id)].results[0])].name;
    say(fmt::format("forms of {}", name));
    const ir::Graph one = alone(g, n.id);
    std::list<Plan> plans;
    std::list<Subject> subjects;
    std::vector<Way> ways;
    std::string error;
    for (const std::string& choice : names) {
      Tuning forced;
      TuningEntry e = entry(*n.job, form_key(one, 0, n.job->max_batch), name, choice, {1}, {1});
      e.form = true;
      forced.set(std::move(e));
      plans.push_back(make_plan(one, m_, n.job->max_batch, &forced));
      Subject& s = subjects.emplace_back();
      s.plan = &plans.back();
      std::vector<lower::Object> objects, once, each;
      if (!compiled(plans.back(), objects, error)) return failed(error);
      for (size_t k = 0; k < objects.size(); ++k) {  // weights are prepared once, at load; in a training step each time
        const bool prepares = plans.back().kernels[k].phase == Phase::prepare && !g.trains();
        (prepares ? s.once : s.each).push_back(&plans.back().kernels[k]);
        (prepares ? once : each).push_back(std::move(objects[k]));
      }
      once.insert(once.end(), std::make_move_iterator(each.begin()), std::make_move_iterator(each.end()));
      ways.push_back({&s, std::move(once)});
    }
    std::vector<Measured> measured;
    if (!measure(ways, how(*n.job, 0.3), o_.toolchain, measured, error)) return failed(error);
    size_t best = 0;
    int work = 0;
    for (size_t i = 1; i < ways.size(); ++i)
      if (work += measured[i].works;
          measured[i].works && ratio(measured[i].us, measured[best].us) < (best == 0 ? kWorthIt : 1))
        best = i;
    TuningEntry e = entry(*n.job, n.key, name, names[best], measured[best].us, measured[0].us);
    e.form = true;
    outcome_.rows.push_back({.job = n.job->name,
                             .name = e.name,
                             .choice = names[best],
                             .default_choice = names[0],
                             .form = true,
                             .count = n.count,
                             .tried = work,
                             .default_us = measured[0].us[0],
                             .us = measured[best].us[0]});
    tuning_.set(std::move(e));
  }

  /// A graph of this node.
  static ir::Graph alone(const ir::Graph& g, ir::NodeId n) {
    const ir::Node& node = g.nodes[static_cast<size_t>(n)];
    ir::Graph one;
    one.name = "form";
    std::map<ir::ValueId, ir::ValueId> inputs;
    std::vector<ir::ValueId> operands;
    for (ir::ValueId v : node.inputs) {
      if (!inputs.count(v)) {
        ir::Variable variable;
        variable.name = fmt::format("in{}", inputs.size());
        variable.role = g.type(v).batched ? ir::Role::input : ir::Role::weight;
        inputs[v] = one.add_variable(variable, g.type(v));
      }
      operands.push_back(inputs[v]);
    }
    one.outputs.push_back({"out", one.add(*node.op, operands, node.attrs)});
    return one;
  }

  // --- strategies

  void gather() {
    Tuning forms_only;
    for (const auto& [key, e] : tuning_.entries)
      if (e.form) forms_only.set(e);
    std::map<std::string, Work*> first;
    for (const Job& job : jobs_) {
      plans_.push_back(make_plan(*job.graph, m_, job.max_batch, &forms_only));
      for (const Kernel& k : plans_.back().kernels) {
        if (!runs_each_time(k)) continue;
        const std::string key = schedule::kernel_key(plans_.back(), k);
        auto& w = first[key];
        if (!w) {
          works_.push_back({&job, &plans_.back(), &k, key});
          w = &works_.back();
          w->best = k.strategy;
        }
        ++w->count;
      }
    }
    for (Work& w : works_)
      if (const TuningEntry* e = tuning_.find(machine_, w.key); e && !e->form)
        if (const auto s = plan::strategy_of(e->choice); s && nests::can_take({*w.plan, *w.kernel, m_}, *s))
          w.best = *s, w.known = true;
  }

  std::vector<Work*> by_time() {
    std::vector<Work*> order;
    for (Work& w : works_) order.push_back(&w);
    std::stable_sort(order.begin(), order.end(), [](const Work* a, const Work* b) { return a->total() > b->total(); });
    return order;
  }

  bool compiled(const Plan& plan, std::vector<lower::Object>& objects, std::string& error) const {
    lower::Options lower = o_.lower;
    lower.skip_failures = true;
    return lower_all(plan, m_, lower, objects, error);
  }

  /// The kernel in these strategies, compiled and run; the first is the compiler's own. False when it cannot be
  /// measured.
  bool run(Work& w, const std::vector<Strategy>& strategies, double seconds, std::vector<Measured>& measured) {
    Plan some = *w.plan;
    some.kernels.clear();
    for (const Strategy& s : strategies) {
      some.kernels.push_back(*w.kernel);
      some.kernels.back().strategy = s;
    }
    std::vector<lower::Object> objects;
    std::string error;
    const Subject subject{w.plan, {}, {w.kernel}};
    std::vector<Way> ways;
    bool done = compiled(some, objects, error);
    for (lower::Object& o : objects) ways.push_back({&subject, {std::move(o)}});
    done = done && measure(ways, how(*w.job, seconds), o_.toolchain, measured, error);
    if (!done) failed(error), w.fails = true;
    return done;
  }

  double all() const {
    double us = 0;
    for (const Work& w : works_) us += w.total();
    return us;
  }

  /// The compiler's own choices, of kernels that take this share of all time, as far as is known.
  void defaults(double share) {
    const double least = share * all();
    for (Work* w : by_time()) {
      if (w->fails || !w->default_us.empty() || w->total() < least) continue;
      if (spent() >= o_.seconds) return;
      say(w->kernel->name);
      std::vector<Measured> measured;
      std::vector<Strategy> ways = {w->kernel->strategy};
      if (w->known) ways.push_back(w->best);
      if (!run(*w, ways, 0.1, measured)) continue;
      w->default_us = measured[0].us;
      w->us = measured.back().works ? measured.back().us : measured[0].us;
    }
  }

  void improve(Work& w) {
    say(w.kernel->name);
    w.tried.insert(w.best.text());
    std::vector<Strategy> near;
    for (Strategy& s : nests::neighbours({*w.plan, *w.kernel, m_}, w.best, kValues))
      if (w.tried.insert(s.text()).second) near.push_back(std::move(s));
    const Strategy before = w.best;
    for (size_t at = 0; at < near.size() && spent() < o_.seconds; at += kAtOnce) {
      std::vector<Strategy> ways = {w.kernel->strategy};
      if (w.best.text() != ways[0].text()) ways.push_back(w.best);
      const size_t present = ways.size() - 1;
      for (size_t i = at; i < std::min(near.size(), at + kAtOnce); ++i) ways.push_back(near[i]);
      std::vector<Measured> measured;
      if (!run(w, ways, 0.3, measured)) break;
      if (!measured[present].works) continue;
      for (size_t b = 0; b < w.default_us.size(); ++b) w.default_us[b] = std::min(w.default_us[b], measured[0].us[b]);
      size_t best = present;
      for (size_t i = present + 1; i < ways.size(); ++i)
        if (measured[i].works && ratio(measured[i].us, measured[best].us) < (best == present ? kWorthIt : 1)) best = i;
      w.best = ways[best];
    }
    w.settled = w.best.text() == before.text();
  }

  /// Once more side by side with the compiler's own: the fastest of many is so partly by chance. Then it is kept.
  void confirm(Work& w) {
    if (w.tried.empty()) return;
    const bool other = w.best.text() != w.kernel->strategy.text();
    if (other) say(w.kernel->name);
    std::vector<Measured> measured;
    if (other && run(w, {w.kernel->strategy, w.best}, 0.4, measured)) {
      const bool faster = measured[1].works && ratio(measured[1].us, measured[0].us) < kWorthIt;
      if (!faster) w.best = w.kernel->strategy;
      w.default_us = measured[0].us;
      w.us = measured[faster].us;
    } else {
      w.best = w.kernel->strategy;
      w.us = w.default_us;
    }
    tuning_.set(entry(*w.job, w.key, w.kernel->name, w.best.text(), w.us, w.default_us));
  }

  void report() {
    for (Work* w : by_time()) {
      if (w->default_us.empty()) {
        outcome_.left += !w->fails;
        continue;
      }
      outcome_.rows.push_back({.job = w->job->name,
                               .name = w->kernel->name,
                               .choice = w->best.text(),
                               .default_choice = w->kernel->strategy.text(),
                               .known = w->known,
                               .count = w->count,
                               .tried = std::max(0, static_cast<int>(w->tried.size()) - 1),
                               .estimated_us = w->kernel->strategy.cost_us,
                               .default_us = w->default_us.front(),
                               .us = w->us.front()});
    }
    const auto before = [](const Row& a, const Row& b) {
      return std::pair(!a.form, a.job) < std::pair(!b.form, b.job);
    };
    std::stable_sort(outcome_.rows.begin(), outcome_.rows.end(), before);
    outcome_.seconds = spent();
  }

  const std::vector<Job>& jobs_;
  const Machine& m_;
  const Options& o_;
  Tuning& tuning_;
  Outcome& outcome_;
  const std::string machine_;
  const Clock::time_point start_ = Clock::now();
  std::list<Plan> plans_;
  std::list<Work> works_;
};

}  // namespace

bool tune(const std::vector<Job>& jobs, const Machine& m, const Options& o, Tuning& tuning, Outcome& outcome,
          std::string& error) {
  return Tuner(jobs, m, o, tuning, outcome).run(error);
}

}  // namespace netc::tune
