#include "compiler/emit/text.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iterator>
#include <sstream>

#include <fmt/format.h>

namespace netc::emit {
namespace {

/// A word of C or C++, or the beginning of their names for what is made: timer_create.
bool taken(const std::string& name) {
  static const std::set<std::string> words = [] {
    std::istringstream all(
#include "compiler/emit/words.def"
    );
    return std::set<std::string>(std::istream_iterator<std::string>(all), {});
  }();
  return words.count(name) != 0 || words.count(name + "_create") != 0 || words.count(name + "_destroy") != 0;
}

template <class T>
std::string number(T v, const char* suffix) {
  if (std::isnan(v)) return "NAN";
  if (std::isinf(v)) return v < 0 ? "-INFINITY" : "INFINITY";
  std::string s = fmt::format("{}", v);
  if (s.find_first_of(".e") == std::string::npos) s += ".0";
  return s + suffix;
}

}  // namespace

std::string identifier(const std::string& name) {
  std::string s;
  for (char c : name) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (good) s += c;
    else if (s.empty() || s.back() != '_') s += '_';
  }
  if (s.empty() || s == "_") return "x";
  if (s[0] >= '0' && s[0] <= '9') s = "n" + s;
  if (s[0] == '_') s = "x" + s;  // names with a leading underscore may be the implementation's
  return taken(s) ? s + "_" : s;
}

std::string unique_identifier(const std::string& name, std::set<std::string>& used) {
  const std::string base = identifier(name);
  std::string s = base;
  for (int i = 2; !used.insert(s).second; ++i) s = fmt::format("{}_{}", base, i);
  return s;
}

std::string quoted(const std::string& s) {
  std::string r = "\"";
  for (unsigned char c : s) {
    if (c == '"' || c == '\\') {
      r += '\\';
      r += static_cast<char>(c);
    } else if (c == '\n') r += "\\n";
    else if (c < 32 || c == 127 || c == '?') r += fmt::format("\\{:03o}", c);
    else r += static_cast<char>(c);
  }
  return r + "\"";
}

std::string literal(double v) { return number(v, ""); }
std::string literal(float v) { return number(v, "f"); }

std::string dtype_literal(ir::DType t) { return "rt::DType::" + ir::to_string(t); }

std::string element_literal(ir::DType t) {
  switch (t) {
    case ir::DType::f32: return "rt::kFloat32";
    case ir::DType::u8: return "rt::kUint8";
    case ir::DType::i32: return "rt::kInt32";
    case ir::DType::u32: return "rt::kUint32";
    case ir::DType::bf16: return "rt::kBfloat16";
  }
  return "rt::kFloat32";
}

std::string fill(const std::string& text, const std::vector<std::pair<std::string, std::string>>& values) {
  std::string s;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = text.find('$', at), end = begin == std::string::npos ? begin : text.find('$', begin + 1);
    s += text.substr(at, begin - at);
    if (begin == std::string::npos) break;
    const std::string name = end == std::string::npos ? "" : text.substr(begin + 1, end - begin - 1);
    const auto found = std::find_if(values.begin(), values.end(), [&](const auto& v) { return v.first == name; });
    if (found == values.end()) s += '$';
    else s += found->second;
    at = found == values.end() ? begin + 1 : end + 1;
  }
  return s;
}

}  // namespace netc::emit
