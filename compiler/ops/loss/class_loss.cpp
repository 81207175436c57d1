// Losses over classes: cross-entropy, focal, hinge. The last dim holds the classes and every other coordinate is a case
// of its own (a token, a pixel), with one class index as its label. After a softmax the loss is taken from its operand:
// log-sum-exp needs no clipping, and the gradient is softmax - target.
#include "compiler/ops/elementwise/exact.h"
#include "compiler/ops/loss/loss.h"
#include "compiler/ops/reduce/softmax.h"
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

constexpr double kClip = 1e-7;  // Keras clips probabilities to [1e-7, 1 - 1e-7], of which float32 has the nearest
constexpr double kMost = static_cast<float>(1 - kClip);

/// Operands x f32[N, ..., C], label i32[N, ...], and of a gradient dy f32[N, ...].
ShapeRule class_shape(const std::string& me, bool gradient) {
  return [me, gradient](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    const Type& x = in[0];
    Type each = class_labels(x);
    bool ok = x.dtype == DType::f32 && x.batched && x.rank() >= 1 && !x.has_any_extent() && in[1] == each;
    each.dtype = DType::f32;
    if (gradient) ok = ok && in[2] == each;
    if (!ok)
      error = fmt::format("{} needs f32[N, ..., C] and i32[N, ...]{}, not {}", me, gradient ? " and f32[N, ...]" : "",
                          list_types(in));
    out = {gradient ? x : each};
    return ok;
  };
}

int classes(const LowerContext& ctx) { return static_cast<int>(ctx.in_type(0).dims.back()); }
size_t classes(const Tensors& in) { return static_cast<size_t>(in[0].dims.back()); }

/// The coordinates of x, c first, and of the rows: all others.
struct Coordinates {
  std::vector<Var> all, row;
  explicit Coordinates(const LowerContext& ctx) : all(vars_of(ctx.in_type(0))), row(all.begin() + 1, all.end()) {}
  Exprs with(const Expr& c) const {
    Exprs at = exprs(all);
    at[0] = c;
    return at;
  }
};

/// A label as an index that is always inside the row.
Expr label_at(const LowerContext& ctx, const Coordinates& v) { return clamp(ctx.in[1](v.row), 0, classes(ctx) - 1); }
size_t label_at(const Tensors& in, size_t row) {
  return static_cast<size_t>(std::clamp<int64_t>(static_cast<int64_t>(in[1].data[row]), 0, in[0].dims.back() - 1));
}

/// The target of class c: 1 - smoothing more for the label, and smoothing / C for all.
Expr target(const LowerContext& ctx, const Coordinates& v) {
  const double s = ctx.node.attrs.f("smoothing");
  return select(v.all[0] == label_at(ctx, v), lit(1 - s + s / classes(ctx)), lit(s / classes(ctx)));
}
double target(const Node& n, const Tensors& in, size_t i) {
  const double s = n.attrs.f("smoothing");
  return (i % classes(in) == label_at(in, i / classes(in)) ? 1 - s : 0) + s / static_cast<double>(classes(in));
}

/// -sum_c target[c] * f(c), where f is log(p) or the logit: the label's term, and where targets are smoothed the row's
/// sum.
struct Expectation {
  Expr value;
  Func sum;
};
Expectation expectation(const LowerContext& ctx, const Coordinates& v, const RDom& r,
                        const std::function<Expr(const Expr& c)>& f) {
  const double s = ctx.node.attrs.f("smoothing");
  Expectation e{lit(1 - s) * f(label_at(ctx, v)), Func()};
  if (s == 0) return e;
  e.sum = Func(ctx.node.op->name + "_row");
  e.sum(v.row) = 0.0f;
  e.sum(v.row) += f(r);
  e.value += lit(s / classes(ctx)) * e.sum(v.row);
  return e;
}

