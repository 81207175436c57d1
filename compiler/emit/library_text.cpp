#include "compiler/emit/library_text.h"

#include <set>

#include <fmt/format.h>

#include "compiler/emit/library_ports.h"
#include "compiler/emit/text.h"

namespace netc::emit {
namespace {

constexpr const char* kFunctions[] = {"create", "destroy", "error", "load", "save", "infer", "class_name"};
constexpr const char* kTrainingFunctions[] = {"initialise", "evaluate", "train_step"};

constexpr const char* kCHeader =
    R"txt(/* $net$ as a C library: written by netc $version$. C99 and later; see $id$.h for C++.
 *
 * An instance holds one network: weights, memory, threads. Instances are independent; one instance is used by one thread at a time. After $id$_create nothing is
 * allocated, but while weights are loaded or saved. Functions return 0, or an error code and a message ($id$_error). */
#ifndef $ID$_C_H
#define $ID$_C_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
  $ID$_OK = 0,
  $ID$_ERROR_ARGUMENT = 1, /* out of range, or null */
  $ID$_ERROR_MEMORY = 2,
  $ID$_ERROR_FILE = 3,     /* missing, damaged, or of another network */
  $ID$_ERROR_STATE = 4,    /* no weights yet, or training in an instance without */
  $ID$_ERROR_FAILED = 5
};

enum {
  $ID$_OUTPUTS = $outputs$,      /* numbers a sample gives: $output$ */
$c_sizes$  $ID$_MAX_BATCH = $max_batch$
};

typedef struct $id$_network $id$_network;

/* threads, 0: the machine's cores. max_batch, 0: $ID$_MAX_BATCH. training, 0: inference only.
 * Null when memory or threads cannot be had; the reason is then in `error`, which may be null. */
$id$_network* $id$_create(int threads, int max_batch, int training, char* error, size_t error_bytes);
void $id$_destroy($id$_network*);

/* Message of the last call that failed, or "". Valid until the next call. */
const char* $id$_error(const $id$_network*);

/* Weights from a safetensors file, as it is now: it may be replaced afterwards. A file that is written to in place may have to be loaded again where its weights are
 * saved; that is then an error. */
int $id$_load($id$_network*, const char* path);
int $id$_save($id$_network*, const char* path);

$c_inputs$
/* Runs the first `count` samples. *out gets count rows of $ID$_OUTPUTS numbers, valid until the next call. */
int $id$_infer($id$_network*, int count, const float** out);
$c_outputs$
/* What the last output's number `index` stands for; null when classes have no names. */
const char* $id$_class_name(int index);
$training$
#ifdef __cplusplus
}
#endif
#endif
)txt";

constexpr const char* kCTraining = R"txt(
/* Fresh weights from a seed, and those that the net takes `from` files; the same seed gives the same bits. */
int $id$_initialise($id$_network*, uint64_t seed);
$c_labels$/* The loss of the first `count` samples and their labels. */
int $id$_evaluate($id$_network*, int count, float* loss);
/* One step of training on them. lr <= 0: the network's own. `loss` may be null. */
int $id$_train_step($id$_network*, int count, float lr, float* loss);
)txt";

constexpr const char* kCppHeader =
    R"txt(// $net$ as a C++ library: written by netc $version$. C++11 and later; all of it is inline over the C functions of $id$_c.h.
//
//   $id$::$class$ net;
//   if (!net.load("best.safetensors")) return fail(net.error());
$comment_example$//
// Instances are independent; one instance is used by one thread at a time. After construction nothing is allocated, but while weights are loaded or saved.
#ifndef $ID$_H
#define $ID$_H

#include <string>

#include "$id$_c.h"

namespace $id$ {

struct Options {
  int threads = 0;        // 0: the machine's cores
  int max_batch = 0;      // 0: $ID$_MAX_BATCH
  bool training = false;  // true: holds what training needs
};

class $class$ {
 public:
  static constexpr int outputs = $ID$_OUTPUTS;  // $output$
$cpp_sizes$
  /// False in a condition when memory or threads cannot be had: error() says why.
  explicit $class$(const Options& options = Options()) {
    char why[512] = "";
    handle_ = $id$_create(options.threads, options.max_batch, options.training, why, sizeof why);
    why_ = why;
  }
  ~$class$() { $id$_destroy(handle_); }
  $class$(const $class$&) = delete;
  $class$& operator=(const $class$&) = delete;
  $class$($class$&& other) noexcept : handle_(other.handle_), why_(other.why_) { other.handle_ = nullptr; }
  $class$& operator=($class$&& other) noexcept {
    if (this != &other) {
      $id$_destroy(handle_);
      handle_ = other.handle_;
      why_ = other.why_;
      other.handle_ = nullptr;
    }
    return *this;
  }

