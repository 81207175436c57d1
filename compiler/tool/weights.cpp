#include "compiler/tool/weights.h"

#include <algorithm>

#include <fmt/format.h>

#include "runtime/core/weights.h"
#include "runtime/counted.h"

namespace netc::tool {
namespace {

constexpr size_t kMostInside = size_t{1900} << 20;  // bytes: code reaches what lies within 2 GB

}  // namespace

bool put_inside(const std::string& path, emit::Unit& unit, std::shared_ptr<rt::WeightsFile>& file, std::string& error) {
  const auto opened = rt::WeightsFile::open(path);
  if (!opened) return error = opened.error(), false;
  file = *opened;
  std::vector<rt::VarInfo> variables;
  const emit::Variables all = variables_of(unit);
  for (const emit::VariableRow& row : all.rows) {
    rt::VarInfo v{};
    v.name = row.variable->name.c_str();
    v.role = row.variable->role == ir::Role::slot    ? rt::VarRole::slot
             : row.variable->role == ir::Role::state ? rt::VarRole::state
                                                     : rt::VarRole::weight;
    v.rank = row.type.rank();
    std::copy(row.type.dims.begin(), row.type.dims.end(), v.dims);
    variables.push_back(v);
  }
  rt::ModelInfo info{};
  info.net = unit.model->net.c_str();
  info.variables = variables;
  if (const auto fits = rt::check_weights(info, *file); !fits) return error = fits.error(), false;
  unit.weights = file->bytes();
  if (unit.weights.size() <= kMostInside) return true;
  return error = fmt::format("{} is too large to go inside ({} bytes, at most {}); leave it beside the product", path,
                             rt::grouped(static_cast<int64_t>(unit.weights.size())), rt::grouped(kMostInside)),
         false;
}

}  // namespace netc::tool
