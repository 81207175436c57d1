// What the operators share that put elements elsewhere: axes, references by coordinates, sums over small boxes.
#pragma once
#include "compiler/ops/algorithm.h"

namespace netc::ops {

/// Row-major coordinates in the reference, the batch first where there is one.
using At = std::vector<int64_t>;

/// Where a sample's dim `axis` stands among a Func's coordinates, which are innermost first.
inline int coordinate(const Type& t, int64_t axis) { return t.rank() - 1 - static_cast<int>(axis); }
inline int extent_of(const Type& t, int64_t axis) { return static_cast<int>(t.dims[static_cast<size_t>(axis)]); }

/// One to four dims, all known.
bool movable(const Type& t);
/// Reports `NAME needs WHAT, not TYPES` and is false.
bool misfit(std::string& error, const char* name, const std::string& what, Types in);

double element(const RefTensor& t, const At& at);
/// Reference of one result: its element at `at` is f(...); a sample's dim `axis` is at[first + axis].
decltype(OpDef::reference) by_coordinates(
    std::function<double(const Node&, const Graph&, const Tensors& in, At at, size_t first)> f);
/// Reference of an operator that is the transpose of another: operand 0's element at `at` is added to each place that
/// `to` adds, with its weight.
using Place = std::function<void(At at, double weight)>;
decltype(OpDef::reference) by_scattering(
    std::function<void(const Node&, const Graph&, At at, size_t first, const Place& to)> f);

/// result(v) = the sum of term(t) over all t of the box: written out where it is small, else with a reduction domain.
Lowered box_sum(const char* name, const std::vector<Var>& v, const std::vector<int>& box,
                std::function<Expr(const Exprs& t)> term);

ArgDef axis_arg(const char* fallback = "channel",
                const char* doc = "along which axis: channel, width, height, or its number from 0");
/// Reports and returns false when a sample of this type is larger than one may be.
bool check_size(LayerBuilder& b, const char* layer, const Type& t);
/// `op` of the operand, while data is loaded. Reports when that is more than an input or preprocessing of one.
ValueId ingested(LayerBuilder& b, const char* layer, const char* op, Attrs attrs);

}  // namespace netc::ops