OpDef forward(const char* name, const char* doc, double flops) {
  OpDef d;
  d.name = name;
  d.doc = doc;
  d.kind = Kind::reduction;
  d.inputs = 2;
  d.cost = per_input_element(0, flops);
  d.shape = class_shape(d.name, false);
  const std::string grad = d.name + "_grad";
  d.gradient = [grad](const GradContext& g) {
    return std::vector<ValueId>{g.wanted[0] ? g.emit(grad, {g.in(0), g.in(1), g.grads_out[0]}, g.n().attrs) : kNone,
                                kNone};
  };
  return d;
}

OpDef backward(const char* name, const char* doc, Kind kind, double flops) {
  OpDef d;
  d.name = name;
  d.doc = doc;
  d.kind = kind;
  d.inputs = 3;
  d.no_gradient = kNoSecond;
  d.cost = per_element(flops);
  d.shape = class_shape(d.name, true);
  return d;
}

/// A row's label and the others, exp(x - max x) each: a probability p of the label is e / (e + others), and others are
/// what 1 - p has its digits of.
struct LabelRows {
  SoftmaxRows rows;  // rows.sum: the others'
  Expr e, others;
};
struct RefLabelRow {
  double maximum = -INFINITY, e = 0, others = 0;
  RefLabelRow(const Tensors& in, size_t row) {
    const size_t C = classes(in), label = label_at(in, row);
    const double* x = &in[0].data[row * C];
    maximum = *std::max_element(x, x + C);
    for (size_t c = 0; c < C; ++c) (c == label ? e : others) += std::exp(x[c] - maximum);
  }
};
LabelRows label_rows(const LowerContext& ctx, const Coordinates& v) {
  const Expr label = label_at(ctx, v);
  const SoftmaxRows s = softmax_rows(ctx, 0, [&](const Expr& c, const Expr& e) { return select(c == label, 0.0f, e); });
  return {s, exact::exp_of_negative(ctx.in[0](v.with(label)) - s.maximum(v.row)), s.sum(v.row)};
}

OpDef softmax_crossentropy() {
  OpDef d = forward("softmax_crossentropy",
                    "Loss of each row from logits: log(sum_c exp(x[c])) - sum_c t[c] * x[c], t = smoothing / C, and 1 "
                    "- smoothing more at the label. "
                    "Operands logits, label.",
                    22);
  d.terms = [](const Node&, const Tensors& in) {  // the largest operand and the label's
    double most = 0;
    for (double v : in[0].data) most = std::max(most, std::abs(v));
    return most;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const Coordinates v(ctx);
    const LabelRows s = label_rows(ctx, v);
    const Expectation e = expectation(ctx, v, s.rows.r, [&](const Expr& c) { return ctx.in[0](v.with(c)); });
    Func y("softmax_crossentropy");
    y(v.row) = exact::add(exact::log1p(exact::add(s.others, exact::sub(s.e, 1.0f))),
                          exact::sub(s.rows.maximum(v.row), e.value));
    Lowered l{{y}, s.rows.sum, s.rows.r, {}, {s.rows.maximum, s.rows.sum}};
    if (e.sum.defined()) l.folds.push_back(e.sum);
    return l;
  };
  d.reference = [](const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
    RefTensor y = ref_zeros(g.type(n.results[0]), batch);
    for (size_t row = 0, C = classes(in); row < y.data.size(); ++row) {
      const RefLabelRow s(in, row);
      y.data[row] = std::log1p(s.others + (s.e - 1));
      for (size_t i = row * C; i < (row + 1) * C; ++i) y.data[row] += target(n, in, i) * (s.maximum - in[0].data[i]);
    }
    return Tensors{y};
  };
  return d;
}

