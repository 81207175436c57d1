#include "compiler/report/code.h"

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include <fmt/format.h>
#include <llvm/ADT/ArrayRef.h>
#include <llvm/MC/MCAsmInfo.h>
#include <llvm/MC/MCContext.h>
#include <llvm/MC/MCDisassembler/MCDisassembler.h>
#include <llvm/MC/MCInst.h>
#include <llvm/MC/MCInstrAnalysis.h>
#include <llvm/MC/MCInstrInfo.h>
#include <llvm/MC/MCRegisterInfo.h>
#include <llvm/MC/MCSubtargetInfo.h>
#include <llvm/MC/MCTargetOptions.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Object/ELFObjectFile.h>
#include <llvm/Support/MemoryBuffer.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Support/raw_ostream.h>

#include "compiler/report/loops.h"

namespace netc::report {
namespace {

using llvm::StringRef;

/// One instruction, with what the counts need to know.
struct Instruction {
  uint64_t address = 0, size = 0;
  bool fma = false, dot = false, packed = false, load = false, store = false, stack = false;
  bool sets_frame = false;   // rbp := rsp + something: rbp addresses the frame from here on
  bool through_rbp = false;  // a memory operand based on rbp without an index
  int vector_bits = 0;       // the widest vector register among the operands
  bool ends = false;         // a branch, return or trap: the block ends here
  bool goes_on = true;       // to the next instruction, if only sometimes
  bool branch = false;       // to `target`
  uint64_t target = 0;
};

/// xmm, ymm, zmm; 0 for any other register.
int register_bits(StringRef name) {
  if (name.starts_with("ZMM")) return 512;
  if (name.starts_with("YMM")) return 256;
  return name.starts_with("XMM") ? 128 : 0;
}

bool is_dot(StringRef opcode) { return opcode.starts_with("VDPBF16PS"); }

bool is_fma(StringRef opcode) {
  return is_dot(opcode) || opcode.starts_with("VFMADD") || opcode.starts_with("VFMSUB") ||
         opcode.starts_with("VFNMADD") || opcode.starts_with("VFNMSUB");
}

/// Arithmetic on every lane: VMULPSZrr, VADDPSYrm, VFMADD231PSZr, VMAXPSrr. Moves, shuffles and conversions are not.
bool is_packed(StringRef opcode) {
  if (!opcode.contains("PS") && !opcode.contains("PD")) return false;
  for (const char* stem :
       {"VADD", "VSUB", "VMUL", "VDIV", "VMAX", "VMIN", "VSQRT", "ADD", "SUB", "MUL", "DIV", "MAX", "MIN", "SQRT"})
    if (opcode.starts_with(stem)) return true;
  return is_fma(opcode);
}

/// LLVM's machinery for one target.
struct Disassembler {
  std::unique_ptr<llvm::MCRegisterInfo> registers;
  std::unique_ptr<llvm::MCAsmInfo> syntax;
  std::unique_ptr<llvm::MCSubtargetInfo> subtarget;
  std::unique_ptr<llvm::MCInstrInfo> instructions;
  std::unique_ptr<llvm::MCInstrAnalysis> analysis;
  std::unique_ptr<llvm::MCContext> context;
  std::unique_ptr<llvm::MCDisassembler> decoder;

  bool open(const llvm::Triple& triple, const std::string& cpu, std::string& error) {
    static std::once_flag once;
    std::call_once(once, [] {
      llvm::InitializeAllTargetInfos();
      llvm::InitializeAllTargetMCs();
      llvm::InitializeAllDisassemblers();
    });
    const llvm::Target* target = llvm::TargetRegistry::lookupTarget(triple.str(), error);
    if (!target) return false;
    registers.reset(target->createMCRegInfo(triple.str()));
    instructions.reset(target->createMCInstrInfo());
    subtarget.reset(target->createMCSubtargetInfo(triple.str(), cpu, ""));
    if (registers) syntax.reset(target->createMCAsmInfo(*registers, triple.str(), llvm::MCTargetOptions()));
    if (!registers || !instructions || !subtarget || !syntax)
      return error = "no disassembler for " + triple.str(), false;
    analysis.reset(target->createMCInstrAnalysis(instructions.get()));
    context = std::make_unique<llvm::MCContext>(triple, syntax.get(), registers.get(), subtarget.get());
    decoder.reset(target->createMCDisassembler(*subtarget, *context));
    if (!decoder || !analysis) return error = "no disassembler for " + triple.str(), false;
    return true;
  }

