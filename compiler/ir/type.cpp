#include "compiler/ir/type.h"

#include <algorithm>

#include <fmt/format.h>

namespace netc::ir {

bool Type::has_any_extent() const { return std::find(dims.begin(), dims.end(), kAnyExtent) != dims.end(); }

int64_t Type::elements() const {
  int64_t n = 1;
  for (int64_t d : dims) n *= d;
  return n;
}

int64_t Type::bytes() const { return elements() * size_of(dtype); }

int64_t size_of(DType t) { return t == DType::u8 ? 1 : t == DType::bf16 ? 2 : 4; }

std::string to_string(DType t) {
  constexpr const char* names[] = {"f32", "u8", "i32", "u32", "bf16"};
  return names[static_cast<int>(t)];
}

namespace {
std::string text(const Type& t, bool batch) {
  std::string s = to_string(t.dtype) + "[";
  if (batch) s += t.dims.empty() ? "N" : "N, ";
  for (size_t i = 0; i < t.dims.size(); ++i)
    s += (i ? ", " : "") + (t.dims[i] == kAnyExtent ? std::string("*") : std::to_string(t.dims[i]));
  return s + "]";
}
}  // namespace

std::string to_string(const Type& t) { return text(t, t.batched); }
std::string shape_for_user(const Type& t) { return text(t, false); }

}  // namespace netc::ir
