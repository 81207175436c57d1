// The mean of a loss: over the positions of a sample, then over the batch; and what the losses share.
#include "compiler/ops/loss/loss.h"
#include "compiler/ops/algorithm.h"

#include "compiler/base/counted.h"
#include "compiler/ir/remedies.h"

namespace netc::ops {
namespace {

OpDef sample_mean() {
  OpDef d;
  d.name = "sample_mean";
  d.doc = "Mean over all elements of each sample: f32[N, ...] -> f32[N].";
  d.kind = Kind::reduction;
  d.cost = per_input_element(0, 1);
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (in[0].dtype != DType::f32 || !in[0].batched || in[0].rank() == 0 || in[0].has_any_extent()) {
      error = fmt::format("sample_mean needs f32[N, ...] of known extents, not {}", to_string(in[0]));
      return false;
    }
    out = {f32({}, true)};
    return true;
  };
  // Sums of slices along the outermost dim, then of those: a long chain of additions would lose digits.
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const Type& t = ctx.in_type(0);
    const int outer = static_cast<int>(t.dims[0]);
    Var n("n"), slice("slice");
    Func part("sample_mean_slice"), sum("sample_mean_sum"), y("sample_mean");
    RDom r(0, outer, "r");
    sum(n) = 0.0f;
    if (t.rank() > 1) {
      const std::vector<Halide::Range> ranges = ranges_of(t, ctx.batch);
      RDom inner(std::vector<Halide::Range>(ranges.begin(), ranges.end() - 2), "inner");
      Exprs at;
      for (int i = 0; i < inner.dimensions(); ++i) at.push_back(inner[i]);
      at.push_back(slice);
      at.push_back(n);
      part(slice, n) = 0.0f;
      part(slice, n) += ctx.in[0](at);
    }
    sum(n) += t.rank() > 1 ? part(r, n) : ctx.in[0](r, n);
    y(n) = sum(n) * lit(1 / elements(t));
    Lowered l{{y}, sum, r};
    if (t.rank() > 1) l.folds.push_back(part);
    return l;
  };
  d.reference = [](const Node&, const Graph&, const Tensors& in, int64_t batch) {
    RefTensor y{{batch}, std::vector<double>(static_cast<size_t>(batch), 0.0)};
    const size_t each = in[0].data.size() / y.data.size();
    for (size_t i = 0; i < in[0].data.size(); ++i) y.data[i / each] += in[0].data[i] / static_cast<double>(each);
    return Tensors{y};
  };
  d.gradient = [](const GradContext& g) {
    const Type x = g.graph.type(g.in(0));
    const ValueId share = g.emit("scale", {g.grads_out[0]}, {{"factor", 1 / elements(x)}});
    return std::vector<ValueId>{g.emit("spread", {share}, {{"dims", x.dims}})};
  };
  return d;
}

OpDef spread() {
  OpDef d;
  d.name = "spread";
  d.doc = "Every element of a sample is the sample's one number: f32[N] -> f32[N, dims...].";
  d.kind = Kind::gather;
  d.cost = per_element(0);
  d.no_gradient = kNoSecond;
  d.shape = [](Types in, const Attrs& a, std::vector<Type>& out, std::string& error) {
    const Type t = f32(a.ints("dims"), true);
    if (in[0] != f32({}, true) || t.has_any_extent()) {
      error = fmt::format("spread cannot make {} of {}", to_string(t), to_string(in[0]));
      return false;
    }
    out = {t};
    return true;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    const std::vector<Var> v = vars_of(ctx.out_type());
    Func y("spread");
    y(v) = ctx.in[0](v.back());
    return Lowered{{y}};
  };
  d.reference = [](const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
    RefTensor y = ref_zeros(g.type(n.results[0]), batch);
    for (size_t i = 0; i < y.data.size(); ++i) y.data[i] = in[0].data[i / (y.data.size() / in[0].data.size())];
    return Tensors{y};
  };
  return d;
}

OpDef batch_mean_of() {
  OpDef d;
  d.name = "batch_mean_of";
  d.doc = "Mean over the batch of one number per sample: f32[N] -> f32[].";
  d.kind = Kind::reduction;
  d.cost = [](const Node&, const Graph&) { return Cost{0, 1}; };
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (in[0] != f32({}, true)) {
      error = fmt::format("batch_mean_of needs f32[N], not {}", to_string(in[0]));
      return false;
    }
    out = {f32({}, false)};
    return true;
  };
  lowering(d).algorithm = [](const LowerContext& ctx) {
    RDom r(0, ctx.batch, "r");
    Func sum("batch_mean_of_sum"), y("batch_mean_of");
    sum() = 0.0f;
    sum() += ctx.in[0](r);
    y() = sum() / cast<float>(ctx.batch);
    return Lowered{{y}, sum, r};
  };
  d.reference = [](const Node&, const Graph&, const Tensors& in, int64_t batch) {
    double sum = 0;
    for (double v : in[0].data) sum += v;
    return Tensors{RefTensor{{}, {sum / static_cast<double>(batch)}}};
  };
  d.gradient = [](const GradContext& g) {
    return std::vector<ValueId>{g.emit("batch_mean_of_grad", {g.grads_out[0], g.in(0)})};
  };
  return d;
}