OpDef softmax_crossentropy_grad() {
  OpDef d = backward(
      "softmax_crossentropy_grad",
      "Gradient of softmax_crossentropy in the logits: (softmax(x)[c] - t[c]) * dy. Operands logits, label, dy.",
      Kind::reduction, 24);
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const Coordinates v(ctx);
    const LabelRows s = label_rows(ctx, v);
    const double smoothing = ctx.node.attrs.f("smoothing"), each = smoothing / classes(ctx);
    const Expr e = exact::exp_of_negative(ctx.in[0](v.all) - s.rows.maximum(v.row)), sum = s.e + s.others;
    Func dx("softmax_crossentropy_grad");
    // e / sum - t, of the label without the difference of nearly equal numbers
    const Expr of_label = lit(smoothing - each) * s.e - lit(1 - smoothing + each) * s.others;
    dx(v.all) = select(v.all[0] == label_at(ctx, v), of_label, e - lit(each) * sum) / sum * ctx.in[2](v.row);
    return Lowered{{dx}, s.rows.sum, s.rows.r, {}, {s.rows.maximum, s.rows.sum}};
  };
  d.reference = [](const Node& n, const Graph&, const Tensors& in, int64_t) {
    RefTensor dx = in[0];
    for (size_t row = 0, C = classes(in); row < in[2].data.size(); ++row) {
      const RefLabelRow s(in, row);
      for (size_t i = row * C; i < (row + 1) * C; ++i) {
        const double t = target(n, in, i), e = std::exp(in[0].data[i] - s.maximum);
        const double over = i % C == label_at(in, row) ? (1 - t) * s.e - t * s.others : e - t * (s.e + s.others);
        dx.data[i] = over / (s.e + s.others) * in[2].data[row];
      }
    }
    return Tensors{dx};
  };
  return d;
}

OpDef crossentropy() {
  OpDef d = forward("crossentropy",
                    "Loss of each row from probabilities: -sum_c t[c] * log(clip(p[c], 1e-7, 1 - 1e-7)), t = smoothing "
                    "/ C, and 1 - smoothing more at the label. "
                    "Operands p, label.",
                    12);
  d.cost = [](const Node& n, const Graph& g) {
    const Type& x = g.type(n.inputs[0]);
    return Cost{0, 12 * elements(x) / (n.attrs.f("smoothing") == 0 ? static_cast<double>(x.dims.back()) : 1.0)};
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const Coordinates v(ctx);
    RDom r(0, classes(ctx), "r");
    const Expectation e = expectation(ctx, v, r, [&](const Expr& c) {
      return exact::log(exact::within(ctx.in[0](v.with(c)), lit(kClip), lit(kMost)));
    });
    Func y("crossentropy");
    y(v.row) = -e.value;
    return e.sum.defined() ? Lowered{{y}, e.sum, r, {}, {e.sum}} : Lowered{{y}, y};
  };
  d.reference = [](const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
    RefTensor y = ref_zeros(g.type(n.results[0]), batch);
    for (size_t i = 0; i < in[0].data.size(); ++i)
      y.data[i / classes(in)] -= target(n, in, i) * std::log(std::clamp(in[0].data[i], kClip, kMost));
    return Tensors{y};
  };
  return d;
}

OpDef crossentropy_grad() {
  OpDef d =
      backward("crossentropy_grad",
               "Gradient of crossentropy: -t[c] / p[c] * dy where p is not clipped; else 0. Operands p, label, dy.",
               Kind::window, 3);
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const Coordinates v(ctx);
    Func dx("crossentropy_grad");
    const Expr p = ctx.in[0](v.all);
    dx(v.all) =
        select(exact::less(p, lit(kClip)) || exact::less(lit(kMost), p), 0.0f, -target(ctx, v) * ctx.in[2](v.row) / p);
    return Lowered{{dx}, dx};
  };
  d.reference = [](const Node& n, const Graph&, const Tensors& in, int64_t) {
    RefTensor dx = in[0];
    for (size_t i = 0; i < dx.data.size(); ++i) {
      const double p = in[0].data[i];
      dx.data[i] = p < kClip || p > kMost ? 0 : -target(n, in, i) * in[2].data[i / classes(in)] / p;
    }
    return Tensors{dx};
  };
  return d;
}

