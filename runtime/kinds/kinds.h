// What the compiler checks and the runtime carries out, written once: kinds of data, augmentations, callbacks. Each is
// a line of a .def file beside this one; the runtime declares its opener or maker from the same line.
#pragma once
#include <string>
#include <string_view>

namespace netc::kinds {

/// What follows the kind's word in a net's data section.
enum class DataArgument : uint8_t {
  path,       // a string: a file or folder
  data,       // other data
  generated,  // a name of kGenerated
};
struct Data {
  std::string_view kind;  // of a SPEC; "folder" is a path alone
  std::string_view word;  // of the language
  DataArgument argument;
  bool parted;            // where the same SPEC trains and validates, a part of it is held out
  std::string_view spec;  // as a person writes it
};
inline constexpr Data kData[] = {
#define NETC_DATA(kind, word, argument, parted, spec) {#kind, #word, DataArgument::argument, parted, spec},
#include "runtime/kinds/data.def"
#undef NETC_DATA
};
/// Of synthetic data.
inline constexpr std::string_view kGenerated[] = {
#define NETC_GENERATED(name) #name,
#include "runtime/kinds/generated.def"
#undef NETC_GENERATED
};
/// "a folder, mnist:DIR, csv:FILE or synthetic:digits"
std::string data_kinds_text(std::string_view before_last = "or");

/// An argument of an augmentation: an amount above 0 and up to `most`, or one of `choices`, the first by default.
struct Argument {
  std::string_view name, doc;
  double most = 1;
  bool optional = false;
  std::string_view choices = {};  // "horizontal vertical both"
};
struct Augmentation {
  std::string_view name;
  Argument arguments[2];  // those without a name are none
};
inline constexpr Augmentation kAugmentations[] = {
#define NETC_AUGMENTATION(name, ...) {#name, {__VA_ARGS__}},
#include "runtime/kinds/augmentations.def"
#undef NETC_AUGMENTATION
};

/// What a callback does with the number that it watches after each epoch.
enum class Rule : uint8_t {
  best,    // keeps the weights of the best epoch
  stop,    // ends training
  reduce,  // multiplies the learning rate
  record,  // watches nothing: writes a line
};
struct Callback {
  std::string_view name;
  Rule rule;
  std::string_view watched;  // the argument that names what is watched; "" for a path
  int patience;              // epochs without improvement, by default; 0: not asked for
  double factor;             // of the rate, by default; 0: not asked for
};
inline constexpr Callback kCallbacks[] = {
#define NETC_CALLBACK(name, rule, watched, patience, factor) {#name, Rule::rule, watched, patience, factor},
#include "runtime/kinds/callbacks.def"
#undef NETC_CALLBACK
};

/// Null when there is none of this name.
template <class Kind, size_t n>
constexpr const Kind* find(const Kind (&kinds)[n], std::string_view name) {
  for (const Kind& k : kinds)
    if (k.name == name) return &k;
  return nullptr;
}

inline std::string data_kinds_text(std::string_view before_last) {
  std::string s;
  constexpr size_t n = sizeof kData / sizeof kData[0];
  for (size_t i = 0; i < n; ++i) {
    if (i > 0 && i + 1 == n) s.append(" ").append(before_last).append(" ");
    else if (i > 0) s.append(", ");
    s.append(kData[i].spec);
  }
  return s;
}

}  // namespace netc::kinds