  StringRef name(llvm::MCRegister r) const { return registers->getName(r); }

  Instruction read(const llvm::MCInst& inst, uint64_t address, uint64_t size) const {
    const llvm::MCInstrDesc& about = instructions->get(inst.getOpcode());
    const StringRef opcode = instructions->getName(inst.getOpcode());
    Instruction i;
    i.address = address;
    i.size = size;
    i.fma = is_fma(opcode);
    i.dot = is_dot(opcode);
    i.packed = is_packed(opcode);
    const bool moves_stack =
        about.isCall() || about.isReturn() || opcode.starts_with("PUSH") || opcode.starts_with("POP");
    i.load = about.mayLoad() && !moves_stack;
    i.store = about.mayStore() && !moves_stack;
    for (unsigned k = 0; k < inst.getNumOperands(); ++k)
      if (inst.getOperand(k).isReg())
        i.vector_bits = std::max(i.vector_bits, register_bits(name(inst.getOperand(k).getReg())));
    address_of(inst, about, i);
    if (opcode == "MOV64rr" || opcode == "LEA64r")
      i.sets_frame = name(inst.getOperand(0).getReg()) == "RBP" && inst.getOperand(1).isReg() &&
                     name(inst.getOperand(1).getReg()) == "RSP";
    i.ends = about.isBranch() || about.isTerminator() || about.isBarrier();
    i.goes_on = !about.isBarrier() && !about.isReturn();
    i.branch = about.isBranch() && analysis->evaluateBranch(inst, address, size, i.target);
    return i;
  }

