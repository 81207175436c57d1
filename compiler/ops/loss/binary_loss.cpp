// Losses of yes and no: each output answers one question. One output f32[1] has a class index as its label, 0 or 1; any
// other output has targets of its own type, 0 or 1 each (several labels at once, masks). After a sigmoid the loss is
// taken from its operand, without overflow.
#include "compiler/ops/elementwise/exact.h"
#include "compiler/ops/loss/loss.h"
#include "compiler/ops/algorithm.h"

namespace netc::ops {
namespace {

OpDef binary_target() {
  OpDef d;
  d.name = "binary_target";
  d.doc = "A class index as a target: 0 for class 0, else 1. i32[N, ...] -> f32[N, ...].";
  d.no_gradient = "labels are data";
  d.cost = per_element(1);
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (in[0].dtype != DType::i32) error = fmt::format("binary_target needs i32[N, ...], not {}", to_string(in[0]));
    out = {f32(in[0].dims, in[0].batched)};
    return in[0].dtype == DType::i32;
  };
  lowering(d).scalar = [](const LowerContext&, const Exprs& in, const Exprs&) {
    return Exprs{select(in[0] != 0, 1.0f, 0.0f)};
  };
  d.reference = pointwise([](const Node&, const Graph&, const std::vector<double>& v, int64_t) {
    return std::vector<double>{v[0] != 0 ? 1.0 : 0.0};
  });
  return d;
}

/// 1 - p, kept off 0, where a gamma below 1 has no slope.
constexpr float kLeastBase = 1e-7f;
// targets beyond 0 and 1 make l < 0
Expr focal_base(const Expr& l) {
  return exact::at_least(-exact::expm1_of_negative(-exact::at_least(l, 0.0f)), kLeastBase);
}
double focal_base(double l) { return std::max(-std::expm1(-l), static_cast<double>(kLeastBase)); }

OpDef focal() {
  OpDef d;
  d.name = "focal";
  d.doc = "A cross-entropy l = -log(p), less where p is near 1: y = (1 - exp(-l))^gamma * l = -(1 - p)^gamma * log(p).";
  d.shape = same_type();
  d.cost = per_element(30);
  lowering(d).scalar = [](const LowerContext& ctx, const Exprs& in, const Exprs&) {
    return Exprs{exact::pow(focal_base(in[0]), lit(ctx.node.attrs.f("gamma"))) * in[0]};
  };
  d.reference = pointwise([](const Node& n, const Graph&, const std::vector<double>& v, int64_t) {
    return std::vector<double>{std::pow(focal_base(v[0]), n.attrs.f("gamma")) * v[0]};
  });
  d.gradient = [](const GradContext& g) {
    return std::vector<ValueId>{g.emit("focal_grad", {g.in(0), g.grads_out[0]}, g.n().attrs)};
  };
  return d;
}

OpDef focal_grad() {
  OpDef d;
  d.name = "focal_grad";
  d.doc =
      "Gradient of focal: ((1 - e)^gamma + gamma * (1 - e)^(gamma - 1) * e * l) * dy, e = exp(-l); without the second "
      "term where 1 - e is kept off 0. Operands l, dy.";
  d.inputs = 2;
  d.no_gradient = kNoSecond;
  d.shape = same_type(1);
  d.cost = per_element(56);
  lowering(d).scalar = [](const LowerContext& ctx, const Exprs& in, const Exprs&) {
    const Expr base = focal_base(in[0]), gamma = lit(ctx.node.attrs.f("gamma"));
    const Expr of_base = gamma * exact::pow(base, gamma - 1.0f) * exact::exp_of_negative(-in[0]) * in[0];
    return Exprs{(exact::pow(base, gamma) + select(base > kLeastBase, of_base, 0.0f)) * in[1]};
  };
  d.reference = pointwise([](const Node& n, const Graph&, const std::vector<double>& v, int64_t) {
    const double base = focal_base(v[0]), gamma = n.attrs.f("gamma");
    const double of_base =
        base > static_cast<double>(kLeastBase) ? gamma * std::pow(base, gamma - 1) * std::exp(-v[0]) * v[0] : 0;
    return std::vector<double>{(std::pow(base, gamma) + of_base) * v[1]};
  });
  return d;
}

bool one(const Type& output) { return output.rank() == 1 && output.dims[0] == 1; }

/// Answers and targets of one shape, and the operators that losses of them are built of.
struct Questions {
  Graph& g;
  const OpTable& ops;
  ValueId x, t;
  bool logits = false;  // x is what the output's sigmoid was taken of
  Questions(Graph& graph, const OpTable& table, ValueId output, ValueId label)
      : g(graph),
        ops(table),
        x(output),
        t(label) {
    if (!one(g.type(output))) return;
    x = add("reshape", {output}, {{"dims", std::vector<int64_t>{}}}, "answer");
    t = add("binary_target", {label}, {}, "target");
  }
  static Questions of_probabilities(Graph& g, const OpTable& ops, ValueId output, ValueId label, bool from_logits) {
    const ValueId logits = from_logits ? output : operand_of(g, output, "sigmoid");
    Questions q(g, ops, logits == kNone ? output : logits, label);
    q.logits = logits != kNone;
    return q;
  }
  ValueId add(const char* op, std::vector<ValueId> in, Attrs a, const char* name) {
    return g.add(ops.at(op), std::move(in), std::move(a), kNone, name);
  }
  /// `zero` for targets of 0, `one` for those of 1.
  ValueId of_target(double zero, double one, const char* name) {
    return add("rescale", {t}, {{"scale", one - zero}, {"offset", zero}}, name);
  }
  ValueId crossentropy(ValueId target) {
    return add(logits ? "sigmoid_crossentropy" : "binary_crossentropy", {x, target}, {}, "loss_of_element");
  }
  ValueId weighted(ValueId each, double zero, double one) {
    return add("mul", {each, of_target(zero, one, "weight_of_element")}, {}, "weighted_loss");
  }
  ValueId mean(ValueId each) { return mean_loss(g, ops, each); }
};

LossDef binary(const char* name, const char* doc) {
  LossDef l;
  l.name = name;
  l.doc = fmt::format(
      "{} An output f32[1] has class 0 or 1 as its label; any other has targets of its own type, each from 0 to 1.",
      doc);
  l.least = 0, l.most = 1;
  l.label_type = [](const Type& output) { return one(output) ? Type{DType::i32, true, {}} : output; };
  l.check = [name](const Graph& g, ValueId output, const std::vector<ArgValue>&, std::string& error,
                   std::string& help) { return check_output(g, output, name, 0, error, help); };
  return l;
}

LossDef crossentropy_loss() {
  static const char* const me = "binary_crossentropy";
  LossDef l = binary(me, "Binary cross-entropy: the mean of -(t * log(p) + (1 - t) * log(1 - p)).");
  l.args = {from_logits_arg(), smoothing_arg(),
            class_weights_arg("two numbers: how much targets of 0 and of 1 count; none: alike")};
  l.expects = [](const std::vector<ArgValue>& a) {
    return std::get<bool>(a[0]) ? Meaning::scores : Meaning::probability;
  };
  l.check = [](const Graph& g, ValueId output, const std::vector<ArgValue>& a, std::string& error, std::string& help) {
    return check_output(g, output, me, 0, error, help) &&
           check_logits(g, output, me, std::get<bool>(a[0]), "sigmoid", "Sigmoid", error, help) &&
           check_weights(std::get<std::vector<double>>(a[2]), 2, me, error, help);
  };
  l.build = [](Graph& g, const OpTable& ops, ValueId output, ValueId label, const std::vector<ArgValue>& a) {
    Questions q = Questions::of_probabilities(g, ops, output, label, std::get<bool>(a[0]));
    const double s = std::get<double>(a[1]);
    const auto& w = std::get<std::vector<double>>(a[2]);
    const ValueId each = q.crossentropy(s == 0 ? q.t : q.of_target(s / 2, 1 - s / 2, "smooth_target"));
    return q.mean(w.empty() ? each : q.weighted(each, w[0], w[1]));
  };
  return l;
}

LossDef focal_loss() {
  static const char* const me = "binary_focal";
  LossDef l = binary(
      me,
      "Binary cross-entropy in which what is right already counts little (Lin et al. 2017): the mean of -a * (1 - "
      "q)^gamma * log(q), "
      "where q is the probability given to the truth and a is alpha for targets of 1, 1 - alpha for those of 0.");
  l.args = {gamma_arg(),
            {"alpha", ArgType::number, ArgValue{0.25}, 0, 1, {}, "how much targets of 1 count; 1 - alpha: those of 0"},
            from_logits_arg()};
  l.expects = [](const std::vector<ArgValue>& a) {
    return std::get<bool>(a[2]) ? Meaning::scores : Meaning::probability;
  };
  l.check = [](const Graph& g, ValueId output, const std::vector<ArgValue>& a, std::string& error, std::string& help) {
    return check_output(g, output, me, 0, error, help) &&
           check_logits(g, output, me, std::get<bool>(a[2]), "sigmoid", "Sigmoid", error, help);
  };
  l.build = [](Graph& g, const OpTable& ops, ValueId output, ValueId label, const std::vector<ArgValue>& a) {
    Questions q = Questions::of_probabilities(g, ops, output, label, std::get<bool>(a[2]));
    const ValueId each = q.add("focal", {q.crossentropy(q.t)}, {{"gamma", std::get<double>(a[0])}}, "focal_loss");
    const double alpha = std::get<double>(a[1]);
    return q.mean(q.weighted(each, 1 - alpha, alpha));
  };
  return l;
}

LossDef hinge_loss(const char* name, const char* doc) {
  LossDef l = binary(name, doc);
  l.expects = [](const std::vector<ArgValue>&) { return Meaning::scores; };
  l.build = [name](Graph& g, const OpTable& ops, ValueId output, ValueId label, const std::vector<ArgValue>&) {
    Questions q(g, ops, output, label);
    return q.mean(q.add(name, {q.x, q.of_target(-1, 1, "sign")}, {}, "loss_of_element"));
  };
  return l;
}

LossDef contrastive_loss() {
  LossDef l = binary("contrastive",
                     "Of the distance d of two samples (Hadsell et al. 2006), label 0: alike, 1: different: the mean "
                     "of (1 - t) * d^2 + t * max(0, margin - d)^2.");
  l.args = {{"margin",
             ArgType::number,
             ArgValue{1.0},
             1e-6,
             1e6,
             {},
             "the distance from which different samples are far enough"}};
  l.build = [](Graph& g, const OpTable& ops, ValueId output, ValueId label, const std::vector<ArgValue>& a) {
    Questions q(g, ops, output, label);
    return q.mean(q.add("contrastive", {q.x, q.t}, {{"margin", std::get<double>(a[0])}}, "loss_of_element"));
  };
  return l;
}

}  // namespace

void add_binary_loss(Registry& r) {
  static const OpDef ops[] = {binary_target(), focal(), focal_grad()};
  static const LossDef losses[] = {
      crossentropy_loss(), focal_loss(),
      hinge_loss(
          "hinge",
          "The score is to be above 1 for class 1, below -1 for class 0: the mean of max(0, 1 - s * y), s = 2t - 1."),
      hinge_loss("squared_hinge", "The square of hinge: the mean of max(0, 1 - s * y)^2, s = 2t - 1."),
      contrastive_loss()};
  for (const OpDef& op : ops) r.ops.ops.push_back(&op);
  for (const LossDef& l : losses) r.losses.push_back(&l);
}

}  // namespace netc::ops