/// The largest score of the wrong classes, and the first class that has it (C: there is no other class).
struct Rival {
  RDom r;
  Func score, at;
};
Rival rival(const LowerContext& ctx, const Coordinates& v) {
  const int C = classes(ctx);
  Rival w{RDom(0, C, "r"), Func("rival_score"), Func("rival")};
  const Expr c = w.r.x, x = ctx.in[0](v.with(c)), wrong = c != label_at(ctx, v);
  w.score(v.row) = exact::lowest();
  w.score(v.row) = max(w.score(v.row), select(wrong, x, exact::lowest()));
  w.at(v.row) = C;
  w.at(v.row) = min(w.at(v.row), select(wrong && x == w.score(v.row), c, C));
  return w;
}
size_t rival(const Tensors& in, size_t row) {
  const size_t C = classes(in), label = label_at(in, row);
  size_t best = C;
  for (size_t c = 0; c < C; ++c) {
    if (c != label && (best == C || in[0].data[row * C + c] > in[0].data[row * C + best])) best = c;
  }
  return best;
}
double hinge(const Tensors& in, size_t row) {
  const size_t C = classes(in), r = rival(in, row);
  return r == C ? 0 : std::max(0.0, 1 + in[0].data[row * C + r] - in[0].data[row * C + label_at(in, row)]);
}

OpDef categorical_hinge() {
  OpDef d = forward("categorical_hinge",
                    "Loss of each row: max(0, 1 + max_{c != label} x[c] - x[label]). Operands scores, label.", 3);
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const Coordinates v(ctx);
    Rival w = rival(ctx, v);
    Func y("categorical_hinge");
    const Expr margin = 1.0f + w.score(v.row) - ctx.in[0](v.with(label_at(ctx, v)));
    y(v.row) = select(w.score(v.row) == exact::lowest(), 0.0f, exact::at_least(margin, 0.0f));
    return Lowered{{y}, w.score, w.r, {}, {w.score}};
  };
  d.reference = [](const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
    RefTensor y = ref_zeros(g.type(n.results[0]), batch);
    for (size_t i = 0; i < y.data.size(); ++i) y.data[i] = hinge(in, i);
    return Tensors{y};
  };
  return d;
}

OpDef categorical_hinge_grad() {
  OpDef d = backward("categorical_hinge_grad",
                     "Gradient of categorical_hinge: where it is not 0, -dy at the label and dy at the largest other. "
                     "Operands scores, label, dy.",
                     Kind::reduction, 5);
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const Coordinates v(ctx);
    Rival w = rival(ctx, v);
    Func dx("categorical_hinge_grad");
    const Expr label = label_at(ctx, v), c = v.all[0], active = 1.0f + w.score(v.row) > ctx.in[0](v.with(label));
    dx(v.all) = select(active, ctx.in[2](v.row), 0.0f) *
                (select(c == w.at(v.row), 1.0f, 0.0f) - select(c == label, 1.0f, 0.0f));
    return Lowered{{dx}, w.at, w.r, {}, {w.score, w.at}};
  };
  d.reference = [](const Node&, const Graph&, const Tensors& in, int64_t) {
    RefTensor dx{in[0].dims, std::vector<double>(in[0].data.size(), 0.0)};
    const size_t C = classes(in);
    for (size_t row = 0; row < in[1].data.size(); ++row) {
      if (hinge(in, row) <= 0) continue;
      dx.data[row * C + label_at(in, row)] -= in[2].data[row];
      dx.data[row * C + rival(in, row)] += in[2].data[row];
    }
    return Tensors{dx};
  };
  return d;
}

