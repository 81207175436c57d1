#include "tests/support/kernel_runner.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>
#include <type_traits>
#include <utility>

#include <HalideRuntime.h>
#include <fmt/format.h>

#include "compiler/lower/lower.h"
#include "runtime/kernel_support.h"
#include "tests/support/bf16.h"

using namespace netc;

namespace {

struct Loaded {
  std::string dir;
  void* handle = nullptr;
  ~Loaded() {
    if (handle) dlclose(handle);
    std::error_code ec;
    std::filesystem::remove_all(dir, ec);
  }
};

/// What this process has compiled: the same kernels at another batch, or with other threads, are not compiled again.
const std::string& compiled() {
  struct Folder {
    std::string path = (std::filesystem::temp_directory_path() / "netc-test-cache-XXXXXX").string();
    Folder() { if (!mkdtemp(path.data())) path.clear(); }
    ~Folder() {
      std::error_code ec;
      if (!path.empty()) std::filesystem::remove_all(path, ec);
    }
  };
  static const Folder folder;
  return folder.path;
}

using Kernel = int (*)(void**);  // Halide's _argv form: a pointer to each argument

void store(const ir::RefTensor& t, ir::DType type, void* to) {
  for (size_t i = 0; i < t.data.size(); ++i) switch (type) {
    case ir::DType::f32: static_cast<float*>(to)[i] = static_cast<float>(t.data[i]); break;
    case ir::DType::u8: static_cast<uint8_t*>(to)[i] = static_cast<uint8_t>(t.data[i]); break;
    case ir::DType::i32: static_cast<int32_t*>(to)[i] = static_cast<int32_t>(t.data[i]); break;
    case ir::DType::u32: static_cast<uint32_t*>(to)[i] = static_cast<uint32_t>(t.data[i]); break;
    case ir::DType::bf16: static_cast<uint16_t*>(to)[i] = support::rounded(static_cast<float>(t.data[i])); break;
  }
}

halide_type_t type_of(ir::DType t) {
  switch (t) {
    case ir::DType::f32: return halide_type_t(halide_type_float, 32);
    case ir::DType::u8: return halide_type_t(halide_type_uint, 8);
    case ir::DType::i32: return halide_type_t(halide_type_int, 32);
    case ir::DType::bf16: return halide_type_t(halide_type_bfloat, 16);
    default: return halide_type_t(halide_type_uint, 32);
  }
}

/// Where element i of a tensor in blocks lies.
int64_t stored_at(const schedule::Buffer& b, int64_t i) {
  std::vector<int64_t> at;  // innermost first
  for (auto extent = b.type.dims.rbegin(); extent != b.type.dims.rend(); i /= *extent++) at.push_back(i % *extent);
  const int64_t lane = at[static_cast<size_t>(b.block_dim)];
  std::vector<int64_t> stored = {lane % b.block};
  if (b.pair_dim >= 0) stored.insert(stored.begin(), std::exchange(at[static_cast<size_t>(b.pair_dim)], at[static_cast<size_t>(b.pair_dim)] / 2) % 2);
  for (int d = 0; d < b.type.rank(); ++d)
    if (d != b.block_dim) stored.push_back(at[static_cast<size_t>(d)]);
  stored.push_back(lane / b.block);
  const auto dims = stored_dims(b);
  int64_t offset = 0;
  for (size_t d = 0; d < dims.size(); ++d) offset += stored[d] * dims[d].stride;
  return offset;
}

}  // namespace

std::map<ir::ValueId, ir::RefTensor> run_kernels(const ir::Graph& g, const schedule::Machine& m, const std::map<std::string, ir::RefTensor>& variables, int batch, int max_batch,
                                                 int threads, std::string& error) {
  return run_plan(schedule::make_plan(g, m, max_batch), m, variables, batch, threads, error);
}

