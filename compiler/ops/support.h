// What the operators' files share: types, broadcasting, coordinates, arguments.
#pragma once
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "compiler/base/counted.h"
#include "compiler/ir/layer_def.h"
#include "compiler/ops/ops.h"

namespace netc::ops {

using namespace ir;

using Types = std::span<const Type>;
using Tensors = std::vector<RefTensor>;
using ShapeRule = decltype(OpDef::shape);

constexpr const char* kNoSecond = "it is itself part of a gradient: second derivatives are not taken";

inline Type f32(std::vector<int64_t> dims, bool batched) { return Type{DType::f32, batched, std::move(dims)}; }

/// "f32[N, 3] and f32[3]"
std::string list_types(Types types);
/// The same as the language writes them: "f32[3] and f32[3]"
std::string list_shapes(Types types);
/// The product of the dims but the last: H*W of an image, 1 of a flat sample.
int64_t spatial(const Type& t);
/// Elements of one sample; 0 when an extent is not known.
double elements(const Type& t);

/// Result 0 has input 0's type; it is f32, and `more` further inputs are f32 of the same type.
ShapeRule same_type(int more = 0);
/// One result: the type that all inputs, f32, broadcast to.
ShapeRule broadcasting();
/// The type of an element-wise result of f32 operands: along each dim, from the right, their extents are equal or 1; an
/// unbatched operand may have fewer dims, a batched one has the result's rank. Nothing when they do not fit.
std::optional<Type> broadcast(Types in);
/// The element of a tensor of dims `from` that stands for element i of one of dims `to`, to which it is broadcast.
int64_t broadcast_index(int64_t i, const std::vector<int64_t>& from, const std::vector<int64_t>& to);

/// Reference of an elementwise op: `fn` maps the inputs at one point to the results; inputs are broadcast.
decltype(OpDef::reference) pointwise(
    std::function<std::vector<double>(const Node&, const Graph&, const std::vector<double>&, int64_t batch)> fn);
/// dims of a tensor of this type in the reference: batch first.
std::vector<int64_t> ref_dims(const Type& t, int64_t batch);
RefTensor ref_zeros(const Type& t, int64_t batch);
/// flops per element of result 0.
decltype(OpDef::cost) per_element(double flops);
/// flops per element of input i.
decltype(OpDef::cost) per_input_element(int input, double flops);

/// Gradient of an operand that was broadcast: the gradient summed down to `type`.
ValueId reduce_to(const GradContext& g, ValueId gradient, Type type);

/// Arguments of a layer with weights: `init`, `bias_init` when it has an argument `bias`, regularisers `l1`, `l2`, and
/// `constraint`.
void add_weight_args(std::vector<ArgDef>& args);
Initializer weight_init(LayerBuilder& b, int64_t fan_in, int64_t fan_out);
/// `x` with dropout in training; `x` itself when the rate is 0.
ValueId drop(LayerBuilder& b, ValueId x, double rate);
/// Reports and returns false unless the operands' extents are known.
bool check_extents(LayerBuilder& b, const char* layer);
/// The dim, from 0, that argument `axis` names in a tensor of this type; kNone after an error.
int axis_of(LayerBuilder& b, const char* layer, const Type& t);
/// Reports and returns false unless the operand is f32 with known extents and one of the ranks (0: any).
bool check_operand(LayerBuilder& b, const char* layer, int rank = 0);
/// The same unless the operand is a sequence, f32[T, D].
bool check_sequence(LayerBuilder& b, const std::string& layer);

/// Windows: output extent and padding before/after of one dim (0: height, 1: width). `padding` is an argument of
/// ArgType::padding; "same" is TensorFlow's convention. `ceil`: a last window that is partly outside is kept where it
/// begins inside, and padding after grows to hold it.
struct Window {
  int64_t out = 0, before = 0, after = 0;
};
Window window_of(int64_t in, int64_t kernel, int64_t stride, const std::string& padding, int dim = 0,
                 bool ceil = false);
/// The numbers of an argument of ArgType::padding for one dim, {before, after}; of "valid" zeros. Not of "same": its
/// depend on the input.
std::pair<int64_t, int64_t> padding_of(const std::string& padding, int dim);
/// stride_h ... pad_right as attributes.
Attrs window_attrs(const Window& h, const Window& w, const std::vector<int64_t>& stride);
inline int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

}  // namespace netc::ops
