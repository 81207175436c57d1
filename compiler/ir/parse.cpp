// Reads the text that print() writes. One statement a line; any malformed text gives a message with its line.
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <limits>
#include <map>

#include <fmt/format.h>

#include "compiler/ir/op_def.h"
#include "compiler/ir/print.h"

namespace netc::ir {
namespace {

constexpr int64_t kMaxId = 1 << 24;

/// Reads one line. The first failure is kept in `error`; all later reads then fail too.
class Reader {
 public:
  explicit Reader(std::string line) : s_(std::move(line)) {}
  std::string error;

  bool fail(const std::string& message) {
    if (error.empty()) error = message;
    return false;
  }
  void skip() {
    while (at_ < s_.size() && (s_[at_] == ' ' || s_[at_] == '\t')) ++at_;
  }
  bool at_end() {
    skip();
    return at_ >= s_.size();
  }
  bool peek(char c) {
    skip();
    return at_ < s_.size() && s_[at_] == c;
  }
  bool accept(char c) {
    if (!error.empty() || !peek(c)) return false;
    ++at_;
    return true;
  }
  bool expect(char c) { return accept(c) || fail(fmt::format("expected '{}' at column {}", c, at_ + 1)); }
  std::string word() {
    skip();
    const size_t from = at_;
    while (at_ < s_.size() && (std::isalnum(static_cast<unsigned char>(s_[at_])) || s_[at_] == '_' || s_[at_] == '.'))
      ++at_;
    if (from == at_) fail(fmt::format("expected a word at column {}", at_ + 1));
    return s_.substr(from, at_ - from);
  }
  std::string string() {
    std::string out;
    if (!expect('"')) return out;
    for (; at_ < s_.size() && s_[at_] != '"'; ++at_) {
      char c = s_[at_];
      if (c == '\\' && at_ + 1 < s_.size()) {
        c = s_[++at_];
        c = c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
      }
      out += c;
    }
    if (at_ >= s_.size()) fail("a string does not end");
    else ++at_;
    return out;
  }
  /// An integer or a double, as written.
  Attr number() {
    skip();
    const size_t from = at_;
    while (at_ < s_.size() &&
           (std::isalnum(static_cast<unsigned char>(s_[at_])) || s_[at_] == '-' || s_[at_] == '+' || s_[at_] == '.'))
      ++at_;
    const std::string t = s_.substr(from, at_ - from);
    char* end = nullptr;
    errno = 0;
    if (!t.empty() && t.find_first_of(".en") == std::string::npos) {
      const int64_t i = std::strtoll(t.c_str(), &end, 10);
      if (*end == '\0' && errno == 0) return i;
    } else if (!t.empty()) {
      const double d = std::strtod(t.c_str(), &end);
      if (*end == '\0') return d;
    }
    fail(fmt::format("expected a number at column {}", from + 1));
    return int64_t{0};
  }
  int64_t integer(int64_t low = std::numeric_limits<int64_t>::min(),
                  int64_t high = std::numeric_limits<int64_t>::max()) {
    const size_t from = at_;
    const Attr a = number();
    const int64_t* i = std::get_if<int64_t>(&a);
    if (i == nullptr || *i < low || *i > high) fail(fmt::format("expected an integer in range at column {}", from + 1));
    return i == nullptr || *i < low || *i > high ? 0 : *i;
  }
  double real() {
    const Attr a = number();
    const int64_t* i = std::get_if<int64_t>(&a);
    return i ? static_cast<double>(*i) : std::get<double>(a);
  }
  ValueId value() { return expect('%') ? static_cast<ValueId>(integer(0, kMaxId)) : 0; }
  /// Calls item() for each element up to `close`.
  template <class F>
  void list(char open, char close, F item) {
    if (!expect(open) || accept(close)) return;
    do item();
    while (error.empty() && accept(','));
    expect(close);
  }
  Attr attr() {
    skip();
    if (peek('"')) return string();
    if (peek('[')) {
      std::vector<int64_t> v;
      list('[', ']', [&] { v.push_back(integer()); });
      return v;
    }
    if (peek('t') || peek('f')) {
      const std::string w = word();
      if (w != "true" && w != "false") fail(fmt::format("unknown value '{}'", w));
      return w == "true";
    }
    return number();
  }
  Type type() {
    Type t;
    const std::string name = word();
    bool known = false;
    for (DType d : {DType::f32, DType::u8, DType::i32, DType::u32, DType::bf16}) {
      if (to_string(d) == name) {
        t.dtype = d;
        known = true;
      }
    }
    if (!known) fail(fmt::format("unknown element type '{}'", name));
    list('[', ']', [&] {
      if (accept('*')) t.dims.push_back(kAnyExtent);
      else if (accept('N')) {
        if (t.batched || !t.dims.empty()) fail("N must be the first dimension");
        t.batched = true;
      } else t.dims.push_back(integer(0));
    });
    return t;
  }