  explicit operator bool() const { return handle_ != nullptr; }
  /// Message of the last call that failed.
  std::string error() const { return handle_ ? $id$_error(handle_) : why_; }

  /// Weights from a safetensors file, as it is now. False: see error().
  bool load(const std::string& path) { return $id$_load(handle_, path.c_str()) == $ID$_OK; }
  bool save(const std::string& path) { return $id$_save(handle_, path.c_str()) == $ID$_OK; }

$cpp_inputs$  const float* infer(int count) {
    const float* out = nullptr;
    $id$_infer(handle_, count, &out);
    return out;
  }
$cpp_outputs$
  /// What output `index` stands for; null when classes have no names.
  static const char* class_name(int index) { return $id$_class_name(index); }
$training$
 private:
  $id$_network* handle_ = nullptr;
  std::string why_;
};

}  // namespace $id$

#endif
)txt";

constexpr const char* kCppTraining = R"txt(
  /// Training (Options::training): fresh weights or loaded ones, samples and labels into their places, then steps.
  bool initialise(uint64_t seed) { return $id$_initialise(handle_, seed) == $ID$_OK; }
$cpp_labels$  /// The loss of the first `count` samples. False: see error().
  bool evaluate(int count, float& loss) { return $id$_evaluate(handle_, count, &loss) == $ID$_OK; }
  bool train_step(int count, float lr, float& loss) { return $id$_train_step(handle_, count, lr, &loss) == $ID$_OK; }
)txt";

constexpr const char* kGlue = R"txt(// The C functions of $id$_c.h: written by netc $version$.
#include "runtime/core/embedded.h"

#include <cstdio>
#include <cstring>
#include <string>

using netc::rt::Embedded;
using netc::rt::Status;

const netc::rt::ModelInfo& $id$_info();
std::unique_ptr<netc::rt::Model> $id$_create(const netc::rt::CreateOptions& options, std::string& error);

namespace {
Embedded* of(void* p) { return static_cast<Embedded*>(p); }
int code(Status s) { return static_cast<int>(s); }
constexpr int kNoInstance = static_cast<int>(Status::argument);
}  // namespace

extern "C" {

void* $id$_create(int threads, int max_batch, int training, char* error, size_t error_bytes) {
  std::string why;
  Embedded* e = Embedded::open($id$_info(), &$id$_create, threads, max_batch, training != 0, why).release();
  if (error && error_bytes) std::snprintf(error, error_bytes, "%s", e ? "" : why.c_str());
  return e;
}
void $id$_destroy(void* p) { delete of(p); }
const char* $id$_error(const void* p) { return p ? static_cast<const Embedded*>(p)->error() : "there is no instance"; }
int $id$_load(void* p, const char* path) { return p ? code(of(p)->load(path)) : kNoInstance; }
int $id$_save(void* p, const char* path) { return p ? code(of(p)->save(path)) : kNoInstance; }
$glue_inputs$int $id$_infer(void* p, int count, const float** out) {
  if (!p && out) *out = nullptr;
  return p ? code(of(p)->infer(count, out)) : kNoInstance;
}
$glue_outputs$const char* $id$_class_name(int index) {
  const auto classes = $id$_info().classes;
  return index >= 0 && static_cast<size_t>(index) < classes.size() ? classes[static_cast<size_t>(index)] : nullptr;
}
$training$
}  // extern "C"
)txt";

constexpr const char* kGlueTraining =
    R"txt(int $id$_initialise(void* p, uint64_t seed) { return p ? code(of(p)->initialise(seed)) : kNoInstance; }
int $id$_evaluate(void* p, int count, float* loss) { return p ? code(of(p)->evaluate(count, loss)) : kNoInstance; }
int $id$_train_step(void* p, int count, float lr, float* loss) { return p ? code(of(p)->train_step(count, lr, loss)) : kNoInstance; }
$glue_labels$)txt";