std::map<ir::ValueId, ir::RefTensor> run_plan(const schedule::Plan& plan, const schedule::Machine& m, const std::map<std::string, ir::RefTensor>& variables,
                                              int batch, int threads, std::string& error) {
  const ir::Graph& g = *plan.graph;
  const int max_batch = plan.max_batch;
  std::vector<lower::Object> objects;
  lower::Options options;
  options.threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  options.cache_dir = compiled();
  if (!lower::lower_all(plan, m, options, objects, error)) return {};
  Loaded so;
  std::string t = (std::filesystem::temp_directory_path() / "netc-test-XXXXXX").string();
  so.dir = mkdtemp(t.data());
  std::string command = "g++ -shared -o " + so.dir + "/k.so";
  int64_t scratch = 0;
  for (size_t i = 0; i < objects.size(); ++i) {
    std::string path = fmt::format("{}/{}.o", so.dir, objects[i].symbol);
    if (!std::filesystem::exists(path)) command += " " + path;
    std::ofstream(path, std::ios::binary) << objects[i].object;
    scratch = std::max(scratch, objects[i].scratch);
  }
  if (std::system(command.c_str()) != 0) { error = "linking the kernels failed"; return {}; }
  so.handle = dlopen((so.dir + "/k.so").c_str(), RTLD_NOW);
  if (!so.handle) { error = dlerror(); return {}; }
  auto context = rt::Context::create(threads, static_cast<size_t>(scratch), error);
  if (!context) return {};

  std::vector<int64_t> at(plan.blocks.size());
  auto arena = rt::allocate_aligned(static_cast<size_t>(rt::place_blocks(plan.blocks, max_batch, 0, at.data())));  // each kernel runs on the whole batch
  std::map<int32_t, rt::AlignedMemory> storage;
  size_t n = plan.buffers.size();
  std::vector<halide_buffer_t> buffers(n);
  std::vector<std::vector<halide_dimension_t>> dims(n);
  for (size_t i = 0; i < n; ++i) {
    const schedule::Buffer& b = plan.buffers[i];
    void* host;
    if (b.storage == schedule::Storage::arena) host = static_cast<char*>(arena.get()) + at[static_cast<size_t>(b.arena_block)];
    else {
      auto& memory = storage[b.variable];
      if (!memory) {
        const ir::Variable& v = g.variables[b.variable];
        memory = rt::allocate_aligned(static_cast<size_t>(g.type(v.value).bytes() * (g.type(v.value).batched ? max_batch : 1)) + 64);
        if (auto it = variables.find(v.name); it != variables.end()) store(it->second, b.type.dtype, memory.get());
        else if (v.role == ir::Role::constant) std::memcpy(memory.get(), v.literal.data(), v.literal.size() * 4);
      }
      host = memory.get();
    }
    for (const schedule::StoredDim& d : stored_dims(b)) dims[i].push_back(halide_dimension_t(0, static_cast<int>(d.extent), static_cast<int>(d.stride)));
    if (b.type.batched) dims[i].back().extent = batch;
    buffers[i] = halide_buffer_t{};
    buffers[i].host = static_cast<uint8_t*>(host);
    buffers[i].type = type_of(b.type.dtype);
    buffers[i].dimensions = static_cast<int>(dims[i].size());
    buffers[i].dim = dims[i].data();
  }
  for (size_t k = 0; k < plan.kernels.size(); ++k) {
    auto f = reinterpret_cast<Kernel>(dlsym(so.handle, (objects[k].symbol + "_argv").c_str()));
    if (!f) { error = "no symbol " + objects[k].symbol; return {}; }
    void* user = context.get();
    const size_t before = context->heap_blocks();
    std::vector<void*> args = {&user};
    for (int b : plan.kernels[k].inputs) args.push_back(&buffers[b]);
    for (int b : plan.kernels[k].outputs) args.push_back(&buffers[b]);
    if (int r = f(args.data())) { error = fmt::format("{} returned {}: {}", plan.kernels[k].name, r, context->last_error()); return {}; }
    if (plan.kernels[k].phase != schedule::Phase::ingest && context->heap_blocks() > before) {
      error = fmt::format("{} asks for more scratch memory than the {} bytes it was to need", plan.kernels[k].name, scratch);
      return {};
    }
  }
  std::map<ir::ValueId, ir::RefTensor> results;
  auto fetch = [&](ir::ValueId v) {
    for (size_t i = 0; i < n; ++i) {
      const schedule::Buffer& b = plan.buffers[i];
      if (b.value != v) continue;
      ir::RefTensor r;
      if (b.type.batched) r.dims.push_back(batch);
      r.dims.insert(r.dims.end(), b.type.dims.begin(), b.type.dims.end());
      const auto value = [](auto v) {
        if constexpr (std::is_same_v<decltype(v), uint16_t>) return static_cast<double>(support::widened(v));
        else return static_cast<double>(v);
      };
      const auto read = [&](const auto* data) {
        for (int64_t i = 0; i < b.type.elements() * (b.type.batched ? batch : 1); ++i) r.data.push_back(value(data[i]));
        if (b.block == 0) return;
        for (int64_t i = 0; i < b.type.elements(); ++i) r.data[i] = value(data[stored_at(b, i)]);
      };
      if (b.type.dtype == ir::DType::u8) read(buffers[i].host);
      else if (b.type.dtype == ir::DType::bf16) read(reinterpret_cast<const uint16_t*>(buffers[i].host));
      else if (b.type.dtype == ir::DType::f32) read(reinterpret_cast<const float*>(buffers[i].host));
      else read(reinterpret_cast<const int32_t*>(buffers[i].host));
      results[v] = r;
    }
  };
  for (auto& o : g.outputs) fetch(o.value);
  for (auto& u : g.updates) fetch(u.value);
  return results;
}