 private:
  std::string s_;
  size_t at_ = 0;
};

class Parser {
 public:
  explicit Parser(const OpTable& ops) : ops_(ops) {}

  std::optional<Graph> run(const std::string& text, std::string& error) {
    int number = 0;
    for (size_t from = 0; from < text.size();) {
      size_t to = text.find('\n', from);
      if (to == std::string::npos) to = text.size();
      ++number;
      Reader r(text.substr(from, to - from));
      from = to + 1;
      if (r.at_end() || r.peek('#')) continue;
      statement(r);
      if (r.error.empty() && !r.at_end()) r.fail("unexpected text at the end");
      if (!r.error.empty()) {
        error = fmt::format("line {}: {}", number, r.error);
        return std::nullopt;
      }
    }
    error = finish();
    if (!error.empty()) {
      error = fmt::format("line {}: {}", number, error);
      return std::nullopt;
    }
    return std::move(g_);
  }

 private:
  void statement(Reader& r) {
    if (r.peek('%')) return node(r);
    const std::string w = r.word();
    if (w == "graph") g_.name = r.string();
    else if (w == "variable") variable(r);
    else if (w == "layer") layer(r);
    else if (w == "output") {
      Output o;
      o.name = r.string();
      r.expect('=');
      o.value = use(r);
      if (r.error.empty() && !r.at_end()) {
        if (r.word() != "kind") r.fail("expected 'kind='");
        r.expect('=');
        o.kind = output_kind(r);
      }
      g_.outputs.push_back(o);
    } else if (w == "update") {
      Update u;
      const std::string name = r.string();
      u.variable = g_.find_variable(name);
      if (u.variable == kNone) r.fail(fmt::format("no variable {}", quoted(name)));
      r.expect('=');
      u.value = use(r);
      g_.updates.push_back(u);
    } else r.fail(fmt::format("unknown statement '{}'", w));
  }

  /// %id of a value defined before.
  ValueId use(Reader& r) {
    const ValueId v = r.value();
    if (r.error.empty() && !values_.count(v)) r.fail(fmt::format("%{} is not defined before its use", v));
    return v;
  }

  /// %id "name" : type
  ValueId define(Reader& r, Value v) {
    const ValueId id = r.value();
    v.name = r.string();
    r.expect(':');
    v.type = r.type();
    if (r.error.empty() && !values_.emplace(id, std::move(v)).second) r.fail(fmt::format("%{} is defined twice", id));
    return id;
  }

  void variable(Reader& r) {
    Variable v;
    v.name = r.string();
    r.expect('=');
    Value value;
    value.variable = static_cast<int32_t>(g_.variables.size());
    v.value = define(r, value);
    while (r.error.empty() && !r.at_end()) {
      const std::string key = r.word();
      if (key == "trainable") {
        v.trainable = true;
        continue;
      }
      r.expect('=');
      if (key == "role") v.role = role(r);
      else if (key == "init") {
        v.init.kind = r.string();
        r.expect('(');
        v.init.a = r.real();
        r.expect(',');
        v.init.b = r.real();
        r.expect(',');
        v.init.fan_in = r.integer();
        r.expect(',');
        v.init.fan_out = r.integer();
        r.expect(')');
      } else if (key == "l1") v.l1 = r.real();
      else if (key == "l2") v.l2 = r.real();
      else if (key == "constraint") {
        v.constraint.kind = r.string();
        r.expect('(');
        v.constraint.limit = r.real();
        r.expect(',');
        v.constraint.dim = r.integer();
        r.expect(')');
      } else if (key == "of") v.of = r.string();
      else if (key == "literal") r.list('[', ']', [&] { v.literal.push_back(static_cast<float>(r.real())); });
      else r.fail(fmt::format("unknown property '{}' of a variable", key));
    }
    g_.variables.push_back(std::move(v));
  }

