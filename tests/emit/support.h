// A net from source text to a running model in this process.
#pragma once
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "compiler/emit/link.h"
#include "compiler/passes/pipeline.h"
#include "runtime/model.h"

namespace support {

/// Everything a unit points to.
struct Net {
  netc::sema::Model model;
  netc::passes::Program program;
  netc::plan::Plan train, infer;
  netc::Machine machine;
  netc::emit::Unit unit;
};

/// The language's, and the loss squared_error(output, target) of f32[K]: the mean over the batch of the sum of (output
/// - target)^2.
const netc::ir::Registry& registry();

/// From source text or, when it ends in .net, from that file of the repository. `training`: false compiles inference
/// only. `machine`: this one by default. `defines`: hyperparameters.
std::unique_ptr<Net> load(const std::string& name, const std::string& source, int max_batch, bool training = true,
                          const netc::Machine* machine = nullptr,
                          const std::vector<std::pair<std::string, std::string>>& defines = {});

/// What emit::unsupported says of a net's inference form.
std::string refused(const std::string& source);

/// The lower and toolchain options that tests build with.
netc::emit::BuildOptions options();

/// The driver and kernels as a shared object in this process.
struct Loaded {
  netc::emit::TempFolder folder;
  void* handle = nullptr;
  netc::emit::Built built;
  netc::rt::CreateFn create = nullptr;
  ~Loaded();
};
std::unique_ptr<Loaded> load_product(const Net&);
/// Links `files` and loads them: the driver and kernels from elsewhere.
void link_and_load(const Net&, const std::vector<std::string>& files, Loaded&);

extern const char* kTinyNet;   // dense layers, dropout, a penalty, Adam
extern const char* kPhotoNet;  // photos of any size, convolution, batch norm
// a photo of any size and three numbers; a class and a place, with a weighted loss of two labels
extern const char* kTwoNet;
extern const char* kAutoNet;  // an autoencoder: its target is its input

}  // namespace support
