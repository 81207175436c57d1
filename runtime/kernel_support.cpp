// Threads, scratch memory and the functions that compiled kernels call by Halide's names. There is no Halide runtime in
// a product: this is all of it.
#include "runtime/kernel_support.h"

#include <sys/mman.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "runtime/cores.h"

namespace netc::rt {
namespace {

using Task = int (*)(void*, int, uint8_t*);

constexpr size_t kNoBlock = SIZE_MAX;
constexpr size_t kHeader = 64;  // before each scratch block
constexpr int64_t kMostTasks = 0xffffff;
constexpr int kSpins = 4000;  // about 20 us: the next kernel of a step comes sooner than a sleeping thread wakes

inline void relax() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

// Blocks lie one after another. A kernel may free one while later ones live: its bytes return when all after it are
// free too.
struct Scratch {
  uint8_t* base = nullptr;
  size_t size = 0, top = 0, last = kNoBlock;
};
/// A parallel loop of a kernel: its body for one task, the first task, how many.
struct Loop {
  Task body;
  int min, size;
  uint8_t* closure;
};
struct ScratchBlock {
  size_t before;
  bool freed;
};  // where the block before it begins

class Pool final : public Context {
 public:
  bool start(int threads, size_t scratch, std::string& error) {
    threads_ = threads;
    scratch_.resize(threads);
    ranges_ = std::make_unique<Range[]>(threads);
    size_t each = (scratch + 4095) / 4096 * 4096;
    memory_ = allocate_aligned(each * threads + 64);
    if (!memory_) {
      error = "out of memory for the kernels' scratch space";
      return false;
    }
    for (int t = 0; t < threads; ++t) scratch_[t] = {static_cast<uint8_t*>(memory_.get()) + each * t, each, 0};
    try {
      for (int t = 1; t < threads; ++t) workers_.emplace_back([this, t] { work(t); });
    } catch (const std::exception& e) {
      error = std::string("cannot start a thread: ") + e.what();
      return false;
    }
    return true;
  }
  ~Pool() override {
    stop_.store(true);
    generation_.fetch_add(1);
    generation_.notify_all();
    for (auto& w : workers_) w.join();
  }
  int threads() const override { return threads_; }
  const char* last_error() const override { return error_; }
  size_t heap_blocks() const override { return heap_blocks_.load(std::memory_order_relaxed); }

  void fail(const char* message) { std::snprintf(error_, sizeof error_, "%s", message); }

  // A job is a number of tasks. Each thread has an equal range of them and takes one by one from its front; so the
  // thread that wrote a part of a tensor is most often the one that reads it in the next kernel, with its own caches. A
  // thread without tasks takes from the back of others' ranges. Who asks takes tasks too, and waits only for tasks that
  // a worker has begun: a worker that the system keeps from running delays nobody. What belongs to a job is written
  // before it opens, and stays until its last task is done.
  int parallel(Task f, int min, int size, uint8_t* closure) {
    if (waiting_ && inside_ != this) return join({f, min, size, closure});
    return run({f, min, size, closure});
  }

  int in_step(const Call* kernels, size_t count) override {
    if (count == 0 || count > kMostInStep) return -1;
    waiting_ = kernels;
    left_ = count;
    joined_ = 0;
    return next_kernel();
  }

  int run(const Loop& loop) {
    const auto [f, min, size, closure] = loop;
    if (size <= 1 || threads_ == 1 || inside_ == this || size > kMostTasks) {
      int failed = 0;
      for (int i = min; i < min + size && !failed; ++i) failed = f(this, i, closure);
      return failed;
    }
    task_ = f;
    closure_ = closure;
    min_ = min;
    size_ = size;
    failed_.store(0, std::memory_order_relaxed);
    done_.store(0, std::memory_order_relaxed);
    const uint32_t job = generation_.load(std::memory_order_relaxed) + 1;
    for (int t = 0; t < threads_; ++t)
      ranges_[t].open.store(
          range(job, static_cast<int64_t>(size) * t / threads_, static_cast<int64_t>(size) * (t + 1) / threads_),
          std::memory_order_release);
    generation_.store(job, std::memory_order_seq_cst);
    if (sleepers_.load(std::memory_order_seq_cst) > 0) generation_.notify_all();
    inside_ = this;
    run_tasks(job, 0);
    inside_ = nullptr;
    for (int spins = 0; done_.load(std::memory_order_acquire) != size; ++spins)
      spins < kSpins ? relax() : std::this_thread::yield();
    return failed_.load();
  }