  OutputKind output_kind(Reader& r) {
    const std::string name = r.word();
    for (int i = 0; i <= static_cast<int>(OutputKind::gradient); ++i)
      if (to_string(static_cast<OutputKind>(i)) == name) return static_cast<OutputKind>(i);
    r.fail(fmt::format("unknown kind of output '{}'", name));
    return OutputKind::result;
  }

  Role role(Reader& r) {
    const std::string name = r.word();
    for (int i = 0; i <= static_cast<int>(Role::constant); ++i) {
      if (to_string(static_cast<Role>(i)) == name) return static_cast<Role>(i);
    }
    r.fail(fmt::format("unknown role '{}'", name));
    return Role::input;
  }

  void node(Reader& r) {
    Node n;
    Value v;
    v.def = static_cast<NodeId>(g_.nodes.size());
    do {
      v.result = static_cast<int>(n.results.size());
      n.results.push_back(define(r, v));
    } while (r.error.empty() && r.accept(','));
    r.expect('=');
    const std::string op = r.word();
    n.op = ops_.find(op);
    if (r.error.empty() && n.op == nullptr) r.fail(fmt::format("no operator '{}'", op));
    r.list('(', ')', [&] { n.inputs.push_back(use(r)); });
    for (ValueId in : n.inputs) {
      for (ValueId out : n.results) {
        if (in == out) r.fail(fmt::format("%{} is not defined before its use", in));
      }
    }
    if (r.error.empty() && r.peek('{')) {
      r.list('{', '}', [&] {
        const std::string name = r.word();
        r.expect('=');
        n.attrs.set(name, r.attr());
      });
    }
    if (r.error.empty() && !r.at_end()) {
      if (r.word() != "layer") r.fail("expected 'layer='");
      r.expect('=');
      n.layer = static_cast<int32_t>(r.integer(0, kMaxId));
    }
    g_.nodes.push_back(std::move(n));
  }

  void layer(Reader& r) {
    Layer l;
    l.name = r.string();
    while (r.error.empty() && !r.at_end()) {
      const std::string key = r.word();
      r.expect('=');
      if (key == "kind") l.kind = r.string();
      else if (key == "text") l.text = r.string();
      else if (key == "line") l.line = static_cast<int32_t>(r.integer(0, std::numeric_limits<int32_t>::max()));
      else if (key == "output") l.output = use(r);
      else if (key == "variables") r.list('[', ']', [&] { l.variables.push_back(r.string()); });
      else r.fail(fmt::format("unknown property '{}' of a layer", key));
    }
    g_.layers.push_back(std::move(l));
  }

  /// Puts the values in their places; what is wrong, or "".
  std::string finish() {
    ValueId next = 0;
    for (auto& [id, v] : values_) {
      if (id != next) return fmt::format("%{} is defined nowhere", next);
      g_.values.push_back(std::move(v));
      ++next;
    }
    for (const Node& n : g_.nodes) {
      if (n.layer != kNone && n.layer >= static_cast<int32_t>(g_.layers.size()))
        return fmt::format("there is no layer {}", n.layer);
    }
    return "";
  }

  const OpTable& ops_;
  Graph g_;
  std::map<ValueId, Value> values_;
};

}  // namespace

std::optional<Graph> parse(const std::string& text, const OpTable& ops, std::string& error) {
  error.clear();
  return Parser(ops).run(text, error);
}

}  // namespace netc::ir
