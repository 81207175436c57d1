#include "compiler/tool/explain.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

namespace netc::tool {
namespace {

struct Explanation {
  DiagId id;
  const char* meaning;
  const char* wrong;
  const char* right;
};

const std::vector<Explanation>& explanations() {
  static const std::vector<Explanation> all = {
#define EXPLAIN(id, meaning, wrong, right) {DiagId::id, meaning, wrong, right},
#include "compiler/base/explanations.def"
#undef EXPLAIN
  };
  return all;
}

}  // namespace

int explain(const std::string& id) {
  if (id.empty()) {
    for (const Explanation& e : explanations()) fmt::print("{:<24} {}\n", id_name(e.id), e.meaning);
    return kDone;
  }
  std::vector<std::string> known;
  for (const Explanation& e : explanations()) {
    known.push_back(id_name(e.id));
    if (known.back() != id) continue;
    fmt::print("{} ({})\n\n{}\n\n  wrong:  {}\n  right:  {}\n", id,
               severity_of(e.id) == Severity::error ? "error" : "warning", e.meaning, e.wrong, e.right);
    return kDone;
  }
  const std::string near = nearest_name(id, known);
  print_error(fmt::format("no diagnostic is called {}; {}", id,
                          near.empty() ? "netc explain lists them" : "did you mean " + near + "?"));
  return kFailed;
}

}  // namespace netc::tool