 private:
  /// Where the memory operand lies: five operands on x86: base, scale, index, displacement, segment.
  void address_of(const llvm::MCInst& inst, const llvm::MCInstrDesc& about, Instruction& i) const {
    for (unsigned k = 0; k + 2 < inst.getNumOperands() && k < about.getNumOperands(); ++k) {
      if (about.operands()[k].OperandType != llvm::MCOI::OPERAND_MEMORY) continue;
      if (!inst.getOperand(k).isReg() || !inst.getOperand(k + 2).isReg()) return;
      const StringRef base = name(inst.getOperand(k).getReg());
      const bool indexed = inst.getOperand(k + 2).getReg() != 0;
      i.stack = base == "RSP" && !indexed;
      i.through_rbp = base == "RBP" && !indexed;
      return;
    }
  }
};

Counts count(const std::vector<Instruction>& code) {
  Counts c;
  for (const Instruction& i : code) {
    ++c.instructions;
    c.fma += i.fma;
    c.dot += i.dot;
    c.loads += i.load;
    c.stores += i.store;
    c.spills += i.stack && i.vector_bits > 0 && (i.load || i.store);
    if (i.packed) c.vector_bits = std::max(c.vector_bits, i.vector_bits);
  }
  return c;
}

int64_t bytes_of(const std::vector<Instruction>& code) {
  int64_t bytes = 0;
  for (const Instruction& i : code) bytes += static_cast<int64_t>(i.size);
  return bytes;
}

/// Bits of arithmetic in one turn of a loop; any multiply-add outweighs all else.
int64_t work_of(const std::vector<Instruction>& code) {
  int64_t work = 1;
  for (const Instruction& i : code)
    work += (i.fma ? 1 << 20 : i.packed ? 1 : 0) * int64_t{i.packed ? i.vector_bits : 32};
  return work;
}

/// The instructions of each innermost loop of a function.
std::vector<std::vector<Instruction>> loops_of(const std::vector<Instruction>& code) {
  std::map<uint64_t, int> heads{{code.front().address, 0}};  // where blocks begin; then their numbers
  for (const Instruction& i : code) {
    if (i.ends) heads.emplace(i.address + i.size, 0);
    if (i.branch) heads.emplace(i.target, 0);
  }
  int blocks = 0;
  for (auto& head : heads) head.second = blocks++;
  std::vector<std::vector<int>> next(heads.size());
  std::vector<std::vector<Instruction>> inside(heads.size()), loops;
  const auto follows = [&](int block, uint64_t address) {
    const auto to = heads.find(address);
    if (to != heads.end()) next[block].push_back(to->second);
  };
  int block = 0;
  for (const Instruction& i : code) {
    if (const auto head = heads.find(i.address); head != heads.end()) block = head->second;
    inside[block].push_back(i);
    if (i.goes_on) follows(block, i.address + i.size);
    if (i.branch) follows(block, i.target);
  }
  for (const std::vector<int>& loop : innermost_loops(next)) {
    loops.emplace_back();
    for (int b : loop) loops.back().insert(loops.back().end(), inside[b].begin(), inside[b].end());
  }
  return loops;
}

void add(Counts& sum, const Counts& c) {
  sum.instructions += c.instructions;
  sum.fma += c.fma;
  sum.dot += c.dot;
  sum.loads += c.loads;
  sum.stores += c.stores;
  sum.spills += c.spills;
  sum.vector_bits = std::max(sum.vector_bits, c.vector_bits);
}

/// Adds one function's instructions to `out`.
void add_function(std::vector<Instruction>& code, Code& out, int64_t& busiest) {
  if (code.empty()) return;
  const bool frame = std::any_of(code.begin(), code.end(), [](const Instruction& i) { return i.sets_frame; });
  for (Instruction& i : code) i.stack = i.stack || (frame && i.through_rbp);
  add(out.all, count(code));
  out.bytes += bytes_of(code);
  for (const std::vector<Instruction>& loop : loops_of(code)) {
    const int64_t work = work_of(loop);
    if (work <= busiest) continue;
    busiest = work;
    out.inner = count(loop);
    out.inner_bytes = bytes_of(loop);
  }
}

/// The code of a symbol and its address in the section; "" when it is no function here.
std::string function_bytes(const llvm::object::ELFObjectFileBase& file, const llvm::object::ELFSymbolRef& symbol,
                           uint64_t& begin) {
  if (symbol.getELFType() != llvm::ELF::STT_FUNC || symbol.getSize() == 0) return "";
  auto section = symbol.getSection();
  auto address = symbol.getAddress();
  if (!section) llvm::consumeError(section.takeError());
  if (!address) llvm::consumeError(address.takeError());
  if (!section || !address || *section == file.section_end()) return "";
  auto contents = (*section)->getContents();
  if (!contents) llvm::consumeError(contents.takeError());
  if (!contents || *address > contents->size()) return "";
  begin = *address;
  return contents->substr(begin, symbol.getSize()).str();
}

}  // namespace

bool inspect(const std::string& object, const std::string& cpu, Code& out, std::string& error) {
  out = {};
  auto file = llvm::object::ObjectFile::createObjectFile(llvm::MemoryBufferRef(object, "kernel"));
  if (!file) return error = llvm::toString(file.takeError()), false;
  const llvm::Triple triple = (*file)->makeTriple();
  if (triple.getArch() != llvm::Triple::x86_64)
    return error = "code for " + triple.str() + " cannot be looked into; only for x86-64", false;
  Disassembler disassembler;
  if (!disassembler.open(triple, cpu, error)) return false;
  auto* elf = llvm::dyn_cast<llvm::object::ELFObjectFileBase>(file->get());
  if (!elf) return error = "the object is no ELF file", false;
  int64_t busiest = 0;
  for (const llvm::object::ELFSymbolRef& symbol : elf->symbols()) {
    uint64_t begin = 0;
    const std::string bytes = function_bytes(*elf, symbol, begin);
    std::vector<Instruction> code;
    const llvm::ArrayRef<uint8_t> view(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    for (uint64_t at = 0; at < view.size();) {
      llvm::MCInst inst;
      uint64_t size = 0;
      if (disassembler.decoder->getInstruction(inst, size, view.slice(at), begin + at, llvm::nulls()) !=
          llvm::MCDisassembler::Success)
        return error = fmt::format("an instruction at {:#x} cannot be read", begin + at), false;
      code.push_back(disassembler.read(inst, begin + at, size));
      at += size;
    }
    add_function(code, out, busiest);
  }
  if (out.bytes == 0) return error = "the object holds no function", false;
  return true;
}

}  // namespace netc::report
