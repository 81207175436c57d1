// Pieces of C++ source text.
#pragma once
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "compiler/base/counted.h"
#include "compiler/ir/type.h"

namespace netc::emit {

/// Letters, digits and underscores only, not starting with a digit, no word, macro or global name of C and C++:
/// "stage1.conv.weight" -> "stage1_conv_weight".
std::string identifier(const std::string& name);
/// identifier(name), made unique among `used` by a number, and added to it.
std::string unique_identifier(const std::string& name, std::set<std::string>& used);
/// A C string literal with its quotes.
std::string quoted(const std::string& s);
/// A literal that reads back as the same value.
std::string literal(double v);
std::string literal(float v);
/// "rt::DType::f32"
std::string dtype_literal(ir::DType t);
/// "rt::kFloat32"
std::string element_literal(ir::DType t);
/// 1234567 -> "1,234,567"
using netc::grouped;

/// Replaces each $name$ by its value, once: values are not looked into.
std::string fill(const std::string& text, const std::vector<std::pair<std::string, std::string>>& values);

}  // namespace netc::emit
