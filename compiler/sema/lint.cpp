// Warnings about a finished model: each rule reads the graph and what operators, layers and losses say of themselves.
#include <algorithm>

#include "compiler/sema/model.h"

namespace netc::sema {
namespace {

using namespace ir;

/// Of a dim's elements: fewer than this share may go unread, as at the border of an odd image under a pooling of two.
constexpr double kUnreadShare = 1.0 / 8;

class Lint {
 public:
  Lint(const Model& model, Diagnostics& diagnostics) : m_(model), g_(model.graph), diagnostics_(diagnostics) {}

  void run() {
    outputs();
    nodes();
    loss();
    statistics();
  }

 private:
  const Model& m_;
  const Graph& g_;
  Diagnostics& diagnostics_;

  const Node* def(ValueId v) const {
    return v == kNone || g_.values[v].def == kNone ? nullptr : &g_.nodes[g_.values[v].def];
  }
  Span span_of(int32_t layer) const {
    return layer >= 0 && layer < static_cast<int32_t>(m_.sources.size()) ? m_.sources[layer].span : Span{0, 1};
  }
  const std::string& text_of_layer(int32_t layer) const { return g_.layers[layer].text; }

  /// The one operand of n that belongs to samples, when n reads no weights; else kNone.
  ValueId only_operand(const Node& n) const {
    ValueId only = kNone;
    for (const ValueId v : n.inputs) {
      const int32_t variable = g_.values[v].variable;
      if (variable != kNone && g_.values[v].def == kNone &&
          (g_.variables[variable].role == Role::weight || g_.variables[variable].role == Role::state))
        return kNone;
      if (!g_.type(v).batched) continue;
      if (only != kNone) return kNone;
      only = v;
    }
    return only;
  }
  /// The same values in another shape, or some of them dropped.
  static bool passes(const Node& n) { return n.op->kind == Kind::view || n.op->random; }

  void outputs() {
    for (const Output& o : g_.outputs)
      for (const Node* n = def(o.value); n; n = def(only_operand(*n))) {
        if (!n->op->random || n->layer == kNone) continue;
        diagnostics_.report(DiagId::dropout_last, span_of(n->layer), text_of_layer(n->layer), o.name)
            .help.push_back("put it before the last layer with weights, or leave it out");
        break;
      }
  }

  void nodes() {
    for (const Node& n : g_.nodes) {
      if (n.layer == kNone) continue;
      if (chances(n.op->meaning)) {
        const Node* from = def(n.inputs[0]);
        while (from && passes(*from)) from = def(from->inputs[0]);
        if (from && chances(from->op->meaning))
          diagnostics_.report(DiagId::softmax_twice, span_of(n.layer), text_of_layer(n.layer))
              .help.push_back("once is enough: leave one of them out");
      }
      if (n.op->windows) unread(n);
    }
  }
  static bool chances(Meaning m) { return m == Meaning::distribution || m == Meaning::probability; }

  /// Statistics over a batch of one sample with one value of each channel: what keeps their running averages is as
  /// large as the sample.
  void statistics() {
    if (!m_.train.present || m_.train.batch > 1) return;
    for (const Node& n : g_.nodes) {
      if (n.layer == kNone || !g_.type(n.inputs[0]).batched) continue;
      for (const Update& u : g_.updates) {
        const ValueId average = g_.variables[u.variable].value;
        const bool kept = std::find(n.inputs.begin() + 1, n.inputs.end(), average) != n.inputs.end();
        if (!kept || g_.type(n.inputs[0]).elements() != g_.type(average).elements()) continue;
        diagnostics_.report(DiagId::statistics_of_one, span_of(n.layer), text_of_layer(n.layer)).help = {
            "give batch at least 2, or take LayerNorm, which needs no batch"};
      }
    }
  }

  /// Rows and columns that no window covers. Windows of one element are a way to take every other one, and meant.
  void unread(const Node& n) {
    const Type &in = g_.type(n.inputs[0]), &out = g_.type(n.results[0]);
    std::vector<std::pair<int64_t, int>> lost;
    bool point = true, apart = false;  // apart: the stride leaves gaps
    for (const WindowSteps& w : n.op->windows(n, g_)) {
      point = point && w.extent == 1;
      apart = apart || w.stride > w.extent;
      int64_t read = 0, next = 0;
      for (int64_t o = 0; o < out.dims[w.dim]; ++o) {
        const int64_t begin = std::max(next, o * w.stride - w.before),
                      end = std::min(in.dims[w.dim], o * w.stride - w.before + w.extent);
        read += std::max<int64_t>(0, end - begin);
        next = std::max(next, end);
      }
      const int64_t missed = in.dims[w.dim] - read;
      if (static_cast<double>(missed) > kUnreadShare * static_cast<double>(in.dims[w.dim]))
        lost.emplace_back(missed, w.dim);
    }
    if (lost.empty() || point) return;
    const bool both =
        lost.size() > 1 && lost[0].first == lost[1].first && in.dims[lost[0].second] == in.dims[lost[1].second];
    const char* what = both ? "rows and columns" : lost[0].second == 0 ? "rows" : "columns";
    diagnostics_
        .report(DiagId::dropped_pixels, span_of(n.layer), text_of_layer(n.layer), lost[0].first,
                in.dims[lost[0].second], what, shape_for_user(in))
        .help.push_back(apart ? "a stride of at most the window's size reads them all"
                              : "padding = same reads them all; or choose an input, window and stride that divide");
  }

