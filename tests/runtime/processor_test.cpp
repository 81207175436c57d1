// Which instructions a product needs that a processor lacks.
#include "runtime/core/processor.h"

#include "tests/runtime/support.h"

using namespace netc::rt;

namespace {
bool nothing(std::string_view) { return false; }
bool everything(std::string_view) { return true; }
bool avx2(std::string_view set) {
  return set == "sse4.1" || set == "avx" || set == "avx2" || set == "fma" || set == "f16c";
}
bool skylake(std::string_view set) {
  return avx2(set) || set == "avx512f" || set == "avx512cd" || set == "avx512vl" || set == "avx512bw" ||
         set == "avx512dq";
}
}  // namespace

TEST_CASE("the instructions that a target needs and a processor lacks") {
  constexpr const char *kAvx2 = "x86-64-linux-avx-avx2-f16c-fma-sse41",
                       *kAvx512 = "x86-64-linux-avx-avx2-avx512-avx512_skylake-f16c-fma-sse41",
                       *kBf16 =
                           "x86-64-linux-avx-avx2-avx512-avx512_cannonlake-avx512_skylake-avx512_zen4-f16c-fma-sse41";
  struct Case {
    const char* target;
    bool (*has)(std::string_view);
    const char* missing;
  };
  const Case cases[] = {
      {kAvx2, everything, ""},
      {kAvx512, everything, ""},
      {kBf16, everything, ""},
      {kAvx2, avx2, ""},
      {kAvx2, nothing, "avx, avx2, f16c, fma, sse4.1"},
      {kAvx512, avx2, "avx512f, avx512cd, avx512vl, avx512bw, avx512dq"},
      {kAvx512, skylake, ""},
      {kBf16, skylake, "avx512ifma, avx512vbmi, avx512bf16, avx512vpopcntdq, avx512vbmi2, avx512bitalg, avx512vnni"},
      {"x86-64-linux", nothing, ""},
      {"arm-64-linux-arm_dot_prod", nothing, ""},
      {"", nothing, ""},
  };
  for (const Case& c : cases) {
    CAPTURE(c.target);
    CHECK(missing_instructions(c.target, c.has) == c.missing);
  }
}