constexpr const char* kCMake =
    R"txt(# find_package($id$ CONFIG) gives $id$::$id$. Paths are relative to this file: the folder can be moved.
include(CMakeFindDependencyMacro)
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_dependency(Threads)
get_filename_component(_$id$_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
if(NOT TARGET $id$::$id$)
  add_library($id$::$id$ STATIC IMPORTED)
  set_target_properties($id$::$id$ PROPERTIES
    IMPORTED_LOCATION "${_$id$_prefix}/lib/lib$id$.a"
    INTERFACE_INCLUDE_DIRECTORIES "${_$id$_prefix}/include"
    IMPORTED_LINK_INTERFACE_LANGUAGES CXX
    INTERFACE_LINK_LIBRARIES "Threads::Threads;stdc++;m")
endif()
unset(_$id$_prefix)
)txt";

constexpr const char* kReadme = R"txt(# $net$ as a library

Written by netc $version$. $ports$

```cpp
#include <$id$.h>

int main() {
  $id$::$class$ net;
  if (!net.load("best.safetensors")) { puts(net.error().c_str()); return 1; }
$readme_example$}
```

With CMake: `find_package($id$ CONFIG REQUIRED)` and `target_link_libraries(app $id$::$id$)`, configured with `-DCMAKE_PREFIX_PATH=` this folder.
Without: `g++ app.cpp -I include lib/lib$id$.a -lpthread`. `include/$id$_c.h` is the same for C.

Memory of an instance, exactly, with T threads: $infer_bytes$ + T x $scratch$ bytes for inference, of which $weights$ are the weights'$train_bytes$.
)txt";

}  // namespace

namespace {

/// The class is called as the net, but for what it has inside.
std::string class_of(const Unit& u, const std::string& id, const PortText& ports) {
  std::set<std::string> inside = {"Options", "outputs", "handle_", "why_", "predict"};
  for (const char* f : kFunctions) inside.insert(f);
  for (const char* f : kTrainingFunctions) inside.insert(f);
  for (const auto* symbols : {&ports.symbols, &ports.label_symbols})
    for (const std::string& s : *symbols) inside.insert(s.substr(id.size() + 1));
  inside.insert(ports.constants.begin(), ports.constants.end());
  return unique_identifier(u.model->net, inside);
}

}  // namespace

LibraryText library_text(const Unit& u, const Memory& m) {
  const std::string id = identifier(u.name);
  const bool trains = u.train != nullptr;
  const PortText ports = port_text(u, id);
  const ir::Type output = outputs_of(u)[0].type;
  std::vector<std::pair<std::string, std::string>> values = ports.values;
  values.insert(values.end(),
                {{"id", id},
                 {"ID", upper_case(id)},
                 {"net", u.model->net},
                 {"version", u.version},
                 {"class", class_of(u, id, ports)},
                 {"outputs", std::to_string(output.elements())},
                 {"output", shape_for_user(output)},
                 {"max_batch", std::to_string(u.infer->max_batch)},
                 {"infer_bytes", grouped(inference_bytes(m, 0))},
                 {"scratch", grouped(m.scratch_per_thread)},
                 {"weights", grouped(m.weights)},
                 {"train_bytes", trains ? fmt::format("; {} + T x {} for training", grouped(training_bytes(m, 0)),
                                                      grouped(m.scratch_per_thread))
                                        : ""}});
  auto with = [&](const char* text, const char* training) {
    auto all = values;
    all.emplace_back("training", trains ? fill(training, values) : "");
    return fill(text, all);
  };
  LibraryText t;
  t.c_header = with(kCHeader, kCTraining);
  t.cpp_header = with(kCppHeader, kCppTraining);
  t.glue = with(kGlue, kGlueTraining);
  t.cmake = with(kCMake, "");
  t.readme = with(kReadme, "");
  for (const char* f : kFunctions) t.symbols.push_back(id + "_" + f);
  t.symbols.insert(t.symbols.end(), ports.symbols.begin(), ports.symbols.end());
  if (trains) {
    for (const char* f : kTrainingFunctions) t.symbols.push_back(id + "_" + f);
    t.symbols.insert(t.symbols.end(), ports.label_symbols.begin(), ports.label_symbols.end());
  }
  return t;
}

}  // namespace netc::emit
