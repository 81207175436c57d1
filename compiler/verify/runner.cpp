#include "compiler/verify/runner.h"

#include <dlfcn.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include <HalideRuntime.h>
#include <fmt/format.h>

#include "compiler/emit/link.h"
#include "compiler/emit/process.h"
#include "compiler/verify/elements.h"
#include "runtime/arena.h"
#include "runtime/kernel_support.h"

namespace netc::verify {
namespace {

using plan::Buffer;
using plan::Kernel;
using plan::Phase;
using plan::Plan;
using plan::Storage;

using Function = int (*)(void**);  // Halide's _argv form: a pointer to each argument

constexpr int64_t kGuard = 64;  // bytes behind a block
constexpr uint8_t kGuardByte = 0xa5;

halide_type_t type_of(ir::DType t) {
  switch (t) {
    case ir::DType::f32: return {halide_type_float, 32};
    case ir::DType::u8: return {halide_type_uint, 8};
    case ir::DType::i32: return {halide_type_int, 32};
    case ir::DType::u32: return {halide_type_uint, 32};
    case ir::DType::bf16: return {halide_type_bfloat, 16};
  }
  return {halide_type_float, 32};
}

/// A tensor as kernels take it.
struct Tensor : halide_buffer_t {
  halide_dimension_t shape[9];
  Tensor() : halide_buffer_t{}, shape{} { dim = shape; }
  Tensor(const Tensor&) = delete;

  void set(ir::DType element, const std::vector<plan::StoredDim>& dims) {
    type = type_of(element);
    dimensions = 0;
    for (const plan::StoredDim& d : dims)
      shape[dimensions++] = {0, static_cast<int32_t>(d.extent), static_cast<int32_t>(d.stride), 0};
  }
  void set_batch(int n) { shape[dimensions - 1].extent = n; }
};

class Loaded final : public Kernels {
 public:
  explicit Loaded(const Plan& p) : plan(p) {}
  ~Loaded() override {
    if (handle_) dlclose(handle_);
  }

  bool load(const Machine& m, const lower::Options& options, const emit::Toolchain& tools, std::string& error) {
    std::vector<lower::Object> objects;
    if (!lower::lower_all(plan, m, options, objects, error)) return false;
    const emit::TempFolder temp;
    if (!temp.ok(error)) return false;
    const std::string library = temp.file("kernels.so");
    std::vector<std::string> command = emit::split_words(tools.cxx);
    command.insert(command.end(), {"-shared", "-nostdlib", "-o", library});
    std::set<std::string> seen;
    for (const lower::Object& o : objects) {
      scratch = std::max(scratch, static_cast<size_t>(o.scratch));
      if (!seen.insert(o.symbol).second) continue;
      command.push_back(temp.file(o.symbol + ".o"));
      if (!emit::write_file(command.back(), o.object, error)) return false;
    }
    if (plan.kernels.empty()) return true;
    if (!emit::run_process(command, error)) return error = "linking the kernels: " + error, false;
    handle_ = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle_) return error = dlerror(), false;
    for (const lower::Object& o : objects) {
      functions.push_back(reinterpret_cast<Function>(dlsym(handle_, (o.symbol + "_argv").c_str())));
      if (!functions.back()) return error = "there is no kernel " + o.symbol, false;
    }
    return true;
  }

  const Plan& plan;
  std::vector<Function> functions;
  size_t scratch = 0;

 private:
  void* handle_ = nullptr;
};

/// A piece of memory with a guard behind it.
struct Piece {
  rt::AlignedMemory memory;
  int64_t bytes = 0;
  uint8_t* at() const { return static_cast<uint8_t*>(memory.get()); }
};

// all bits set: NaN as float32 and as bf16
void fill_with_nan(uint8_t* at, int64_t bytes) { std::memset(at, 0xff, static_cast<size_t>(bytes)); }

class Instance final : public Run {
 public:
  Instance(const Loaded& l, Layout layout, int batch)
      : l_(l),
        p_(l.plan),
        g_(*l.plan.graph),
        layout_(layout),
        batch_(batch) {}

