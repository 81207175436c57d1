// Data sources: labelled samples by index, from a SPEC such as "faces/train", "mnist:DIR" or "synthetic:digits".
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "runtime/model.h"

namespace netc::rt {

/// One decoded sample: height x width x channels, u8, row-major.
struct Sample {
  std::vector<uint8_t> pixels;
  int height = 0, width = 0, channels = 0;
  int label = 0;                                   // index into Source::classes()
  std::string path;                                // the file it was read from; "" when it has none of its own
};

/// Labelled samples by index. Every function is thread-safe; the samples never change.
class Source {
 public:
  virtual ~Source() = default;
  virtual size_t size() const = 0;
  /// Reads sample `index` < size(), reusing out's memory. The error names the file and what is wrong with it.
  virtual tl::expected<void, std::string> read(size_t index, Sample& out) const = 0;
  /// The classes' names, in the order of the labels.
  virtual const std::vector<std::string>& classes() const = 0;
  /// What to call sample `index` in messages: its file, or "mnist train 17".
  virtual std::string name(size_t index) const = 0;
  /// One line for the user: "faces/train: 737 images, 3 classes".
  virtual std::string describe() const = 0;
  /// read() only copies from memory: samples are handed out whole batches at a time.
  virtual bool in_memory() const { return false; }
};

enum class Split { train, test };

/// Opens what SPEC names. `split` chooses between the two halves of mnist: and synthetic:; a folder is taken as it is. Labels follow info.classes
/// where the net names its classes. Errors (nothing there, damaged, classes that do not match, unknown kind) say what to do.
tl::expected<std::unique_ptr<Source>, std::string> open_source(const std::string& spec, Split split, const ModelInfo& info);

/// The image files of `path`: itself, or all below it when it is a folder, sorted; .jpg, .jpeg and .png in any case.
tl::expected<std::vector<std::string>, std::string> list_images(const std::string& path);

// The sources themselves, as open_source calls them; `path` is SPEC without its kind.
tl::expected<std::unique_ptr<Source>, std::string> open_folder(const std::string& path, Split split, const ModelInfo& info);
tl::expected<std::unique_ptr<Source>, std::string> open_mnist(const std::string& path, Split split, const ModelInfo& info);
tl::expected<std::unique_ptr<Source>, std::string> open_synthetic(const std::string& path, Split split, const ModelInfo& info);

/// A source's own class names against the net's: the names in the order of the labels, and the label of each of `own`.
struct ClassMap { std::vector<std::string> names; std::vector<int> labels; };
/// By name when the net has all of `own`; by position when their numbers are equal and `by_position`. Otherwise an error that lists both.
tl::expected<ClassMap, std::string> match_classes(const std::vector<std::string>& own, bool by_position, const std::string& spec, const ModelInfo& info);

}  // namespace netc::rt
