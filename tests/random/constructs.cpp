// What takes several lines: operators of one's own, blocks, nets in nets, loops, conditions.
#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "compiler/ops/ops.h"
#include "tests/random/builder.h"

namespace netc::random {

using namespace ir;

namespace {

/// The file's declarations or the net's own.
void declare(Draft& d, Rng& rng, const std::string& text) {
  if (rng.chance(60)) d.declarations.push_back(text);
  else d.body.push_back(text);
}

std::string bracketed(const std::string& list) { return list.empty() ? "" : "(" + list + ")"; }

}  // namespace

bool Builder::user_op() {
  for (int attempt = 0; attempt < 8; ++attempt) {
    Draft next = draft_;
    const Tensor t = tensor();
    if (t.type.dtype != DType::f32 || t.type.has_any_extent()) continue;
    const std::string op = next.fresh("Op"), name = next.fresh("t");
    const bool two = rng_.chance(40), number_parameter = rng_.chance(40);
    FormulaSite site{rng_, {"a"}, {}, t.type.rank(), ""};
    if (two) site.tensors.push_back("b");
    if (number_parameter) site.numbers.push_back("s");
    const std::string body = formula(site, static_cast<int>(rng_.between(1, 4)));
    if (two && !mentions(body, "b")) continue;
    const double start = static_cast<double>(rng_.between(1, 30)) / 10;
    const std::string s = !number_parameter ? ""
                          : rng_.chance(50) ? fmt::format(", s = {:.1f}", start)
                                            : fmt::format(", s: float(0..4) = {}", start);
    declare(next, rng_, fmt::format("op {}(a{}{}) = {}", op, two ? ", b" : "", s, body));
    const std::string other = two ? partner(t) : "",
                      given = number_parameter && rng_.chance(50) ? fmt::format("s = {}", 1.25) : "";
    std::vector<std::string> more;
    if (two) more.push_back(other);
    if (!given.empty()) more.push_back(given);
    std::string text;
    if (rng_.chance(50)) {
      text = fmt::format("{} -> {}{}", t.name, op, bracketed(fmt::format("{}", fmt::join(more, ", "))));
      // twice
      if (rng_.chance(25)) text += fmt::format(" -> {}{}", op, bracketed(fmt::format("{}", fmt::join(more, ", "))));
    } else {
      more.insert(more.begin(), t.name);
      text = fmt::format("{}({})", op, fmt::join(more, ", "));
      if (rng_.chance(20)) text = fmt::format("{} + {}", text, t.name);
    }
    next.body.push_back(fmt::format("let {} = {}", name, text));
    if (accept(std::move(next), {name})) return true;
  }
  return false;
}

/// A block that ends with a chain of layers.
bool Builder::block() {
  for (int attempt = 0; attempt < 4; ++attempt) {
    Draft next = draft_;
    const Tensor t = tensor();
    std::vector<Parameter> own;
    const auto c = chain(next, t.name, t.type, static_cast<int>(rng_.between(1, 3)), &own);
    if (!c) continue;
    const std::string block = next.fresh("Block");
    std::vector<std::string> names = {next.fresh("t")};
    std::string inside = c->text();
    if (rng_.chance(30)) {  // with a name inside
      const std::string named = next.fresh("inner");
      inside = fmt::format("let {} = {}  {}{}", named, c->layers[0], named,
                           c->layers.size() == 1 ? "" : inside.substr(c->layers[0].size()));
    }
    // At the end of the file's declarations, or in the net, whose parameters it may read.
    const std::string text = fmt::format("block {}{} {{ {} }}", block, bracketed(declared(own)), inside);
    const bool own_only = std::none_of(next.parameters.begin(), next.parameters.end(),
                                       [&](const Parameter& p) { return mentions(text, p.name); });
    if (own_only) declare(next, rng_, text);
    else next.body.push_back(text);
    const std::string arguments =
        own.empty() || rng_.chance(60) ? "" : fmt::format("({} = {})", own[0].name, own[0].value);
    next.body.push_back(fmt::format("let {} = {} -> {}{}", names[0], t.name, block, arguments));
    if (rng_.chance(50)) {  // again: with weights of its own
      const std::string from = c->type == t.type && rng_.chance(60) ? names[0] : t.name;
      Draft more = next;
      names.push_back(more.fresh("t"));
      more.body.push_back(fmt::format("let {} = {} -> {}{}", names[1], from, block,
                                      own.empty() ? "" : fmt::format("({})", own[0].value)));
      if (accept(more, names)) return true;
      names.pop_back();
    }
    if (accept(std::move(next), names)) return true;
  }
  return false;
}

/// A block that names its inputs and outputs.
bool Builder::ported_block() {
  for (int attempt = 0; attempt < 6; ++attempt) {
    Draft next = draft_;
    const Tensor t = tensor();
    const bool two = rng_.chance(50);
    const Tensor other = *std::find_if(tensors_.begin(), tensors_.end(),
                                       [name = partner(t)](const Tensor& o) { return o.name == name; });
    std::vector<Parameter> own;
    std::vector<std::string> operands;
    if (two) operands.push_back(other.name);
    const auto c = chain(next, t.name, t.type, static_cast<int>(rng_.between(1, 2)), &own, operands);
    if (!c) continue;
    // What reads the operands by their names outside is to read them by those inside.
    std::string inside = c->text();
    if (two) {
      for (size_t at = inside.find(other.name); at != std::string::npos; at = inside.find(other.name, at + 1)) {
        const bool whole = at + other.name.size() >= inside.size() ||
                           !std::isalnum(static_cast<unsigned char>(inside[at + other.name.size()]));
        if (whole) inside.replace(at, other.name.size(), "b");
      }
    }
    const std::string block = next.fresh("Block"), name = next.fresh("t");
    std::string lines = two ? "input a  input b  " : "input a  ";
    std::vector<std::string> names = {name};
    const bool typed = rng_.chance(25);
    if (typed) lines = fmt::format("input a: {}  {}", shape_for_user(t.type), two ? "input b  " : "");
    std::vector<std::string> results;
    if (c->type == t.type && rng_.chance(40)) results.push_back(fmt::format("a -> {} -> {}(a)", inside, adder().name));
    else results.push_back("a -> " + inside);
    if (two && rng_.chance(40) && other.type.dtype == DType::f32) results.push_back("b");
    if (t.type.dtype == DType::f32 && !t.type.has_any_extent() && rng_.chance(30)) {
      FormulaSite site{rng_, {"a"}, {}, t.type.rank(), ""};
      if (two && other.type == t.type) site.tensors.push_back("b");
      results.push_back(formula(site, 2));
    }
    if (two && std::none_of(results.begin(), results.end(), [](const std::string& r) { return mentions(r, "b"); }))
      results.push_back("b");
    for (size_t i = 0; i < results.size(); ++i)
      lines += results.size() == 1 && rng_.chance(50)
                   ? "output " + results[i]
                   : fmt::format("{}output p{} = {}", i == 0 ? "" : "  ", i + 1, results[i]);
    const std::string text = fmt::format("block {}{} {{ {} }}", block, bracketed(declared(own)), lines);
    const bool own_only = std::none_of(next.parameters.begin(), next.parameters.end(),
                                       [&](const Parameter& p) { return mentions(text, p.name); });
    if (own_only) declare(next, rng_, text);
    else next.body.push_back(text);
    const std::string call = fmt::format("{} -> {}{}", t.name, block, two ? "(" + other.name + ")" : "");
    if (results.size() == 1) {
      next.body.push_back(fmt::format("let {} = {}", name, call));
    } else if (results.size() == 2 && rng_.chance(50)) {
      names.push_back(next.fresh("t"));
      next.body.push_back(fmt::format("let ({}, {}) = {}", names[0], names[1], call));
    } else {
      next.body.push_back(fmt::format("let {} = {}", name, call));
      names = {name + ".p1", fmt::format("{}.p{}", name, results.size())};
    }
    if (accept(std::move(next), names)) return true;
  }
  return false;
}

bool Builder::inner_net() {
  for (int attempt = 0; attempt < 6; ++attempt) {
    Draft next = draft_;
    const Tensor t = tensor();
    const bool two = rng_.chance(50);
    const Tensor other = tensors_[static_cast<size_t>(rng_.below(static_cast<int64_t>(tensors_.size())))];
    std::vector<Parameter> own;
    const auto first = chain(next, t.name, t.type, static_cast<int>(rng_.between(1, 2)), &own);
    const auto second = two ? chain(next, other.name, other.type, 1, &own) : std::nullopt;
    if (!first || (two && !second)) continue;
    const std::string net = next.fresh("Net"), name = next.fresh("t");
    std::string lines = fmt::format("input a: {}  ", shape_for_user(t.type));
    if (two) lines += fmt::format("input b: {}  ", shape_for_user(other.type));
    std::vector<std::string> results = {"a -> " + first->text()}, names = {name};
    if (two) results.push_back("b -> " + second->text());
    if (rng_.chance(30) && t.type.dtype == DType::f32 && !t.type.has_any_extent()) results.push_back("a");
    for (size_t i = 0; i < results.size(); ++i)
      lines += fmt::format("{}output p{} = {}", i == 0 ? "" : "  ", i + 1, results[i]);
    const std::string text = fmt::format("net {}{} {{ {} }}", net, bracketed(declared(own)), lines);
    next.declarations.push_back(text);
    std::vector<std::string> given;
    if (!own.empty() && rng_.chance(40)) given.push_back(fmt::format("{} = {}", own[0].name, own[0].value));
    if (two) given.insert(given.begin(), other.name);
    std::string call = net + bracketed(fmt::format("{}", fmt::join(given, ", ")));
    if (rng_.chance(15)) call += " frozen";
    if (rng_.chance(25)) {  // by a name
      const std::string layer = next.fresh("layer");
      next.body.push_back(fmt::format("let {} = {}", layer, call));
      call = layer;
    }
    next.body.push_back(fmt::format("let {} = {} -> {}", name, t.name, call));
    if (results.size() > 1) names = {name + ".p1", fmt::format("{}.p{}", name, results.size())};
    if (accept(std::move(next), names)) return true;
  }
  return false;
}

bool Builder::loop() {
  for (int attempt = 0; attempt < 8; ++attempt) {
    Draft next = draft_;
    const Tensor t = tensor();
    std::vector<Parameter> own;
    const auto c = chain(next, t.name, t.type, static_cast<int>(rng_.between(1, 2)), &own);
    if (!c) continue;
    const std::string variable = next.fresh("v"), index = next.fresh("i"),
                      over = own.empty() ? next.fresh("n") : own[0].name;
    for (size_t i = 1; i < own.size(); ++i) next.parameters.push_back(own[i]);
    std::string head = own.empty() ? fmt::format("for {} in 0..{}", over, rng_.between(2, 3))
                                   : fmt::format("for {} in [{}, {}]", over, own[0].value,
                                                 std::max<int64_t>(1, own[0].value + rng_.between(-1, 1)));
    if (!own.empty() && rng_.chance(30))
      head = fmt::format("for ({}, {}) in enumerate([{}, {}])", index, over, own[0].value,
                         std::max<int64_t>(1, own[0].value + rng_.between(0, 2)));
    next.body.push_back(fmt::format("var {} = {}", variable, t.name));
    const std::string step = fmt::format("{} = {} -> {}", variable, variable, c->text());
    const std::string named = next.fresh("stage");
    if (rng_.chance(30))
      next.body.push_back(
          fmt::format("{} {{ let {} = {}  {} = {} -> {} }}", head, named, c->text(), variable, variable, named));
    else if (head.find("enumerate") != std::string::npos)
      next.body.push_back(fmt::format("{} {{ if {} < 1 {{ {} }} else {{ {} }} }}", head, index, step, step));
    else next.body.push_back(fmt::format("{} {{ {} }}", head, step));
    if (accept(std::move(next), {variable})) return true;
  }
  return false;
}

bool Builder::choice() {
  for (int attempt = 0; attempt < 4; ++attempt) {
    Draft next = draft_;
    const Tensor t = tensor();
    if (t.type.rank() == 0 || t.type.has_any_extent()) continue;
    const auto yes = chain(next, t.name, t.type, 1), no = chain(next, t.name, t.type, 1);
    if (!yes || !no) continue;
    const std::string condition = fmt::format("{}.channels {} {}", t.name,
                                              rng_.chance(50) ? ">" : "<=", t.type.dims.back() + rng_.between(-1, 1));
    const std::string name = next.fresh("t");
    if (rng_.chance(50)) {
      next.body.push_back(fmt::format("let {} = if {} then {} -> {} else {} -> {}", name, condition, t.name,
                                      yes->text(), t.name, no->text()));
    } else {
      next.body.push_back(fmt::format("var {} = {}", name, t.name));
      next.body.push_back(fmt::format("if {} {{ {} = {} -> {} }} else {{ {} = {} -> {} }}", condition, name, name,
                                      yes->text(), name, name, no->text()));
    }
    if (accept(std::move(next), {name})) return true;
  }
  return false;
}

}  // namespace netc::random