OpDef batch_mean_of_grad() {
  OpDef d;
  d.name = "batch_mean_of_grad";
  d.doc = "Gradient of batch_mean_of: dy / N for every sample. Operands dy, x (its shape only).";
  d.inputs = 2;
  d.no_gradient = kNoSecond;
  d.cost = per_element(1);
  d.shape = [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    if (in[0] != f32({}, false) || in[1] != f32({}, true)) {
      error = fmt::format("batch_mean_of_grad needs f32[] and f32[N], not {}", list_types(in));
      return false;
    }
    out = {f32({}, true)};
    return true;
  };
  lowering(d).scalar = [](const LowerContext& ctx, const Exprs& in, const Exprs&) {
    return Exprs{in[0] / cast<float>(ctx.batch)};
  };
  d.reference = [](const Node&, const Graph&, const Tensors& in, int64_t batch) {
    return Tensors{
        RefTensor{{batch},
                  std::vector<double>(static_cast<size_t>(batch), in[0].data[0] / static_cast<double>(batch))}};
  };
  return d;
}

}  // namespace

Type class_labels(const Type& rows) {
  Type t{DType::i32, true, rows.dims};
  if (!t.dims.empty()) t.dims.pop_back();
  return t;
}

ValueId mean_loss(Graph& g, const OpTable& ops, ValueId each) {
  if (g.type(each).rank() > 0) each = g.add(ops.at("sample_mean"), {each}, {}, kNone, "loss_of_sample");
  return g.add(ops.at("batch_mean_of"), {each}, {}, kNone, "loss_of_data");
}

ValueId operand_of(const Graph& g, ValueId value, const char* name) {
  const NodeId def = g.values[value].def;
  return def != kNone && g.nodes[def].op->name == name ? g.nodes[def].inputs[0] : kNone;
}

bool check_output(const Graph& g, ValueId output, const char* loss, int rank, std::string& error, std::string& help) {
  const Type& t = g.type(output);
  if (t.dtype == DType::f32 && t.batched && !t.has_any_extent() && t.rank() >= rank) return true;
  error = fmt::format("{} needs an output of f32 values{}, but it is {}", loss,
                      rank > 0 ? fmt::format(" with {} or more", counted(rank, "dimension")) : "", shape_for_user(t));
  help = type_remedy(t);
  return false;
}

bool check_logits(const Graph& g, ValueId output, const char* loss, bool from_logits, const char* op,
                  const char* activation, std::string& error, std::string& help) {
  if (!from_logits || operand_of(g, output, op) == kNone) return true;
  error = fmt::format("{} is to take logits (from_logits = true), but the output comes from {}", loss, activation);
  help = fmt::format("leave from_logits out: after {} the loss is computed from the logits anyway", activation);
  return false;
}

bool check_weights(const std::vector<double>& weights, int64_t classes, const char* loss, std::string& error,
                   std::string& help) {
  if (weights.empty() || static_cast<int64_t>(weights.size()) == classes) return true;
  error = fmt::format("class_weights of {} has {}, but there are {}", loss, counted(weights.size(), "number"),
                      counted(classes, "class"));
  std::string ones = "1";
  for (int64_t i = 1; i < std::min<int64_t>(classes, 8); ++i) ones += ", 1";
  help = fmt::format("give one weight for each class: class_weights = [{}{}]", ones, classes > 8 ? ", ..." : "");
  return false;
}

ArgDef from_logits_arg() {
  return {"from_logits",
          ArgType::boolean,
          ArgValue{false},
          -1e300,
          1e300,
          {},
          "the output is scores before the activation, not probabilities"};
}
ArgDef smoothing_arg() {
  return {"label_smoothing",
          ArgType::number,
          ArgValue{0.0},
          0,
          0.999999,
          {},
          "this share of the target is spread evenly over the classes"};
}
ArgDef class_weights_arg(const char* doc) {
  return {"class_weights", ArgType::numbers, ArgValue{std::vector<double>{}}, 0, 1e6, {}, doc};
}
ArgDef gamma_arg() {
  return {
      "gamma", ArgType::number, ArgValue{2.0}, 0, 100, {}, "how much less what is right already counts; 0: no less"};
}

void add_loss(Registry& r) {
  static const OpDef ops[] = {sample_mean(), spread(), batch_mean_of(), batch_mean_of_grad()};
  for (const OpDef& op : ops) r.ops.ops.push_back(&op);
}

}  // namespace netc::ops
