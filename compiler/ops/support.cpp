#include "compiler/ops/support.h"

#include <cstdlib>
#include <tuple>

#include "compiler/base/counted.h"
#include "compiler/ir/remedies.h"

namespace netc::ops {

namespace {
std::string listed(Types types, std::string (*text)(const Type&)) {
  std::string s;
  for (size_t i = 0; i < types.size(); ++i)
    s += (i == 0 ? "" : i + 1 == types.size() ? " and " : ", ") + text(types[i]);
  return s;
}
}  // namespace

std::string list_types(Types types) {
  return listed(types, [](const Type& t) { return to_string(t); });
}
std::string list_shapes(Types types) { return listed(types, shape_for_user); }

int64_t spatial(const Type& t) {
  int64_t n = 1;
  for (int i = 0; i + 1 < t.rank(); ++i) n *= t.dims[i];
  return n;
}

double elements(const Type& t) { return t.has_any_extent() ? 0.0 : static_cast<double>(t.elements()); }

ShapeRule same_type(int more) {
  return [more](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    for (int i = 0; i <= more; ++i) {
      if (in[i].dtype != DType::f32 || in[i] != in[0]) {
        error = fmt::format("needs {} f32 operand{} of one type, not {}", more + 1, more ? "s" : "",
                            list_types(in.subspan(0, more + 1)));
        return false;
      }
    }
    out = {in[0]};
    return true;
  };
}

std::optional<Type> broadcast(Types in) {
  Type out = f32({}, false);
  for (const Type& t : in) {
    if (t.dtype != DType::f32) return std::nullopt;
    out.batched = out.batched || t.batched;
    out.dims.resize(std::max(out.dims.size(), t.dims.size()), 1);
  }
  for (int d = 0; d < out.rank(); ++d) {  // from the right
    int64_t extent = 1;
    for (const Type& t : in) {
      const int64_t e = d < t.rank() ? t.dims[t.rank() - 1 - d] : 1;
      if (extent == 1) extent = e;
      else if (e != 1 && e != extent) return std::nullopt;
    }
    out.dims[out.rank() - 1 - d] = extent;
  }
  for (const Type& t : in) {
    if (t.batched && t.rank() != out.rank()) return std::nullopt;
  }
  return out;
}

ShapeRule broadcasting() {
  return [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    const std::optional<Type> t = broadcast(in);
    if (!t) {
      error = fmt::format("cannot combine {}", list_types(in));
      return false;
    }
    out = {*t};
    return true;
  };
}

int64_t broadcast_index(int64_t i, const std::vector<int64_t>& from, const std::vector<int64_t>& to) {
  int64_t index = 0, stride = 1;
  for (size_t d = 1; d <= from.size(); ++d) {  // from the right
    const int64_t extent = from[from.size() - d], in = to[to.size() - d];
    if (extent != 1) index += i % in * stride;
    stride *= extent;
    i /= in;
  }
  return index;
}

std::vector<int64_t> ref_dims(const Type& t, int64_t batch) {
  std::vector<int64_t> d = t.dims;
  if (t.batched) d.insert(d.begin(), batch);
  return d;
}

RefTensor ref_zeros(const Type& t, int64_t batch) {
  RefTensor r{ref_dims(t, batch), {}};
  int64_t n = 1;
  for (int64_t d : r.dims) n *= d;
  r.data.assign(static_cast<size_t>(n), 0.0);
  return r;
}

decltype(OpDef::reference) pointwise(
    std::function<std::vector<double>(const Node&, const Graph&, const std::vector<double>&, int64_t)> fn) {
  return [fn](const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
    Tensors out;
    for (ValueId v : n.results) {
      const Type& t = g.type(v);
      if (t.has_any_extent()) out.push_back(RefTensor{in[0].dims, std::vector<double>(in[0].data.size(), 0.0)});
      else out.push_back(ref_zeros(t, batch));
    }
    std::vector<double> at(in.size());
    for (size_t i = 0; i < out[0].data.size(); ++i) {
      for (size_t j = 0; j < in.size(); ++j) {
        const bool same = in[j].data.size() == out[0].data.size();
        at[j] =
            in[j].data[same ? i
                            : static_cast<size_t>(broadcast_index(static_cast<int64_t>(i), in[j].dims, out[0].dims))];
      }
      const std::vector<double> y = fn(n, g, at, batch);
      for (size_t j = 0; j < out.size(); ++j) out[j].data[i] = y[j];
    }
    return out;
  };
}

decltype(OpDef::cost) per_element(double flops) {
  return [flops](const Node& n, const Graph& g) { return Cost{0, flops * elements(g.type(n.results[0]))}; };
}

decltype(OpDef::cost) per_input_element(int input, double flops) {
  return [input, flops](const Node& n, const Graph& g) { return Cost{0, flops * elements(g.type(n.inputs[input]))}; };
}

ValueId reduce_to(const GradContext& g, ValueId gradient, Type type) {
  const Type from = g.graph.type(gradient);
  std::vector<int64_t> expanded;  // where the operand's extent is 1
  for (int d = 1; d <= type.rank(); ++d) {
    if (type.dims[type.rank() - d] == 1 && from.dims[from.rank() - d] != 1)
      expanded.insert(expanded.begin(), from.rank() - d);
  }
  if (!expanded.empty()) gradient = g.emit("reduce_sum", {gradient}, {{"axes", expanded}});
  if (g.graph.type(gradient) == type) return gradient;
  return g.emit("sum_to", {gradient}, {{"rank", int64_t{type.rank()}}});
}

void add_weight_args(std::vector<ArgDef>& args) {
  const bool bias = std::any_of(args.begin(), args.end(), [](const ArgDef& a) { return a.name == "bias"; });
  args.push_back({"init",
                  ArgType::initializer,
                  ArgValue{Initializer{"glorot_uniform"}},
                  -1e300,
                  1e300,
                  {},
                  "how the weights start"});
  if (bias)
    args.push_back(
        {"bias_init", ArgType::initializer, ArgValue{Initializer{}}, -1e300, 1e300, {}, "how the biases start"});
  args.push_back({"l1", ArgType::number, ArgValue{0.0}, 0, 1000, {}, "adds l1 * sum|w| to the loss"});
  args.push_back({"l2", ArgType::number, ArgValue{0.0}, 0, 1000, {}, "adds l2 * sum(w^2) to the loss"});
  args.push_back({"constraint",
                  ArgType::constraint,
                  ArgValue{Constraint{}},
                  -1e300,
                  1e300,
                  {},
                  "holds for the weights after each update"});
}

Initializer weight_init(LayerBuilder& b, int64_t fan_in, int64_t fan_out) {
  Initializer init = b.initializer("init");
  init.fan_in = fan_in, init.fan_out = fan_out;
  return init;
}

std::string type_remedy(const Type& t, int rank) {
  if (t.dtype == DType::u8 || t.dtype == DType::f32) {
    const bool image = t.rank() == 3 && t.dims[2] != kAnyExtent;
    if (t.has_any_extent())
      return image ? "put Resize(height, width) before it"
                   : "only the height and width of an image may be *: give the other extents";
    return t.dtype == DType::u8 ? "put Rescale(1/255) before it" : "";
  }
  const bool tokens = t.dtype == DType::i32 && !t.has_any_extent() && t.rank() >= 1 && t.rank() <= 3 &&
                      (rank == 0 || rank == t.rank() + 1);
  return tokens ? "numbers of tokens go through Embedding(vocabulary, dim) first; an input of other numbers is "
                  "declared as f32"
                : "declare the input as f32";
}

bool check_extents(LayerBuilder& b, const char* layer) {
  for (const ValueId v : b.in()) {
    const Type& t = b.graph().type(v);
    if (!t.has_any_extent()) continue;
    b.error(fmt::format("{} needs an input whose extents are known, but its input is {}", layer, shape_for_user(t)),
            type_remedy(t));
    return false;
  }
  return true;
}

int axis_of(LayerBuilder& b, const char* layer, const Type& t) {
  const std::string axis = b.s("axis");
  const auto word = std::find(std::begin(kAxisWords), std::end(kAxisWords), axis);
  const int64_t given = word == std::end(kAxisWords) ? std::stoll(axis) : std::begin(kAxisWords) - word - 1;
  const int64_t from_first = given < 0 ? given + t.rank() : given;
  if (from_first >= 0 && from_first < t.rank()) return static_cast<int>(from_first);
  b.error(fmt::format("{} goes along axis {}, but {} has {}", layer, axis, shape_for_user(t),
                      counted(t.rank(), "dimension")),
          "axes are channel (the last), width, height, or numbers from 0 for the first dimension of a sample");
  return kNone;
}

bool check_operand(LayerBuilder& b, const char* layer, int rank) {
  const Type& t = b.in_type();
  if (!check_extents(b, layer)) return false;
  if (t.dtype != DType::f32) {
    b.error(fmt::format("{} needs f32 values, but its input is {}", layer, shape_for_user(t)), type_remedy(t, rank));
    return false;
  }
  if (rank != 0 && t.rank() != rank) {
    b.error(fmt::format("{} needs an input of {}{}, but its input is {}", layer, counted(rank, "dimension"),
                        rank == 3 ? " (height, width, channels)" : "", shape_for_user(t)));
    return false;
  }
  return true;
}

bool check_sequence(LayerBuilder& b, const std::string& layer) {
  if (!check_operand(b, layer.c_str())) return false;
  const Type t = b.in_type();
  if (t.rank() == 2) return true;
  std::string help;
  if (t.rank() == 3) {
    help = fmt::format("Reshape({}, {}) makes a sequence of its pixels, Reshape({}, {}) of its rows",
                       t.dims[0] * t.dims[1], t.dims[2], t.dims[0], t.dims[1] * t.dims[2]);
  }
  b.error(fmt::format("{} needs a sequence f32[T, D], but its input is {}", layer, shape_for_user(t)), help);
  return false;
}

std::pair<int64_t, int64_t> padding_of(const std::string& padding, int dim) {
  if (padding == "valid") return {0, 0};
  std::vector<int64_t> n;  // on all sides; of height and width; or top, bottom, left, right
  for (size_t at = 0; at < padding.size();
       at = padding.find(',', at) == std::string::npos ? padding.size() : padding.find(',', at) + 1)
    n.push_back(std::strtoll(padding.c_str() + at, nullptr, 10));
  if (n.size() == 4) return {n[2 * dim], n[2 * dim + 1]};
  const int64_t both = n.empty() ? 0 : n[n.size() == 2 ? dim : 0];
  return {both, both};
}

Window window_of(int64_t in, int64_t kernel, int64_t stride, const std::string& padding, int dim, bool ceil) {
  Window w;
  if (padding == "same") {
    w.out = (in + stride - 1) / stride;
    const int64_t total = std::max<int64_t>((w.out - 1) * stride + kernel - in, 0);
    w.before = total / 2;
    w.after = total - w.before;
    return w;
  }
  std::tie(w.before, w.after) = padding_of(padding, dim);
  const int64_t room = in + w.before + w.after - kernel;
  w.out = floor_div(room, stride) + 1;
  if (ceil && w.out >= 0 && room % stride != 0 && w.out * stride < in + w.before) {
    w.after = w.out * stride + kernel - in - w.before;
    ++w.out;
  }
  w.out = std::max<int64_t>(w.out, 0);
  return w;
}

Attrs window_attrs(const Window& h, const Window& w, const std::vector<int64_t>& stride) {
  return {{"stride_h", stride[0]}, {"stride_w", stride[1]}, {"pad_top", h.before},
          {"pad_bottom", h.after}, {"pad_left", w.before},  {"pad_right", w.after}};
}

}  // namespace netc::ops
