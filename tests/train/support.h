// What the tests of training share: a softmax regression as Model, folders of generated pictures, a program run in this
// process.
#pragma once
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "runtime/model.h"

namespace netc::rt::test {

/// A folder that is removed with the object.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  std::string path(const std::string& name = "") const {
    return name.empty() ? path_.string() : (path_ / name).string();
  }

 private:
  std::filesystem::path path_;
};

std::string contents(const std::string& path);
void write(const std::string& path, const std::string& contents);

/// What the fake programs do, to be set by a test and put back by reset().
struct Behaviour {
  uint32_t interrupt_at = 0;  // raises `signal` in that step
  int signal = SIGINT;
  std::function<void(uint32_t)> at_step;  // before each
  bool interrupt_evaluation = false;
  uint32_t nan_at = 0;  // loss of that step
  std::vector<CallbackInfo> callbacks;
  std::vector<const char*> classes;
  std::function<void(ModelInfo&)> change;  // of what the program says it is
};
extern Behaviour behaviour;
inline void reset() { behaviour = {}; }

/// Softmax regression with momentum over u8[8, 8, 1], three classes; noise drawn from seed and step, so that a step
/// counted wrongly changes every bit.
const ModelInfo& regression();
std::unique_ptr<Model> create_regression(const CreateOptions& options, std::string& error);
/// The same with one sigmoid output and two classes.
const ModelInfo& sigmoid();
std::unique_ptr<Model> create_sigmoid(const CreateOptions& options, std::string& error);

/// A folder with a subfolder of `each` 8 x 8 PNG pictures for each class: class k is brighter in its own rows.
void make_pictures(const std::string& path, const std::vector<std::string>& classes, int each, uint32_t seed);

struct Output {
  int code;
  std::string out, err;
};
/// program_main with these arguments, its output caught.
Output run(std::vector<std::string> arguments, bool two_classes = false);

}  // namespace netc::rt::test
