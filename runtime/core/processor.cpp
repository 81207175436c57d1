#include "runtime/core/processor.h"

#include <cstddef>

namespace netc::rt {
namespace {

/// What each word of a target needs, as the compiler's builtin calls it.
struct Needs {
  std::string_view word;
  std::string_view sets[14];
};
constexpr Needs kNeeds[] = {
    {"sse41", {"sse4.1"}},
    {"avx", {"avx"}},
    {"avx2", {"avx2"}},
    {"fma", {"fma"}},
    {"f16c", {"f16c"}},
    {"avx512", {"avx512f", "avx512cd"}},
    {"avx512_skylake", {"avx512f", "avx512cd", "avx512vl", "avx512bw", "avx512dq"}},
    {"avx512_cannonlake", {"avx512f", "avx512cd", "avx512vl", "avx512bw", "avx512dq", "avx512ifma", "avx512vbmi"}},
    {"avx512_zen4",
     {"avx512f", "avx512cd", "avx512vl", "avx512bw", "avx512dq", "avx512ifma", "avx512vbmi", "avx512bf16",
      "avx512vpopcntdq", "avx512vbmi2", "avx512bitalg", "avx512vnni"}},
    {"avx512_zen5",
     {"avx512f", "avx512cd", "avx512vl", "avx512bw", "avx512dq", "avx512ifma", "avx512vbmi", "avx512bf16",
      "avx512vpopcntdq", "avx512vbmi2", "avx512bitalg", "avx512vnni"}},
    {"avx512_sapphirerapids",
     {"avx512f", "avx512cd", "avx512vl", "avx512bw", "avx512dq", "avx512ifma", "avx512vbmi", "avx512bf16",
      "avx512vnni"}},
};

bool this_processor_has([[maybe_unused]] std::string_view set) {
#if defined(__x86_64__)
  __builtin_cpu_init();
#define NETC_HAS(name) \
  if (set == name) return __builtin_cpu_supports(name)
  NETC_HAS("sse4.1");
  NETC_HAS("avx");
  NETC_HAS("avx2");
  NETC_HAS("fma");
  NETC_HAS("f16c");
  NETC_HAS("avx512f");
  NETC_HAS("avx512cd");
  NETC_HAS("avx512vl");
  NETC_HAS("avx512bw");
  NETC_HAS("avx512dq");
  NETC_HAS("avx512ifma");
  NETC_HAS("avx512vbmi");
  NETC_HAS("avx512bf16");
  NETC_HAS("avx512vpopcntdq");
  NETC_HAS("avx512vbmi2");
  NETC_HAS("avx512bitalg");
  NETC_HAS("avx512vnni");
#undef NETC_HAS
#endif
  return true;
}

}  // namespace

std::string missing_instructions(std::string_view target, bool (*has)(std::string_view)) {
  std::string missing;
  while (!target.empty()) {
    const size_t end = target.find('-');
    const std::string_view word = target.substr(0, end);
    target = end == std::string_view::npos ? std::string_view() : target.substr(end + 1);
    for (const Needs& n : kNeeds) {
      if (n.word != word) continue;
      for (const std::string_view set : n.sets)
        if (!set.empty() && !has(set) && (", " + missing + ",").find(" " + std::string(set) + ",") == std::string::npos)
          missing += (missing.empty() ? "" : ", ") + std::string(set);
    }
  }
  return missing;
}

std::string cannot_run(std::string_view target) {
  const std::string missing = missing_instructions(target, &this_processor_has);
  if (missing.empty()) return "";
  constexpr std::string_view kLeast = "x86-64-linux-avx-avx2-f16c-fma-sse41";
  const bool least = missing_instructions(kLeast, &this_processor_has).empty();
  return "this processor has no " + missing + ", for which it was compiled; " +
         (least ? "compile it with netc --target x86-64-avx2, which runs here"
                : "netc's least target is x86-64-avx2, a processor with AVX2 and FMA");
}

}  // namespace netc::rt