OpDef class_weight() {
  OpDef d;
  d.name = "class_weight";
  d.doc = "The weight of each label's class: y = w[label]. Operands label i32[N, ...], w f32[C].";
  d.kind = Kind::gather;
  d.inputs = 2;
  d.no_gradient = "the weights of classes are constants";
  d.cost = per_element(0);
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (in[0].dtype != DType::i32 || !in[0].batched || in[1].dtype != DType::f32 || in[1].batched ||
        in[1].rank() != 1) {
      error = fmt::format("class_weight needs i32[N, ...] and f32[C], not {}", list_types(in));
      return false;
    }
    out = {f32(in[0].dims, true)};
    return true;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const std::vector<Var> v = vars_of(ctx.in_type(0));
    Func y("class_weight");
    y(v) = ctx.in[1](clamp(ctx.in[0](v), 0, static_cast<int>(ctx.in_type(1).dims[0]) - 1));
    return Lowered{{y}};
  };
  d.reference = [](const Node&, const Graph&, const Tensors& in, int64_t) {
    RefTensor y = in[0];
    for (double& v : y.data)
      v = in[1].data[static_cast<size_t>(std::clamp<int64_t>(static_cast<int64_t>(v), 0, in[1].dims[0] - 1))];
    return Tensors{y};
  };
  return d;
}

/// Each row's cross-entropy, from the logits where they are there.
ValueId crossentropy_of(Graph& g, const OpTable& ops, ValueId output, ValueId label, bool from_logits,
                        double smoothing) {
  const ValueId logits = from_logits ? output : operand_of(g, output, "softmax");
  const char* op = logits != kNone ? "softmax_crossentropy" : "crossentropy";
  const bool alone = g.type(output).rank() == 1;
  return g.add(ops.at(op), {logits != kNone ? logits : output, label}, {{"smoothing", smoothing}}, kNone,
               alone ? "loss_of_sample" : "loss_of_row");
}

ValueId weighted(Graph& g, const OpTable& ops, ValueId each, ValueId label, const std::vector<double>& weights) {
  if (weights.empty()) return each;
  Variable v;
  v.name = g.unique_name("class_weights");
  v.role = Role::constant;
  v.literal.assign(weights.begin(), weights.end());
  const ValueId w = g.add_variable(v, f32({static_cast<int64_t>(weights.size())}, false));
  return g.add(ops.at("mul"), {each, g.add(ops.at("class_weight"), {label, w}, {}, kNone, "weight_of_row")}, {}, kNone,
               "weighted_loss");
}

/// An output of two classes or more in its last dim.
bool check_classes(const Graph& g, ValueId output, const char* loss, std::string& error, std::string& help) {
  if (!check_output(g, output, loss, 1, error, help)) return false;
  if (g.type(output).dims.back() > 1) return true;
  error = fmt::format("{} needs an output for each class, but the output is {}", loss, shape_for_user(g.type(output)));
  help = "for two classes by one output use binary_crossentropy";
  return false;
}

const char* const kWeightsDoc = "one number for each class: how much its rows count; none: all alike";

LossDef crossentropy_loss(const char* name, const char* doc) {
  LossDef l;
  l.name = name;
  l.doc = doc;
  l.args = {from_logits_arg(), smoothing_arg(), class_weights_arg(kWeightsDoc)};
  l.label_type = class_labels;
  l.expects = [](const std::vector<ArgValue>& a) {
    return std::get<bool>(a[0]) ? Meaning::scores : Meaning::distribution;
  };
  l.check = [name](const Graph& g, ValueId output, const std::vector<ArgValue>& a, std::string& error,
                   std::string& help) {
    return check_classes(g, output, name, error, help) &&
           check_logits(g, output, name, std::get<bool>(a[0]), "softmax", "Softmax", error, help) &&
           check_weights(std::get<std::vector<double>>(a[2]), g.type(output).dims.back(), name, error, help);
  };
  l.build = [](Graph& g, const OpTable& ops, ValueId output, ValueId label, const std::vector<ArgValue>& a) {
    const ValueId each = crossentropy_of(g, ops, output, label, std::get<bool>(a[0]), std::get<double>(a[1]));
    return mean_loss(g, ops, weighted(g, ops, each, label, std::get<std::vector<double>>(a[2])));
  };
  return l;
}

