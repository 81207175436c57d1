// Expressions of tensors: operators and functions of the registry's table, and the operators that users define with
// them.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "compiler/base/counted.h"
#include "compiler/ir/remedies.h"
#include "compiler/sema/elaborator.h"

namespace netc::sema {
namespace {
using K = Value::Kind;
constexpr double kMaxElements = 2147483647;  // of one tensor of one sample: indices have 32 bits
constexpr double kMaxWeights = 1e12;
constexpr size_t kMaxNodes = 100000;
constexpr int kMaxDepth = 800;

const std::vector<std::string>& axis_words() {
  static const std::vector<std::string> all(std::begin(ir::kAxisWords), std::end(ir::kAxisWords));
  return all;
}

}  // namespace

bool Elaborator::fits(const ir::Type& t, const std::string& what, Span span) {
  double n = 1;
  for (const int64_t d : t.dims) n *= static_cast<double>(std::max<int64_t>(d, 1));
  if (n <= kMaxElements) return true;
  fail(DiagId::too_much_work, span,
       fmt::format("{} is {}: a tensor has at most {} elements", what, ir::shape_for_user(t),
                   grouped(static_cast<int64_t>(kMaxElements))));
  return false;
}

bool Elaborator::room_for_nodes(Span span) {
  if (weights_ > kMaxWeights && !exhausted_)
    fail(DiagId::too_much_work, span,
         fmt::format("the weights have more than {} elements together", grouped(static_cast<int64_t>(kMaxWeights))));
  if (graph_->nodes.size() > kMaxNodes && !exhausted_)
    fail(DiagId::too_much_work, span, fmt::format("the net has more than {} operations", grouped(kMaxNodes)));
  exhausted_ = exhausted_ || weights_ > kMaxWeights || graph_->nodes.size() > kMaxNodes;
  return !exhausted_;
}

int32_t Elaborator::add_layer(ir::Layer layer, Span span, std::string call) {
  layer.text = source(span), layer.line = diagnostics_.file_of(span).place(span.begin).line;
  graph_->layers.push_back(std::move(layer));
  sources_.push_back({span, std::move(call)});
  return static_cast<int32_t>(graph_->layers.size()) - 1;
}

void Elaborator::open_formula(Span span, const std::string& kind) { formula_ = {true, span, kind, ir::kNone}; }

Value Elaborator::close_formula(Value v) {
  if (formula_.layer != ir::kNone && v.is(K::tensor)) graph_->layers[formula_.layer].output = v.tensor;
  formula_ = {};
  return v;
}

const ir::FunctionDef* Elaborator::find_function(const std::string& name) const {
  for (const ir::FunctionDef* f : registry_.functions)
    if (f->name == name) return f;
  return nullptr;
}

bool Elaborator::representable(double v, Span span) {
  using Limits = std::numeric_limits<float>;
  if (std::abs(v) > static_cast<double>(Limits::max())) {
    fail(DiagId::bad_number, span,
         fmt::format("{} is beyond float32, whose largest number is {:.3g}", v, Limits::max()));
    return false;
  }
  if (v != 0 && std::abs(v) < static_cast<double>(Limits::min()))
    fail(DiagId::tiny_number, span, fmt::format("{}", v),
         static_cast<float>(v) == 0 ? "it is 0 there" : "few of its digits are kept");
  return true;
}

ir::ValueId Elaborator::constant(double v, Span span) {
  if (!representable(v, span)) return ir::kNone;
  const auto [it, added] = constants_.emplace(v, ir::kNone);
  if (!added) return it->second;
  ir::Variable c;
  c.name = fmt::format("{}", v), c.role = ir::Role::constant, c.literal = {static_cast<float>(v)};
  return it->second = graph_->add_variable(std::move(c), ir::Type{ir::DType::f32, false, {}});
}

Value Elaborator::tensor_function(const ir::FunctionDef& f, const std::vector<Value>& operands,
                                  const std::vector<int64_t>& axes, Span span) {
  const int have = static_cast<int>(operands.size());
  if (have < f.min_args || have > f.max_args) {
    const std::string takes = f.min_args == f.max_args ? counted(f.min_args, "operand")
                                                       : fmt::format("{} to {} operands", f.min_args, f.max_args);
    fail(DiagId::operand_count, span, f.name, takes, are(have));
    return {};
  }
  std::vector<ir::ValueId> in;
  for (const Value& v : operands) {
    if (v.is(K::tensor)) in.push_back(v.tensor);
    else if (v.numeric()) in.push_back(constant(v.real(), span));
    else {
      std::vector<std::string> kinds;
      for (const Value& o : operands) kinds.push_back(kind_of(o));
      fail(DiagId::operator_type, span, f.name, fmt::format("{}", fmt::join(kinds, " and ")));
      return {};
    }
  }
  if (std::count(in.begin(), in.end(), ir::kNone) > 0 || !room_for_nodes(span)) return {};
  if (formula_.layer == ir::kNone) {
    ir::Layer record;
    record.kind = formula_.kind.empty() ? "expression" : formula_.kind;
    std::string prefix;
    for (const char c : record.kind) prefix += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    LayerValue named;
    give_name(named, prefix);
    record.name = named.name;
    formula_.layer = add_layer(record, formula_.span, record.kind);
  }
  std::string error;
  const ir::ValueId out = f.build(*graph_, registry_.ops, in, axes, formula_.layer, error);
  if (out == ir::kNone) {
    Diagnostic& d =
        fail(DiagId::layer_error, span, error.empty() ? fmt::format("{} does not take these operands", f.name) : error);
    for (const ir::ValueId v : in)
      if (const std::string remedy = ops::type_remedy(graph_->type(v)); !remedy.empty() && d.help.empty())
        d.help.push_back(remedy);
    return {};
  }
  if (!fits(graph_->type(out), "the result of " + f.name, span)) return {};
  return Value::of_tensor(out);
}

std::optional<int64_t> Elaborator::axis(const Value& v, int rank, Span span) {
  const size_t word = std::find(axis_words().begin(), axis_words().end(), v.text) - axis_words().begin();
  int64_t at = v.is(K::integer) ? v.integer : -1;
  if (v.is(K::string) && word < axis_words().size()) at = rank - 1 - static_cast<int64_t>(word);
  else if (v.is(K::integer) && at < 0) at += rank;
  else if (!v.is(K::integer)) {
    const std::string choices = fmt::format("{}, or an integer", fmt::join(axis_words(), ", "));
    suggest(fail(DiagId::argument_choice, span, "an axis", "a reduction", choices, show(v)), v.text, axis_words());
    return std::nullopt;
  }
  if (at >= 0 && at < rank) return at;
  fail(DiagId::bad_index, span,
       fmt::format("{} is no axis of a tensor of {}", v.is(K::string) ? v.text : show(v), counted(rank, "dimension")));
  return std::nullopt;
}

Value Elaborator::named_call(const std::string& name, const ast::Expr& e, const EnvPtr& env) {
  const ir::FunctionDef* f = find_function(name);
  std::vector<Value> operands, axes;
  std::vector<Span> axis_spans;
  bool tensors = false, ok = true;
  for (const ast::Arg& a : e.args) {
    if (!a.name.empty() && !(f && f->reduces && a.name == "axis")) {
      fail(DiagId::unknown_argument, a.span, name, a.name);
      ok = false;
      continue;
    }
    // Words for axes mean something here only.
    const bool list = a.value->kind == ast::ExprKind::list;
    const auto word = [&](const ast::Expr& x) {
      const bool axis = std::count(axis_words().begin(), axis_words().end(), x.text) > 0,
                 own = env->find(x.text) != nullptr;
      return f && f->reduces && x.kind == ast::ExprKind::name &&
             (own ? axis && (tensors || a.name == "axis") : axis || !operands.empty());
    };
    Value v;
    if (word(*a.value)) {
      v = Value::of_string(a.value->text);
    } else if (list &&
               std::any_of(a.value->items.begin(), a.value->items.end(), [&](const auto& i) { return word(*i); })) {
      std::vector<Value> items;
      for (const auto& i : a.value->items) items.push_back(word(*i) ? Value::of_string(i->text) : eval(*i, env));
      v = Value::of_list(std::move(items));
    } else {
      v = eval(*a.value, env);
    }
    if (v.error()) {
      ok = false;
      continue;
    }
    tensors = tensors || v.is(K::tensor);
    const bool operand = a.name.empty() && axes.empty() &&
                         (v.is(K::tensor) || (v.numeric() && f && static_cast<int>(operands.size()) < f->max_args));
    if (!tensors || operand || !f || !f->reduces) {
      operands.push_back(std::move(v));
    } else if (v.is(K::list)) {
      for (const Value& i : *v.items) axes.push_back(i), axis_spans.push_back(a.span);
    } else {
      axes.push_back(std::move(v)), axis_spans.push_back(a.span);
    }
  }
  if (!ok) return {};
  if (!tensors) return function(name, operands, e.span);
  if (!f) {
    fail(DiagId::operator_type, e.span, name, "a tensor");
    return {};
  }
  std::vector<int64_t> dims;
  const Value* first = nullptr;
  for (const Value& v : operands)
    if (v.is(K::tensor) && !first) first = &v;
  if (!first) return {};
  const int rank = graph_->type(first->tensor).rank();
  for (size_t i = 0; i < axes.size(); ++i) {
    const std::optional<int64_t> d = axis(axes[i], rank, axis_spans[i]);
    if (!d) return {};
    if (std::count(dims.begin(), dims.end(), *d) == 0) dims.push_back(*d);
  }
  if (f->reduces && axes.empty())
    for (int d = 0; d < rank; ++d) dims.push_back(d);
  std::sort(dims.begin(), dims.end());
  return tensor_function(*f, operands, dims, e.span);
}

Value Elaborator::apply_op(const Callable& c, const std::vector<Value>& tensors,
                           const std::map<std::string, Value>& bound, Span span) {
  if (!spend(span)) return {};
  if (depth_ >= kMaxDepth) {
    exhausted_ = true;
    fail(DiagId::too_much_work, span, "operators nest too deeply");
    return {};
  }
  const auto env = std::make_shared<Env>();
  env->parent = c.env, env->kind = Env::Kind::body;
  size_t next = 0;
  depth_ += 2, ++ops_;  // it takes more of the stack than an expression
  context_.push_back({span, fmt::format("in {}, applied here", source(span))});
  Value out;
  if (formula_.open && formula_.layer == ir::kNone && formula_.span.begin == span.begin &&
      formula_.span.end == span.end)
    formula_.kind = c.name();
  const bool outermost = !formula_.open;
  if (outermost) open_formula(span, c.name());
  for (const ast::Param& p : c.params()) {
    const bool tensor = p.type.name.empty() && !p.fallback;
    const auto it = bound.find(p.name);
    declare(env, p.name,
            tensor              ? tensors[next++]
            : it != bound.end() ? it->second
                                : fallback(p, c.name(), env),
            p.span);
  }
  out = eval(*c.op->value, env);
  if (outermost) out = close_formula(std::move(out));
  context_.pop_back();
  depth_ -= 2, --ops_;
  if (out.error() || out.is(K::tensor)) return out;
  fail(DiagId::expected_type, c.op->value->span, "the value of " + c.name(), "a tensor", kind_of(out));
  return {};
}

}  // namespace netc::sema