  void loss() {
    if (!m_.train.present || m_.train.losses.empty()) return;
    std::vector<ValueId> compared;
    for (const LossTerm& term : m_.train.losses)
      for (const Output& o : g_.outputs) {
        if (o.name != term.output || o.value == kNone) continue;
        fit(term, o);
        compared.push_back(o.value);
        for (const Output& target : g_.outputs)
          if (target.name == term.label && target.value != kNone) compared.push_back(target.value);
      }
    trained(compared);
  }

  /// What the values of v mean, as far as it can be told: scores when only one chain of operators leads to v from the
  /// last contraction.
  Meaning meaning(ValueId v) const {
    for (const Node* n = def(v); n; n = def(v)) {
      if (n->op->meaning != Meaning::any) return n->op->meaning;
      if (n->op->kind == Kind::contraction) return Meaning::scores;
      ValueId only = kNone;
      for (const ValueId i : n->inputs) {
        if (!g_.type(i).batched) continue;
        if (only != kNone) return Meaning::any;
        only = i;
      }
      v = only;
    }
    return Meaning::any;
  }

  void fit(const LossTerm& term, const Output& o) {
    if (!term.loss->expects) return;
    const Meaning wants = term.loss->expects(term.args), has = meaning(o.value);
    const bool unlike = has != Meaning::any && wants != Meaning::any && has != wants;
    const bool wrong = wants == Meaning::quantity ? has == Meaning::distribution : unlike && has != Meaning::quantity;
    if (!wrong) return;
    diagnostics_.report(DiagId::loss_activation, term.span, term.loss->name, words(wants), o.name, words(has))
        .help.push_back(wants == Meaning::distribution  ? "end the output with a softmax, or take a loss for what it is"
                        : wants == Meaning::probability ? "end the output with a sigmoid, or take a loss for what it is"
                        : wants == Meaning::scores ? "leave the last activation out, or take the loss of probabilities"
                                                   : "leave the last activation out, or take a cross-entropy");
  }
  static const char* words(Meaning m) {
    switch (m) {
      case Meaning::any: return "any values";
      case Meaning::distribution: return "probabilities that sum to 1";
      case Meaning::probability: return "probabilities, each for itself";
      case Meaning::scores: return "scores without bounds";
      case Meaning::quantity: return "quantities";
    }
    return "";
  }

  /// What the values `from` are computed of; `trained`: as far as gradients flow.
  std::vector<bool> reach(const std::vector<ValueId>& from, bool trained) const {
    std::vector<bool> reached(g_.values.size(), false);
    for (const ValueId v : from) reached[v] = true;
    for (size_t i = g_.nodes.size(); i-- > 0;) {
      const Node& n = g_.nodes[i];
      const bool wanted = std::any_of(n.results.begin(), n.results.end(), [&](ValueId v) { return reached[v]; });
      if (!wanted || (trained && !n.op->gradient)) continue;
      for (const ValueId v : n.inputs) reached[v] = true;
    }
    return reached;
  }

  /// Weights that an output depends on, and from which nothing differentiable leads to the loss.
  void trained(const std::vector<ValueId>& compared) {
    std::vector<ValueId> outputs;
    for (const Output& o : g_.outputs) outputs.push_back(o.value);
    const std::vector<bool> used = reach(outputs, false), reached = reach(compared, true);
    for (size_t l = 0; l < g_.layers.size(); ++l)
      for (const std::string& name : g_.layers[l].variables) {
        const int32_t v = g_.find_variable(name);
        if (v == kNone || g_.variables[v].role != Role::weight || !g_.variables[v].trainable) continue;
        if (!used[g_.variables[v].value] || reached[g_.variables[v].value]) continue;
        diagnostics_
            .report(DiagId::untrained_weights, span_of(static_cast<int32_t>(l)), text_of_layer(static_cast<int32_t>(l)))
            .help.push_back("leave the layer out, or let an output that has a loss depend on it");
        break;
      }
  }
};

}  // namespace

void lint(const Model& model, Diagnostics& diagnostics) { Lint(model, diagnostics).run(); }

}  // namespace netc::sema
