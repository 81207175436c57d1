// What the parser hands on: the file as written, with a place for everything.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "compiler/base/source.h"

namespace netc::ast {

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

/// An argument of a call: `text` of a named one, else positional.
struct Arg {
  std::string name;
  Span span;
  ExprPtr value;
};

enum class ExprKind : uint8_t {
  integer, number, string, boolean,
  name,      // text
  list,      // items
  dict,      // items: key, value, key, value
  call,      // items[0] is called with args
  index,     // items[0][items[1]]
  member,    // items[0].text
  unary,     // text is the operator: - not
  binary,    // text is the operator: + - * / % ^ == != < <= > >= .. and or
  chain,     // items joined by ->
  choose,    // if items[0] then items[1] else items[2]
};

struct Expr {
  ExprKind kind = ExprKind::integer;
  Span span;
  std::string text;
  int64_t integer = 0;       // also a boolean's 0 or 1
  double number = 0;
  std::vector<ExprPtr> items;
  std::vector<Arg> args;
  int depth = 1;             // of this tree: the parser bounds it
};

/// A hyperparameter of a net or block.
struct Param {
  std::string name;
  Span span;
  std::string type;                  // empty: inferred from the default
  Span type_span;
  std::vector<ExprPtr> type_args;    // one_of(...)
  ExprPtr fallback;
};

/// u8[*, *, 3]. A null dim is '*'.
struct TensorType {
  bool present = false;
  std::string dtype;
  Span span;
  std::vector<ExprPtr> dims;
};

enum class StmtKind : uint8_t { input, output, block, let, var, loop, choose, check, defaults, assign, expr };

struct Stmt {
  StmtKind kind = StmtKind::expr;
  Span span, name_span;
  std::string name, second;          // second: of `for (name, second) in`; the message of an assert
  ExprPtr value;                     // the condition of choose and check
  TensorType type;
  std::vector<Param> params;
  std::vector<Arg> args;
  std::vector<Stmt> body, otherwise; // otherwise: else
};

struct Net {
  std::string name, doc;
  Span span, name_span;
  std::vector<Param> params;
  std::vector<Stmt> body;
};

struct Entry {
  std::string key;
  Span span;
  ExprPtr value;
};

struct Section {
  std::string name;                  // data, train
  Span span;
  std::vector<Entry> entries;
};

struct File {
  std::vector<Net> nets;
  std::vector<Section> sections;
};

}  // namespace netc::ast
