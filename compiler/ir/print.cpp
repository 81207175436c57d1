// Prints a graph as text that parse() reads back to the same graph. A value is "%id", its name follows quoted where it
// is defined.
#include "compiler/ir/print.h"

#include <fmt/format.h>

#include "compiler/ir/op_def.h"

namespace netc::ir {

std::string to_string(Role r) {
  constexpr const char* names[] = {"input", "label", "weight", "state", "slot", "scalar", "constant"};
  return names[static_cast<int>(r)];
}

std::string quoted(const std::string& s) {
  std::string out = "\"";
  for (char c : s) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\t': out += "\\t"; break;
      case '\r': out += "\\r"; break;
      default: out += c;
    }
  }
  return out + "\"";
}

namespace {

/// The shortest text that reads back to the same double, and never looks like an integer.
std::string real(double v) {
  std::string s = fmt::format("{}", v);
  if (s.find_first_of(".en") == std::string::npos) s += ".0";  // "inf" and "nan" have an n
  return s;
}

std::string result_text(const Graph& g, ValueId v) {
  if (v < 0 || v >= static_cast<ValueId>(g.values.size())) return fmt::format("%{}", v);
  return fmt::format("%{} {} : {}", v, quoted(g.values[v].name), to_string(g.values[v].type));
}

std::string variable_text(const Graph& g, const Variable& v) {
  const bool known = v.value >= 0 && v.value < static_cast<ValueId>(g.values.size());
  std::string s = fmt::format("variable {} = {}", quoted(v.name), result_text(g, v.value));
  if (!known) s += " ?";
  s += fmt::format(" role={}", to_string(v.role));
  if (v.trainable) s += " trainable";
  const Initializer& i = v.init;
  s += fmt::format(" init={}({}, {}, {}, {})", quoted(i.kind), real(i.a), real(i.b), i.fan_in, i.fan_out);
  if (v.l1 != 0) s += " l1=" + real(v.l1);
  if (v.l2 != 0) s += " l2=" + real(v.l2);
  if (!v.constraint.kind.empty())
    s += fmt::format(" constraint={}({}, {})", quoted(v.constraint.kind), real(v.constraint.limit), v.constraint.dim);
  if (!v.of.empty()) s += " of=" + quoted(v.of);
  if (!v.literal.empty()) {
    s += " literal=[";
    for (size_t k = 0; k < v.literal.size(); ++k) s += (k ? ", " : "") + fmt::format("{}", v.literal[k]);
    s += "]";
  }
  return s;
}

}  // namespace

std::string to_string(const Attr& a) {
  if (const bool* b = std::get_if<bool>(&a)) return *b ? "true" : "false";
  if (const int64_t* i = std::get_if<int64_t>(&a)) return std::to_string(*i);
  if (const double* d = std::get_if<double>(&a)) return real(*d);
  if (const std::string* s = std::get_if<std::string>(&a)) return quoted(*s);
  const auto& list = std::get<std::vector<int64_t>>(a);
  return fmt::format("[{}]", fmt::join(list, ", "));
}

std::string to_string(const Attrs& attrs) {
  if (attrs.empty()) return "";
  std::string s;
  for (const auto& [name, value] : attrs) s += (s.empty() ? "{" : ", ") + name + " = " + to_string(value);
  return s + "}";
}

std::string to_string(OutputKind k) {
  constexpr const char* names[] = {"result", "loss", "term", "gradient"};
  return names[static_cast<int>(k)];
}

std::string print(const Graph& g) {
  std::string out = "graph " + quoted(g.name) + "\n";
  for (const Variable& v : g.variables) out += variable_text(g, v) + "\n";
  for (const Node& n : g.nodes) {
    std::string line;
    for (ValueId r : n.results) line += (line.empty() ? "" : ", ") + result_text(g, r);
    line += fmt::format(" = {}(", n.op ? n.op->name : "?");
    for (size_t i = 0; i < n.inputs.size(); ++i) line += fmt::format("{}%{}", i ? ", " : "", n.inputs[i]);
    line += ")";
    if (!n.attrs.empty()) line += " " + to_string(n.attrs);
    if (n.layer != kNone) line += fmt::format(" layer={}", n.layer);
    out += line + "\n";
  }
  for (const Layer& l : g.layers) {
    out += fmt::format("layer {} kind={} text={} line={}", quoted(l.name), quoted(l.kind), quoted(l.text), l.line);
    if (l.output != kNone) out += fmt::format(" output=%{}", l.output);
    if (!l.variables.empty()) {
      out += " variables=[";
      for (size_t i = 0; i < l.variables.size(); ++i) out += (i ? ", " : "") + quoted(l.variables[i]);
      out += "]";
    }
    out += "\n";
  }
  for (const Output& o : g.outputs)
    out += fmt::format("output {} = %{}{}\n", quoted(o.name), o.value,
                       o.kind == OutputKind::result ? "" : " kind=" + to_string(o.kind));
  for (const Update& u : g.updates) {
    const bool known = u.variable >= 0 && u.variable < static_cast<int32_t>(g.variables.size());
    out += fmt::format("update {} = %{}\n", known ? quoted(g.variables[u.variable].name) : "?", u.value);
  }
  return out;
}

}  // namespace netc::ir