  void* scratch(size_t bytes) {
    Scratch& s = scratch_[owner_ == this ? slot_ : 0];
    size_t need = kHeader + (bytes + 63) / 64 * 64;
    if (s.top + need > s.size) {
      heap_blocks_.fetch_add(1, std::memory_order_relaxed);
      return nullptr;
    }
    const ScratchBlock block{s.last, false};
    uint8_t* p = s.base + s.top;
    std::memcpy(p, &block, sizeof block);
    s.last = s.top;
    s.top += need;
    return p + kHeader;
  }
  bool release(void* ptr) {
    Scratch& s = scratch_[owner_ == this ? slot_ : 0];
    if (static_cast<uint8_t*>(ptr) < s.base || static_cast<uint8_t*>(ptr) >= s.base + s.size) return false;
    ScratchBlock block;
    uint8_t* p = static_cast<uint8_t*>(ptr) - kHeader;
    std::memcpy(&block, p, sizeof block);
    block.freed = true;
    std::memcpy(p, &block, sizeof block);
    while (s.last != kNoBlock) {
      std::memcpy(&block, s.base + s.last, sizeof block);
      if (!block.freed) break;
      s.top = s.last;
      s.last = block.before;
    }
    return true;
  }

 private:
  int next_kernel() {
    const Call& kernel = *waiting_++;
    --left_;
    return kernel.run(kernel.of);
  }
  // Kernels in step: each is called by the first loop of the one before, whose closure lives as long; the last one's
  // loop runs all of them.
  int join(const Loop& loop) {
    loops_[joined_++] = loop;
    if (left_ > 0) return next_kernel();
    waiting_ = nullptr;
    bool even = true;
    for (size_t i = 1; i < joined_; ++i) even = even && loops_[i].size == loops_[0].size;
    if (even)
      return run({[](void* pool, int task, uint8_t*) { return static_cast<Pool*>(pool)->task_of_all(task); }, 0,
                  loop.size, nullptr});
    int failed = 0;
    for (size_t i = 0; i < joined_ && !failed; ++i) failed = run(loops_[i]);
    return failed;
  }
  int task_of_all(int task) {
    int failed = 0;
    for (size_t i = 0; i < joined_ && !failed; ++i)
      failed = loops_[i].body(this, loops_[i].min + task, loops_[i].closure);
    return failed;
  }

  // A range in one word: the job's number, 16 bits, and the first task and the one after the last, 24 bits each.
  static uint64_t range(uint32_t job, int64_t first, int64_t end) {
    return uint64_t{job & 0xffff} << 48 | static_cast<uint64_t>(first) << 24 | static_cast<uint64_t>(end);
  }
  static int64_t first_of(uint64_t r) { return r >> 24 & kMostTasks; }
  static int64_t end_of(uint64_t r) { return r & kMostTasks; }

  void run_tasks(uint32_t job, int slot) {
    for (int i = 0; i < threads_; ++i) {
      std::atomic<uint64_t>& open = ranges_[(slot + i) % threads_].open;
      uint64_t left = open.load(std::memory_order_acquire);
      while (left >> 48 == (job & 0xffff) && first_of(left) < end_of(left)) {
        const int64_t first = first_of(left), end = end_of(left), task = i == 0 ? first : end - 1;
        const uint64_t rest = i == 0 ? range(job, first + 1, end) : range(job, first, end - 1);
        if (!open.compare_exchange_weak(left, rest, std::memory_order_acq_rel, std::memory_order_acquire)) continue;
        // The task is this thread's: until it is done, the job stays.
        if (int r = task_(this, min_ + static_cast<int>(task), closure_)) failed_.store(r, std::memory_order_relaxed);
        done_.fetch_add(1, std::memory_order_release);
        left = open.load(std::memory_order_acquire);
      }
    }
  }
  void work(int slot) {
    owner_ = this;
    slot_ = slot;
    inside_ = this;
    uint32_t seen = 0;
    for (;;) {
      int spins = 0;
      while (generation_.load(std::memory_order_acquire) == seen) {
        if (++spins < kSpins) {
          relax();
          continue;
        }
        sleepers_.fetch_add(1, std::memory_order_seq_cst);
        generation_.wait(seen);
        sleepers_.fetch_sub(1, std::memory_order_seq_cst);
      }
      seen = generation_.load(std::memory_order_acquire);
      if (stop_.load()) return;
      run_tasks(seen, slot);
    }
  }

