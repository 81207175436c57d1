#include "compiler/lower/stores_last.h"

#include <vector>

namespace netc::lower {
namespace {

using namespace Halide::Internal;
using Halide::Expr;

/// The statements of a block, one after another.
void flatten(const Stmt& s, std::vector<Stmt>& out) {
  if (const auto* b = s.as<Block>()) return flatten(b->first, out), flatten(b->rest, out);
  out.push_back(s);
}

/// The store inside names that are given to parts of it, or null.
const Store* store_in(const Stmt& s) {
  if (const auto* let = s.as<LetStmt>()) return store_in(let->body);
  return s.as<Store>();
}

}  // namespace

Stmt StoresLast::visit(const Block* op) {
  std::vector<Stmt> all, done;
  flatten(op, all);
  for (size_t i = 0; i < all.size();) {
    size_t end = i;
    for (const Store* s; end < all.size() && (s = store_in(all[end])) && s->name.rfind(prefix_, 0) == 0;) ++end;
    if (end - i < 2) {
      done.push_back(mutate(all[i++]));
      continue;
    }
    std::vector<std::pair<std::string, Expr>> names;  // of what is computed, in order
    std::vector<Stmt> stores;
    for (; i < end; ++i) {
      Stmt s = all[i];
      for (const LetStmt* let; (let = s.as<LetStmt>()); s = let->body) names.push_back({let->name, let->value});
      const Store* store = s.as<Store>();
      names.push_back({unique_name("result"), store->value});
      stores.push_back(Store::make(store->name, Variable::make(store->value.type(), names.back().first), store->index,
                                   store->param, store->predicate, store->alignment));
    }
    Stmt body = Block::make(stores);
    for (auto n = names.rbegin(); n != names.rend(); ++n) body = LetStmt::make(n->first, n->second, body);
    done.push_back(body);
  }
  return Block::make(done);
}

}  // namespace netc::lower
