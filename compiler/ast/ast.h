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

/// What let, var and for give names to: a name, or several with `items`: (a, (b, c)).
struct Pattern {
  std::string name;
  Span span;
  std::vector<Pattern> items;
};

/// An argument of a call: `text` of a named one, else positional.
struct Arg {
  std::string name;
  Span span;
  ExprPtr value;
};

enum class ExprKind : uint8_t {
  integer,
  number,
  string,
  boolean,
  name,     // text
  list,     // items; a tuple likewise
  dict,     // items: key, value, key, value
  call,     // items[0] is called with args
  index,    // items[0][items[1]]
  member,   // items[0].text
  unary,    // text is the operator: - not
  binary,   // text is the operator: + - * / % ^ == != < <= > >= .. and or
  chain,    // items joined by ->
  choose,   // if items[0] then items[1] else items[2]
  each,     // [items[0] for pattern in items[1] if items[2]], the last perhaps absent
  frozen,   // items[0] frozen
  weights,  // items[0] from items[1]
};

struct Expr {
  ExprKind kind = ExprKind::integer;
  Span span;
  std::string text;
  int64_t integer = 0;  // also a boolean's 0 or 1
  double number = 0;
  std::vector<ExprPtr> items;
  std::vector<Arg> args;
  Pattern pattern;
  int depth = 1;  // of this tree: the parser bounds it
};

/// An argument of a type: a range, whose ends may be missing, or a value.
struct TypeArg {
  ExprPtr low, high, value;
};

/// The type of a hyperparameter.
struct ParamType {
  /// int, float, bool, string, list, tuple, one_of; "[" and "(": of `items`. Empty: inferred from the default
  std::string name;
  Span span;
  std::vector<TypeArg> args;  // int(1..), one_of(...)
  std::vector<ParamType> items;
};

/// A hyperparameter of a net or block; of an op also a tensor, of an fn a value.
struct Param {
  std::string name;
  Span span;
  ParamType type;
  ExprPtr fallback;
};

/// u8[*, *, 3]. A null dim is '*'.
struct TensorType {
  bool present = false;
  std::string dtype;
  Span span;
  std::vector<ExprPtr> dims;
};

enum class StmtKind : uint8_t {
  input,
  output,
  block,
  op,
  function,
  let,
  var,
  loop,
  choose,
  check,
  defaults,
  assign,
  expr
};

struct Stmt {
  StmtKind kind = StmtKind::expr;
  Span span, name_span;
  std::string name, message;  // message: of an assert
  Pattern pattern;            // of let, var and loop
  ExprPtr value;              // the condition of choose and check
  TensorType type;
  std::vector<Param> params;
  std::vector<Arg> args;
  std::vector<Stmt> body, otherwise;  // otherwise: else
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
  std::string name;  // data, train
  Span span;
  std::vector<Entry> entries;
};

struct File;
struct Import {
  std::string path;  // as written
  Span span;
  std::shared_ptr<File> file;  // set by load(); null: not found
};

struct File {
  std::vector<Import> imports;
  std::vector<Stmt> declarations;  // blocks, ops and functions outside nets
  std::vector<Net> nets;
  std::vector<Section> sections;
};

}  // namespace netc::ast