  bool create(int threads, std::string& error) {
    context_ = rt::Context::create(threads, l_.scratch, error);
    if (!context_) return false;
    std::vector<rt::ArenaBlock> blocks = p_.blocks;
    for (rt::ArenaBlock& b : blocks) {  // with room for the guard
      b = {rt::arena_bytes(b, batch_, slice()) + kGuard, 0, layout_ == Layout::apart ? 0 : b.first,
           layout_ == Layout::apart ? 0 : b.last, b.whole};
      sizes_.push_back(b.fixed - kGuard);
    }
    offsets_.resize(blocks.size());
    arena_ = piece(rt::place_blocks(blocks, batch_, 0, offsets_.data()));
    std::map<int32_t, int64_t> outside;
    for (const Buffer& b : p_.buffers)
      if (b.storage != Storage::arena) outside[b.variable] = std::max(outside[b.variable], bytes_of(b));
    for (const auto& [variable, bytes] : outside) outside_[variable] = piece(bytes);
    for (const Buffer& b : p_.buffers) {
      if (b.storage != Storage::constant) continue;
      const ir::Variable& v = g_.variables[b.variable];
      write_elements(b.type.dtype, {{}, {v.literal.begin(), v.literal.end()}}, outside_.at(b.variable).at());
    }
    tensors_ = std::vector<Tensor>(p_.buffers.size());
    for (size_t i = 0; i < p_.buffers.size(); ++i) describe(i, 0, batch_);
    for (int k = 0; k < static_cast<int>(p_.kernels.size()); ++k)
      (p_.kernels[k].phase == Phase::prepare ? order_ : rest_).push_back(k);
    order_.insert(order_.end(), rest_.begin(), rest_.end());
    return true;
  }

  void set(const Contents& contents) override {
    for (const auto& [variable, memory] : outside_) {
      const ir::Variable& v = g_.variables[variable];
      const auto given = contents.find(v.name);
      if (v.role == ir::Role::constant || given == contents.end()) continue;
      const ir::Type& t = g_.type(v.value);
      if (t.has_any_extent() || ingests(variable)) raw_[variable] = given->second;
      else write_elements(t.dtype, given->second, memory.at());
    }
  }

  bool step(std::string& error) override {
    started_.clear();
    fill_with_nan(arena_.at(), arena_.bytes);
    for (size_t k = 0; k < p_.kernels.size(); ++k)  // the data loader is done with a batch before its step begins
      if (p_.kernels[k].phase == Phase::ingest && !run_ingest(k, error)) return false;
    for (size_t i = 0; i < order_.size();) {
      const int k = order_[i];
      const bool in_slices = slice() > 0 && p_.kernels[k].phase == Phase::forward;
      size_t end = i + 1;
      if (in_slices)
        while (end < order_.size() && p_.kernels[order_[end]].phase == Phase::forward) ++end;
      else
        while (p_.kernels[order_[end - 1]].with_next && end < order_.size()) ++end;
      if (!(in_slices ? run_slices(i, end, error) : run_group(i, end, error))) return false;
      i = end;
    }
    return true;
  }

  bool run_kernel(size_t k, std::string& error) override {
    if (p_.kernels[k].phase == Phase::ingest) return run_ingest(k, error);
    const std::vector<uint8_t> before(arena_.at(), arena_.at() + arena_.bytes);
    if (!call(k, error)) return false;
    std::vector<bool> mine(p_.blocks.size(), false);
    for (int b : p_.kernels[k].outputs)
      if (p_.buffers[b].storage == Storage::arena) mine[p_.buffers[b].arena_block] = true;
    for (size_t b = 0; b < mine.size(); ++b) {
      const int64_t from = offsets_[b] + (mine[b] ? sizes_[b] : 0), to = offsets_[b] + sizes_[b] + kGuard;
      if (std::memcmp(before.data() + from, arena_.at() + from, static_cast<size_t>(to - from)) != 0)
        return error = fmt::format("kernel {} writes outside of its results", p_.kernels[k].name), false;
    }
    return guarded(k, error);
  }

  void put(int buffer, const ir::RefTensor& t) override {
    write_tensor(p_.buffers[buffer], t, batch_, tensors_[buffer].host);
  }
  ir::RefTensor get(int buffer) const override {
    return read_tensor(p_.buffers[buffer], batch_, tensors_[buffer].host);
  }

