// Data sources: samples by index, from a SPEC such as "faces/train", "mnist:DIR", "csv:FILE" or "synthetic:digits".
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "runtime/model.h"

namespace netc::rt {

/// What a sample gives to one port of the net.
struct Field {
  /// an image: height x width x channels of u8 or f32, row-major; else the port's elements, row-major
  std::vector<uint8_t> data;
  int height = 0, width = 0,
      channels = 0;     // of an image, which is converted and resized as its port wants; 0: no image
  bool floats = false;  // an image of f32, for an f32 port: resized only
  /// Of u8: what is augmented and shown, too.
  bool image() const { return height > 0 && !floats; }
  /// The port's elements, `n` of them as T.
  template <class T>
  T* values(size_t n) {
    height = width = channels = 0, floats = false;
    data.resize(n * sizeof(T));
    return reinterpret_cast<T*>(data.data());
  }
};

/// One sample: a field for each of info().inputs and info().labels.
struct Sample {
  std::vector<Field> inputs, labels;
  std::string path;  // the file it was read from; "" when it has none of its own
};

/// The columns of a table in the order in which the ports take them. Those that training had are kept with the weights;
/// later tables are read by their names.
struct TableColumns {
  std::vector<std::string> inputs, labels, others;  // others: no port took them
  std::vector<double> fills;  // of each of `inputs`: what a missing value becomes; empty: it is an error
};

/// Samples by index, for the ports of the net it was opened for. Every function is thread-safe; the samples never
/// change.
class Source {
 public:
  virtual ~Source() = default;
  virtual size_t size() const = 0;
  /// Reads sample `index` < size(), reusing out's memory. The error names the file and what is wrong with it.
  virtual tl::expected<void, std::string> read(size_t index, Sample& out) const = 0;
  /// The names of the classes of the first label that is a class, in the order of its indices; none when nothing is
  /// classified, or nothing names the classes.
  virtual const std::vector<std::string>& classes() const = 0;
  /// Null: the data is no table.
  virtual const TableColumns* columns() const { return nullptr; }
  /// The class of sample `index`, known without reading it; -1 when it has none.
  virtual int class_of(size_t index) const { return -1; }
  /// What to call sample `index` in messages: its file, or "mnist train 17".
  virtual std::string name(size_t index) const = 0;
  /// One line for the user: "faces/train: 737 images, 3 classes".
  virtual std::string describe() const = 0;
  /// read() only copies from memory: samples are handed out whole batches at a time.
  virtual bool in_memory() const { return false; }
  /// A label tells a place in the image, so that moving the pixels would make it wrong.
  virtual bool places() const { return false; }
};

/// mnist:, cifar: and synthetic: have a train and a test half. Other data is whole in both; where the same SPEC trains
/// and validates, csv:, npy:, text: and masks: hold a part of it out: the same one each time.
enum class Split { train, test, held_in, held_out };
inline bool trains(Split s) { return s == Split::train || s == Split::held_in; }
/// True when the two splits of a run are parts of one SPEC.
bool holds_out(const std::string& spec);
/// What two SPECs have in common: `file` is one file or folder of a kind that holds out, however it is spelled; `all`
/// the options that follow it, too.
enum class Common { nothing, file, all };
Common in_common(const std::string& a, const std::string& b);

/// Opens what SPEC names, a KIND:... or a path (a folder of classes, FILE.csv, FILE.tsv, FILE.npz, FILE.txt), for the
/// inputs and labels of `info`. Labels follow info.classes where the net names its classes. Errors (nothing there,
/// damaged, ports that the data has nothing for, classes that do not match, unknown kind) say what to do.
tl::expected<std::unique_ptr<Source>, std::string> open_source(const std::string& spec, Split split,
                                                               const ModelInfo& info);

/// The kind of data that a file's ending tells, "csv", "npy" or "text", whatever options follow it; "": none.
std::string kind_of_file(const std::string& path);

/// The image files of `path`: itself, or all below it when it is a folder, sorted; by their endings, in any case.
tl::expected<std::vector<std::string>, std::string> list_images(const std::string& path);

// The sources themselves, as open_source calls them; `path` is SPEC without its kind.
using Opened = tl::expected<std::unique_ptr<Source>, std::string>;
#define NETC_DATA(kind, word, argument, parted, spec) \
  Opened open_##kind(const std::string& path, Split split, const ModelInfo& info);
#include "runtime/kinds/data.def"
#undef NETC_DATA
/// synthetic:xor and synthetic:series; `count` samples of training.
Opened open_synthetic_values(const std::string& kind, size_t count, Split split, const ModelInfo& info);

/// A source's own class names against the net's: the names in the order of the labels, and the label of each of `own`.
struct ClassMap {
  std::vector<std::string> names;
  std::vector<int> labels;
};
/// By name when the net has all of `own`; by position when their numbers are equal and `by_position`. Otherwise an
/// error that lists both.
tl::expected<ClassMap, std::string> match_classes(const std::vector<std::string>& own, bool by_position,
                                                  const std::string& spec, const ModelInfo& info);

/// The same name, whatever Unicode form each is in.
bool same_class(const std::string& a, const std::string& b);

/// Whether the net itself names its classes, so that others need another program; else its data does.
bool names_classes(const ModelInfo& info);

/// The samples of one part of `n` when a fifth, at least one, is held out: chosen by a hash of their number. All, in
/// order, for train and test.
std::vector<size_t> part_of(size_t n, Split split);

}  // namespace netc::rt