LossDef focal_loss() {
  LossDef l;
  l.name = "categorical_focal";
  l.doc =
      "Cross-entropy in which rows that are right already count little (Lin et al. 2017): -alpha * (1 - "
      "p[label])^gamma * log(p[label]), "
      "the mean over rows and batch.";
  l.args = {gamma_arg(),
            {"alpha", ArgType::number, ArgValue{0.25}, 1e-6, 1e6, {}, "a factor of all"},
            from_logits_arg(),
            class_weights_arg(kWeightsDoc)};
  l.label_type = class_labels;
  l.expects = [](const std::vector<ArgValue>& a) {
    return std::get<bool>(a[2]) ? Meaning::scores : Meaning::distribution;
  };
  l.check = [](const Graph& g, ValueId output, const std::vector<ArgValue>& a, std::string& error, std::string& help) {
    return check_classes(g, output, "categorical_focal", error, help) &&
           check_logits(g, output, "categorical_focal", std::get<bool>(a[2]), "softmax", "Softmax", error, help) &&
           check_weights(std::get<std::vector<double>>(a[3]), g.type(output).dims.back(), "categorical_focal", error,
                         help);
  };
  l.build = [](Graph& g, const OpTable& ops, ValueId output, ValueId label, const std::vector<ArgValue>& a) {
    ValueId each = crossentropy_of(g, ops, output, label, std::get<bool>(a[2]), 0);
    each = g.add(ops.at("focal"), {each}, {{"gamma", std::get<double>(a[0])}}, kNone, "focal_loss");
    each = g.add(ops.at("scale"), {each}, {{"factor", std::get<double>(a[1])}}, kNone, "focal_share");
    return mean_loss(g, ops, weighted(g, ops, each, label, std::get<std::vector<double>>(a[3])));
  };
  return l;
}

LossDef hinge_loss() {
  LossDef l;
  l.name = "categorical_hinge";
  l.doc =
      "The label's score is to be 1 above every other: max(0, 1 + max_{c != label} x[c] - x[label]), the mean over "
      "rows and batch. The output is scores, without Softmax.";
  l.args = {};
  l.label_type = class_labels;
  l.expects = [](const std::vector<ArgValue>&) { return Meaning::scores; };
  l.check = [](const Graph& g, ValueId output, const std::vector<ArgValue>&, std::string& error, std::string& help) {
    return check_classes(g, output, "categorical_hinge", error, help);
  };
  l.build = [](Graph& g, const OpTable& ops, ValueId output, ValueId label, const std::vector<ArgValue>&) {
    return mean_loss(g, ops, g.add(ops.at("categorical_hinge"), {output, label}, {}, kNone, "hinge_of_row"));
  };
  return l;
}

}  // namespace

void add_class_loss(Registry& r) {
  static const OpDef ops[] = {softmax_crossentropy(), softmax_crossentropy_grad(), crossentropy(), crossentropy_grad(),
                              categorical_hinge(),    categorical_hinge_grad(),    class_weight()};
  static const LossDef losses[] = {
      crossentropy_loss(
          "categorical_crossentropy",
          "Cross-entropy of class probabilities with the label's class: -log(p[label]), the mean over rows and batch. "
          "The last dim holds the classes; each row of an output such as f32[T, C] or f32[H, W, C] has a label of its "
          "own."),
      crossentropy_loss("sparse_categorical_crossentropy",
                        "The same as categorical_crossentropy: labels are class indices in both."),
      focal_loss(), hinge_loss()};
  for (const OpDef& op : ops) r.ops.ops.push_back(&op);
  for (const LossDef& l : losses) r.losses.push_back(&l);
}

}  // namespace netc::ops