 private:
  int slice() const { return layout_ == Layout::product ? p_.slice : 0; }
  int64_t bytes_of(const Buffer& b) const {
    const ir::Type& t =
        b.storage == Storage::input || b.storage == Storage::label ? b.type : g_.type(g_.variables[b.variable].value);
    return t.has_any_extent() ? 0 : t.batched ? b.sample_bytes() * batch_ : t.bytes();
  }
  static Piece piece(int64_t bytes) {
    Piece p{rt::allocate_aligned(static_cast<size_t>(bytes + 2 * kGuard)), bytes};
    fill_with_nan(p.at(), bytes);
    std::memset(p.at() + bytes, kGuardByte, kGuard);
    return p;
  }

  // A tensor of the samples from `first` on; those that have a slice's samples only lie at the beginning of their
  // block.
  void describe(size_t i, int first, int n) {
    const Buffer& b = p_.buffers[i];
    Tensor& t = tensors_[i];
    t.set(b.type.dtype, stored_dims(b));
    if (b.type.batched) t.set_batch(n);
    uint8_t* at = b.storage == Storage::arena ? arena_.at() + offsets_[b.arena_block] : outside_.at(b.variable).at();
    const bool all = b.storage != Storage::arena || b.whole || slice() == 0;
    t.host = at;
    if (!b.type.has_any_extent())
      t.host = (at + b.sample_at * size_of(b.type.dtype) + (b.type.batched && all ? b.sample_bytes() * first : 0));
  }

  bool call(size_t k, std::string& error) {
    void* user = context_.get();
    std::vector<void*> args = {&user};
    for (const auto* list : {&p_.kernels[k].inputs, &p_.kernels[k].outputs})
      for (int b : *list) args.push_back(static_cast<halide_buffer_t*>(&tensors_[b]));
    const size_t before = context_->heap_blocks();
    if (const int code = l_.functions[k](args.data()))
      return error = fmt::format("kernel {} returned {}: {}", p_.kernels[k].name, code, context_->last_error()), false;
    if (context_->heap_blocks() > before)
      return error = fmt::format("kernel {} asks for more scratch memory than its bound", p_.kernels[k].name), false;
    return true;
  }

  bool ingests(int32_t variable) const {
    return std::any_of(p_.inputs.begin(), p_.inputs.end(),
                       [&](const plan::InputPort& port) { return port.variable == variable && !port.ingests.empty(); });
  }

  // The data loader's kernel: each sample by itself, as large as it is.
  bool run_ingest(size_t k, std::string& error) {
    const Kernel& kernel = p_.kernels[k];
    const Buffer &from = p_.buffers[kernel.inputs[0]], &to = p_.buffers[kernel.outputs[0]];
    const ir::RefTensor& raw = raw_[from.variable];
    if (raw.dims.size() != 4) return error = fmt::format("kernel {} has no image", kernel.name), false;
    const int64_t height = raw.dims[1], width = raw.dims[2], channels = raw.dims[3],
                  elements = height * width * channels;
    std::vector<float> room(static_cast<size_t>(elements));
    for (int n = 0; n < batch_; ++n) {
      const auto first = raw.data.begin() + n * elements;
      write_elements(from.type.dtype, {{}, {first, first + elements}}, room.data());
      Tensor image, ingested;
      image.set(from.type.dtype, {{channels, 1}, {width, channels}, {height, channels * width}});
      image.host = reinterpret_cast<uint8_t*>(room.data());
      auto dims = stored_dims(to);
      dims.resize(to.type.dims.size());
      ingested.set(to.type.dtype, dims);
      ingested.host = tensors_[kernel.outputs[0]].host + n * to.sample_bytes();
      void* user = context_.get();
      void* args[] = {&user, static_cast<halide_buffer_t*>(&image), static_cast<halide_buffer_t*>(&ingested)};
      if (const int code = l_.functions[k](args))
        return error = fmt::format("kernel {} returned {}", kernel.name, code), false;
    }
    return guarded(k, error);
  }

