#include "compiler/ops/support.h"

namespace netc::ops {

std::string list_types(Types types) {
  std::string s;
  for (size_t i = 0; i < types.size(); ++i) s += (i == 0 ? "" : i + 1 == types.size() ? " and " : ", ") + to_string(types[i]);
  return s;
}

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
        error = fmt::format("needs {} f32 operand{} of one type, not {}", more + 1, more ? "s" : "", list_types(in.subspan(0, more + 1)));
        return false;
      }
    }
    out = {in[0]};
    return true;
  };
}

bool broadcasts_to(const Type& small, const Type& big) {
  if (small == big) return true;
  if (small.batched || small.dtype != big.dtype || small.rank() > big.rank()) return false;
  return std::equal(small.dims.begin(), small.dims.end(), big.dims.end() - small.rank());
}

ShapeRule broadcasting() {
  return [](Types in, const Attrs&, std::vector<Type>& out, std::string& error) {
    size_t big = 0;
    for (size_t i = 1; i < in.size(); ++i) {
      if (!broadcasts_to(in[i], in[big])) big = i;
    }
    for (const Type& t : in) {
      if (t.dtype != DType::f32 || !broadcasts_to(t, in[big])) {
        error = fmt::format("cannot combine {}", list_types(in));
        return false;
      }
    }
    out = {in[big]};
    return true;
  };
}

std::vector<Var> vars_of(const Type& t) {
  static const char* const names[] = {"c", "x", "y", "z", "v"};
  std::vector<Var> v;
  for (int i = 0; i < t.rank(); ++i) v.push_back(i < 5 ? Var(names[i]) : Var("d" + std::to_string(i)));
  if (t.batched) v.push_back(Var("n"));
  return v;
}

Exprs exprs(const std::vector<Var>& vars) { return {vars.begin(), vars.end()}; }

std::vector<Halide::Range> ranges_of(const Type& t, const Expr& batch, int first) {
  std::vector<Halide::Range> r;
  for (int i = first; i < t.rank(); ++i) r.emplace_back(0, static_cast<int>(t.dims[t.rank() - 1 - i]));
  if (t.batched) r.emplace_back(0, batch);
  return r;
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

decltype(OpDef::reference) pointwise(std::function<std::vector<double>(const Node&, const Graph&, const std::vector<double>&, int64_t)> fn) {
  return [fn](const Node& n, const Graph& g, const Tensors& in, int64_t batch) {
    Tensors out;
    for (ValueId v : n.results) {
      const Type& t = g.type(v);
      if (!t.has_any_extent()) { out.push_back(ref_zeros(t, batch)); continue; }
      out.push_back(RefTensor{in[0].dims, std::vector<double>(in[0].data.size(), 0.0)});
    }
    std::vector<double> at(in.size());
    for (size_t i = 0; i < out[0].data.size(); ++i) {
      for (size_t j = 0; j < in.size(); ++j) at[j] = in[j].data[i % in[j].data.size()];
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

ValueId reduce_to(const GradContext& g, ValueId gradient, const Type& type) {
  if (g.graph.type(gradient) == type) return gradient;
  return g.emit("sum_to", {gradient}, {{"rank", int64_t{type.rank()}}});
}

void add_weight_args(std::vector<ArgDef>& args) {
  args.push_back({"init", ArgType::choice, ArgValue{std::string("glorot_uniform")}, -1e300, 1e300,
                  {"glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_normal", "normal", "uniform", "zeros", "ones"},
                  "how the weights start"});
  args.push_back({"stddev", ArgType::number, ArgValue{0.05}, 0, 1e300, {}, "standard deviation of init = normal, half the width of init = uniform"});
  args.push_back({"l1", ArgType::number, ArgValue{0.0}, 0, 1e300, {}, "adds l1 * sum|w| to the loss"});
  args.push_back({"l2", ArgType::number, ArgValue{0.0}, 0, 1e300, {}, "adds l2 * sum(w^2) to the loss"});
}

Initializer weight_init(LayerBuilder& b, int64_t fan_in, int64_t fan_out) {
  Initializer init{b.s("init"), 0, 0, fan_in, fan_out};
  if (init.kind == "normal") init.b = b.f("stddev");
  if (init.kind == "uniform") { init.a = -b.f("stddev"); init.b = b.f("stddev"); }
  return init;
}

std::string thousands(int64_t n) {
  std::string s = std::to_string(n);
  for (int i = static_cast<int>(s.size()) - 3; i > 0; i -= 3) s.insert(static_cast<size_t>(i), ",");
  return s;
}

bool check_operand(LayerBuilder& b, const char* layer, int rank) {
  const Type& t = b.in_type();
  if (t.has_any_extent()) {
    b.error(fmt::format("{} needs an input whose extents are known, but its input is {}", layer, shape_for_user(t)),
            "put Resize(height, width) before it");
    return false;
  }
  if (t.dtype != DType::f32) {
    b.error(fmt::format("{} needs f32 values, but its input is {}", layer, shape_for_user(t)),
            t.dtype == DType::i32 ? "put Embedding(vocabulary, dim) before it" : "put Rescale(1/255) before it");
    return false;
  }
  if (rank != 0 && t.rank() != rank) {
    b.error(fmt::format("{} needs an input of {} dimensions{}, but its input is {}", layer, rank, rank == 3 ? " (height, width, channels)" : "",
                        shape_for_user(t)));
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
    help = fmt::format("Reshape({}, {}) makes a sequence of its pixels, Reshape({}, {}) of its rows", t.dims[0] * t.dims[1], t.dims[2], t.dims[0],
                       t.dims[1] * t.dims[2]);
  }
  b.error(fmt::format("{} needs a sequence f32[T, D], but its input is {}", layer, shape_for_user(t)), help);
  return false;
}

Window window_of(int64_t in, int64_t kernel, int64_t stride, const std::string& padding) {
  Window w;
  if (padding == "same") {
    w.out = (in + stride - 1) / stride;
    const int64_t total = std::max<int64_t>((w.out - 1) * stride + kernel - in, 0);
    w.before = total / 2;
    w.after = total - w.before;
    return w;
  }
  if (padding != "valid") w.before = w.after = std::stoll(padding);
  const int64_t room = in + w.before + w.after - kernel;
  w.out = room < 0 ? 0 : room / stride + 1;
  return w;
}

Attrs window_attrs(const Window& h, const Window& w, const std::vector<int64_t>& stride) {
  return {{"stride_h", stride[0]}, {"stride_w", stride[1]}, {"pad_top", h.before}, {"pad_bottom", h.after}, {"pad_left", w.before},
          {"pad_right", w.after}};
}

}  // namespace netc::ops