  static thread_local Pool* owner_;   // the pool this thread works for
  static thread_local Pool* inside_;  // the pool whose parallel loop this thread is in: nested loops run serially
  static thread_local int slot_;
  struct alignas(64) Range {
    std::atomic<uint64_t> open{0};
  };
  int threads_ = 1;
  std::unique_ptr<Range[]> ranges_;  // of tasks that nobody has taken, one for each thread
  std::vector<std::thread> workers_;
  std::vector<Scratch> scratch_;
  AlignedMemory memory_;
  alignas(64) std::atomic<uint32_t> generation_{0};
  alignas(64) std::atomic<int> done_{0};
  std::atomic<int> sleepers_{0}, failed_{0};
  std::atomic<bool> stop_{false};
  std::atomic<size_t> heap_blocks_{0};
  static constexpr size_t kMostInStep = 4;
  const Call* waiting_ = nullptr;  // kernels in step that are not called yet: `left_` of them
  size_t left_ = 0, joined_ = 0;
  Loop loops_[kMostInStep] = {};
  Task task_ = nullptr;
  uint8_t* closure_ = nullptr;
  int min_ = 0, size_ = 0;
  char error_[256] = "";
};
thread_local Pool* Pool::owner_ = nullptr;
thread_local Pool* Pool::inside_ = nullptr;
thread_local int Pool::slot_ = 0;

constexpr size_t kPage = 4096, kHugePage = size_t{2} << 20;

}  // namespace

std::unique_ptr<Context> Context::create(int threads, size_t scratch_per_thread, std::string& error) {
  if (threads <= 0) threads = available_cores();
  if (threads > 1024) threads = 1024;
  auto pool = std::make_unique<Pool>();
  if (!pool->start(threads, scratch_per_thread + 64 * kHeader, error)) return nullptr;
  return pool;
}

void AlignedFree::operator()(void* p) const {
  if (p) munmap(p, bytes);
}

AlignedMemory allocate_aligned(size_t bytes) {
  if (bytes == 0) bytes = 1;
  size_t page = bytes >= 4 * kHugePage ? kHugePage : kPage;
  size_t size = (bytes + page - 1) / page * page;
  if (size < bytes) return AlignedMemory(nullptr, AlignedFree{0});
  // the kernel hands out zeroed pages
  void* p = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return AlignedMemory(nullptr, AlignedFree{0});
  if (page == kHugePage) madvise(p, size, MADV_HUGEPAGE);
  return AlignedMemory(p, AlignedFree{size});
}

void drop_pages(const void* p, size_t bytes) {
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(p) + kPage - 1) / kPage * kPage,
                  end = (reinterpret_cast<uintptr_t>(p) + bytes) / kPage * kPage;
  if (end <= begin) return;
  // else reading a neighbour brings back two megabytes around it
  madvise(reinterpret_cast<void*>(begin), end - begin, MADV_NOHUGEPAGE);
  madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace netc::rt

// Halide's names. `context` is the instance's Context, or null for serial use outside an instance (the data loader's
// threads).
extern "C" {

void* halide_malloc(void* context, size_t bytes) {
  if (context)
    if (void* p = static_cast<netc::rt::Pool*>(static_cast<netc::rt::Context*>(context))->scratch(bytes)) return p;
  return std::aligned_alloc(64, (bytes + 127) / 64 * 64);
}

void halide_free(void* context, void* ptr) {
  if (!ptr) return;
  if (context && static_cast<netc::rt::Pool*>(static_cast<netc::rt::Context*>(context))->release(ptr)) return;
  std::free(ptr);
}

int halide_do_par_for(void* context, int (*f)(void*, int, uint8_t*), int min, int size, uint8_t* closure) {
  if (context)
    return static_cast<netc::rt::Pool*>(static_cast<netc::rt::Context*>(context))->parallel(f, min, size, closure);
  int failed = 0;
  for (int i = min; i < min + size && !failed; ++i) failed = f(context, i, closure);
  return failed;
}

void halide_error(void* context, const char* message) {
  if (context) static_cast<netc::rt::Pool*>(static_cast<netc::rt::Context*>(context))->fail(message);
}

int halide_error_out_of_memory(void* context) {
  halide_error(context, "a kernel ran out of scratch memory");
  return -11;
}

}  // extern "C"