  bool guarded(size_t k, std::string& error) {
    for (const auto& [variable, piece] : outside_)
      for (int64_t i = 0; i < kGuard; ++i)
        if (piece.at()[piece.bytes + i] != kGuardByte)
          return error = fmt::format("kernel {} writes behind {}", p_.kernels[k].name, g_.variables[variable].name),
                 false;
    return true;
  }

  // Blocks begin their life with NaN, and have a guard behind them as long as they live.
  bool run_group(size_t begin, size_t end, std::string& error) {
    if (p_.kernels[order_[begin]].phase == Phase::ingest) return true;
    const int time = static_cast<int>(begin);
    std::vector<size_t> alive;
    for (size_t b = 0; b < p_.blocks.size(); ++b) {
      if (p_.blocks[b].first > time + static_cast<int>(end - begin) - 1 || p_.blocks[b].last < time) continue;
      alive.push_back(b);
      if (p_.blocks[b].first >= time && !started_[b])
        fill_with_nan(arena_.at() + offsets_[b], sizes_[b]), started_[b] = true;
      std::memset(arena_.at() + offsets_[b] + sizes_[b], kGuardByte, kGuard);
    }
    if (end - begin == 1) {
      if (!call(order_[begin], error)) return false;
    } else {
      struct Step {
        Instance* self;
        size_t kernel;
        std::string* error;
      };
      std::vector<Step> steps;
      for (size_t i = begin; i < end; ++i) steps.push_back({this, static_cast<size_t>(order_[i]), &error});
      std::vector<rt::Call> calls;
      for (Step& s : steps)
        calls.push_back({[](void* of) {
                           const Step& s = *static_cast<Step*>(of);
                           return s.self->call(s.kernel, *s.error) ? 0 : -1;
                         },
                         &s});
      if (context_->in_step(calls.data(), calls.size()) != 0)
        return error = error.empty() ? "kernels in step failed" : error, false;
    }
    for (size_t b : alive)
      for (int64_t i = 0; i < kGuard; ++i)
        if (arena_.at()[offsets_[b] + sizes_[b] + i] != kGuardByte)
          return error = fmt::format("kernel {} writes behind a block of the arena", p_.kernels[order_[begin]].name),
                 false;
    return guarded(static_cast<size_t>(order_[begin]), error);
  }

  bool run_slices(size_t begin, size_t end, std::string& error) {
    for (int first = 0; first < batch_; first += slice()) {
      const int n = std::min(slice(), batch_ - first);
      for (size_t i = 0; i < p_.buffers.size(); ++i) describe(i, first, n);
      for (size_t i = begin; i < end; ++i)
        if (!run_group(i, i + 1, error)) return false;
      for (size_t b = 0; b < p_.blocks.size(); ++b)  // the next slice writes them anew
        if (!p_.blocks[b].whole && p_.blocks[b].first >= static_cast<int>(begin)) started_[b] = false;
    }
    for (size_t i = 0; i < p_.buffers.size(); ++i) describe(i, 0, batch_);
    return true;
  }

  const Loaded& l_;
  const Plan& p_;
  const ir::Graph& g_;
  const Layout layout_;
  const int batch_;
  std::unique_ptr<rt::Context> context_;
  Piece arena_;
  std::vector<int64_t> offsets_, sizes_;  // of the arena's blocks, bytes
  std::map<int32_t, Piece> outside_;      // by variable
  std::map<int32_t, ir::RefTensor> raw_;  // images of any size, by variable
  std::vector<Tensor> tensors_;
  std::vector<int> order_, rest_;   // kernels in a product's order; those that are not prepared
  std::map<size_t, bool> started_;  // blocks that were written since they began
};

}  // namespace

std::unique_ptr<Kernels> Kernels::load(const Plan& p, const Machine& m, const lower::Options& options,
                                       const emit::Toolchain& tools, std::string& error) {
  auto kernels = std::make_unique<Loaded>(p);
  if (!kernels->load(m, options, tools, error)) return nullptr;
  return kernels;
}

std::unique_ptr<Run> Run::create(const Kernels& kernels, Layout layout, int batch, int threads, std::string& error) {
  auto run = std::make_unique<Instance>(static_cast<const Loaded&>(kernels), layout, batch);
  if (!run->create(threads, error)) return nullptr;
  return run;
}

}  // namespace netc::verify
