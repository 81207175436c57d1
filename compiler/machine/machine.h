// One machine, as every stage sees it: what forms, nests, plans and code are chosen for.
#pragma once
#include <cstdint>
#include <string>

namespace netc {

/// What arithmetic and memory give at most: typical figures, until they are measured (tune/limits.h).
struct Limits {
  double gflops = 96;         // float32, one core
  double cache_gbytes = 60;   // read from its second cache by one core, in GB/s
  double memory_gbytes = 25;  // read from memory by all cores together
};

/// What a machine can do, read from the host or from a target's name.
struct Machine {
  int vector_floats = 8;  // lanes of the widest float vector used
  int vector_registers = 16;
  int64_t l1 = 32 << 10, l2 = 512 << 10, l3 = 16 << 20;  // bytes
  int cores = 2;
  bool bf16_dot = false;      // one instruction adds two products of bf16 to a float32: twice float32's multiply-adds
  std::string halide_target;  // "x86-64-linux-avx-avx2-f16c-fma-sse41"
  std::string cpu;            // as LLVM names it
  Limits limits = {};
};
Machine host_machine();
/// The machine that --target names: "host", or one of the table in machine.cpp. False when it is unknown.
bool machine_for(const std::string& target, Machine& out);

/// "host, x86-64-avx2, x86-64-avx512 or x86-64-avx512-bf16"
std::string targets_text(const char* conjunction = "or");

}  // namespace netc
