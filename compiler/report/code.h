// What the machine code of a kernel does: its object file, disassembled and counted.
#pragma once
#include <cstdint>
#include <string>

namespace netc::report {

/// Instructions in the text, each counted once however often it runs.
struct Counts {
  int instructions = 0;
  int fma = 0;                // fused multiply-adds, packed and scalar
  int dot = 0;                // of these, how many add two products of bf16 to each float32
  int loads = 0, stores = 0;  // instructions that read or write memory, the stack's frame included
  int spills = 0;             // vector registers stored to the stack's frame or read back from it
  int vector_bits = 0;        // the widest register of packed arithmetic; 0: none
};

/// A kernel: all functions of its object, the bodies of its parallel loops included.
struct Code {
  int64_t bytes = 0;  // of instructions
  Counts all;
  /// of the busiest innermost loop: that with the most multiply-adds, else the most packed arithmetic. Zeros when there
  /// is no loop
  Counts inner;
  int64_t inner_bytes = 0;
};

/// Disassembles an ELF object for x86-64. `cpu` as LLVM names it, empty for any. False and `error` when it is no such
/// object. Thread-safe.
bool inspect(const std::string& object, const std::string& cpu, Code& out, std::string& error);

}  // namespace netc::report
