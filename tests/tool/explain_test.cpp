// Every diagnostic has an explanation, and no explanation is left over.
#include <doctest/doctest.h>

#include <set>
#include <string>

#include "compiler/base/diagnostics.h"

using namespace netc;

TEST_CASE("every diagnostic is explained") {
  std::set<std::string> explained;
#define EXPLAIN(id, meaning, wrong, right)             \
  CHECK(explained.insert(id_name(DiagId::id)).second); \
  CHECK(std::string(meaning).size() > 20);             \
  CHECK(std::string(wrong) != right);
#include "compiler/base/explanations.def"
#undef EXPLAIN
#define DIAG(id, severity, text) CHECK_MESSAGE(explained.count(#id) == 1, #id);
#include "compiler/base/diagnostics.def"
#undef DIAG
}
