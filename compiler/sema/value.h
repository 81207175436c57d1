// Values that exist while a net is elaborated: numbers and lists, tensors, layers, and what makes layers.
#pragma once
#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "compiler/ast/ast.h"
#include "compiler/ir/layer_def.h"

namespace netc::sema {

struct LayerValue;
struct Callable;
struct NamedLayer;

struct Value {
  enum class Kind : uint8_t { error, boolean, integer, number, string, list, dict, tensor, layer, callable, setting };
  Kind kind = Kind::error;
  int depth = 0;          // of lists and layers inside each other: bounded, so that nothing recurses without end
  bool quotient = false;  // a number that is a quotient of integers: rounded down where an integer is wanted
  double weight = 1;      // of a list: how many values it holds, with those of lists inside it
  int64_t integer = 0;    // also a boolean's
  double number = 0;
  std::string text;                           // a string; a setting as it was written
  std::shared_ptr<std::vector<Value>> items;  // list; dict: key, value, key, value
  /// of a list's items, when they are the outputs of a net or block
  std::shared_ptr<const std::vector<std::string>> names;
  ir::ValueId tensor = ir::kNone;
  std::shared_ptr<LayerValue> layer;
  std::shared_ptr<Callable> callable;
  /// a callable that let gave a name: what it is where it is applied without parentheses
  std::shared_ptr<NamedLayer> named;
  std::shared_ptr<const ir::ArgValue> setting;  // an initialiser or a constraint

  static Value of_bool(bool b) {
    Value v;
    v.kind = Kind::boolean, v.integer = b;
    return v;
  }
  static Value of_int(int64_t i) {
    Value v;
    v.kind = Kind::integer, v.integer = i;
    return v;
  }
  static Value of_number(double d, bool quotient = false) {
    Value v;
    v.kind = Kind::number, v.number = d, v.quotient = quotient;
    return v;
  }
  static Value of_string(std::string s) {
    Value v;
    v.kind = Kind::string, v.text = std::move(s);
    return v;
  }
  static Value of_list(std::vector<Value> l) {
    Value v;
    v.kind = Kind::list;
    for (const Value& i : l) v.depth = std::max(v.depth, i.depth + 1), v.weight += i.weight;
    v.items = std::make_shared<std::vector<Value>>(std::move(l));
    return v;
  }
  static Value of_tensor(ir::ValueId t) {
    Value v;
    v.kind = Kind::tensor, v.tensor = t;
    return v;
  }
  static Value of_layer(std::shared_ptr<LayerValue> l);
  static Value of_callable(std::shared_ptr<Callable> c) {
    Value v;
    v.kind = Kind::callable, v.callable = std::move(c);
    return v;
  }

  bool error() const { return kind == Kind::error; }
  bool is(Kind k) const { return kind == k; }
  bool numeric() const { return kind == Kind::integer || kind == Kind::number; }
  double real() const { return kind == Kind::integer ? static_cast<double>(integer) : number; }
};

/// Equal content. Of tensors, layers and callables: the same one.
bool equal(const Value&, const Value&);
/// As the language writes it: 6, 0.5, "a", ["a", "b"].
std::string show(const Value&);
/// "an integer", "a list".
std::string kind_of(const Value&);
/// A tensor, or the tensors of a list of nothing else; else empty.
std::vector<Value> tensors_of(const Value&);

/// "Conv(64, 3, stride = 2)": see LayerSource.
std::string call_with_values(const ir::LayerDef&, const std::vector<ir::ArgValue>& args);

/// Names of one scope.
struct Env {
  struct Name {
    Value value;
    bool assignable = false, used = false, warn = false;
    Span span;
  };
  std::shared_ptr<Env> parent;
  // of a loop's iteration; of a net's or block's whole body
  enum class Kind : uint8_t { plain, loop, body } kind = Kind::plain;
  std::map<std::string, Name> names;
  std::map<std::string, const std::vector<ast::Arg>*> defaults;  // default Conv(...)
  Name* find(const std::string& name) {
    for (Env* e = this; e; e = e->parent.get())
      if (auto it = e->names.find(name); it != e->names.end()) return &it->second;
    return nullptr;
  }
};
using EnvPtr = std::shared_ptr<Env>;

/// What constructs layers: a layer of the registry, a block, a net, or an op; or a function.
struct Callable {
  const ir::LayerDef* builtin = nullptr;
  const ast::Stmt* block = nullptr;
  const ast::Net* net = nullptr;
  const ast::Stmt *op = nullptr, *function = nullptr;
  EnvPtr env;  // where it was declared
  std::string name() const {
    return builtin ? builtin->name : net ? net->name : (block ? block : op ? op : function)->name;
  }
  const std::vector<ast::Param>& params() const {
    return net ? net->params : (block ? block : op ? op : function)->params;
  }
  Span name_span() const { return net ? net->name_span : (block ? block : op ? op : function)->name_span; }
  bool same(const Callable& c) const { return builtin == c.builtin && block == c.block && net == c.net && op == c.op; }
};

/// A layer: constructed once, applied any number of times with the same weights.
struct LayerValue {
  std::shared_ptr<Callable> made_by;  // null: a sequence
  std::vector<std::shared_ptr<LayerValue>> sequence;
  Span span;                                       // where it was constructed
  std::string wanted_name;                         // let NAME = Layer
  bool numbered = false;                           // the name was given in a loop: NAME1, NAME2
  bool frozen = false;                             // computes as in inference, its weights are not trained
  std::string weights;                             // from FILE: what its weights start as; as written
  Span weights_span;                               // where it was written
  std::string name;                                // fixed when first applied
  std::vector<ir::ArgValue> args;                  // of a builtin, by ArgDef order
  std::vector<Value> tensors;                      // tensor arguments: Add(y)
  std::map<std::string, Value> bound;              // of a block, net or op
  std::vector<std::shared_ptr<LayerValue>> inner;  // of a block or net: layers in order of construction, for sharing
  std::map<std::string, int32_t> variables;        // of a builtin: short name to graph variable
  int applications = 0;
  int depth = 0;  // of layers inside its sequence or its arguments
};

/// let norm = BatchNorm: one layer, constructed where it is first applied.
struct NamedLayer {
  std::string name;
  bool numbered = false;              // the name was given in a loop
  std::shared_ptr<LayerValue> layer;  // null: not constructed yet
};

inline Value Value::of_layer(std::shared_ptr<LayerValue> l) {
  Value v;
  v.kind = Kind::layer, v.depth = l->depth, v.layer = std::move(l);
  return v;
}

}  // namespace netc::sema
