// The machine description: LLVM names the CPU and its features, the system tells the caches.
#include <unistd.h>

#include <Halide.h>
#include <llvm/ADT/StringMap.h>
#include <llvm/TargetParser/Host.h>

#include <fstream>
#include <iterator>
#include <string>

#include "compiler/machine/machine.h"
#include "runtime/cores.h"

namespace netc {
namespace {

// The kernel's word goes before sysconf's, which on some processors adds up the last caches of all sockets.
int64_t cache(int level, int name, int64_t fallback) {
  for (int i = 0; i < 8; ++i) {
    const std::string folder = "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(i) + "/";
    std::ifstream level_file(folder + "level"), type_file(folder + "type"), size_file(folder + "size");
    int at = 0;
    int64_t size = 0;
    char unit = 0;
    std::string type;
    if (!(level_file >> at)) break;
    if (at == level && type_file >> type && type != "Instruction" && size_file >> size && size > 0)
      return size * (size_file >> unit && unit == 'M' ? 1 << 20 : unit == 'K' ? 1 << 10 : 1);
  }
  const long bytes = sysconf(name);
  return bytes > 0 ? bytes : fallback;
}

/// Processors that add two products of bf16 to a float32 in one instruction (vdpbf16ps).
bool has_bf16_dot(const std::string& halide_target) {
  const Halide::Target t(halide_target);
  return t.has_feature(Halide::Target::AVX512_Zen4) || t.has_feature(Halide::Target::AVX512_Zen5) ||
         t.has_feature(Halide::Target::AVX512_SapphireRapids);
}

void set_vectors(Machine& m, bool avx512) {
  m.vector_floats = avx512 ? 16 : 8;
  m.vector_registers = avx512 ? 32 : 16;
  m.limits.gflops = 12.0 * m.vector_floats;  // two multiply-adds a cycle at 3 GHz
}

}  // namespace

Machine host_machine() {
  Machine m;
  m.cpu = llvm::sys::getHostCPUName().str();
  auto features = llvm::sys::getHostCPUFeatures();
  auto has = [&](const char* f) {
    auto it = features.find(f);
    return it != features.end() && it->second;
  };
  Halide::Target host = Halide::get_host_target();
  m.halide_target = host.to_string();
  set_vectors(m, has("avx512f") && host.has_feature(Halide::Target::AVX512_Skylake));
  m.bf16_dot = has_bf16_dot(m.halide_target) && has("avx512bf16");
  m.l1 = cache(1, _SC_LEVEL1_DCACHE_SIZE, m.l1);
  m.l2 = cache(2, _SC_LEVEL2_CACHE_SIZE, m.l2);
  m.l3 = cache(3, _SC_LEVEL3_CACHE_SIZE, m.l3);
  m.cores = rt::available_cores();
  return m;
}

namespace {
struct Named {
  const char *name, *halide_target, *cpu;
  bool avx512;
};
constexpr Named kTargets[] = {
    {"x86-64-avx2", "x86-64-linux-avx-avx2-f16c-fma-sse41", "haswell", false},
    {"x86-64-avx512", "x86-64-linux-avx-avx2-avx512-avx512_skylake-f16c-fma-sse41", "skylake-avx512", true},
    {"x86-64-avx512-bf16", "x86-64-linux-avx-avx2-avx512-avx512_cannonlake-avx512_skylake-avx512_zen4-f16c-fma-sse41",
     "znver4", true},
};
}  // namespace

bool machine_for(const std::string& target, Machine& out) {
  out = host_machine();
  if (target.empty() || target == "host") return true;
  for (const Named& t : kTargets) {
    if (target != t.name) continue;
    out.halide_target = t.halide_target;
    out.cpu = t.cpu;
    set_vectors(out, t.avx512);
    out.bf16_dot = has_bf16_dot(out.halide_target);
    return true;
  }
  return false;
}

std::string targets_text(const char* conjunction) {
  std::string s = "host";
  for (const Named& t : kTargets)
    s += (&t + 1 == std::end(kTargets) ? std::string(" ") + conjunction + " " : ", ") + t.name;
  return s;
}

}  // namespace netc
