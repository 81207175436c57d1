// Diagnostics: errors and warnings with a place, shapes and a remedy. One table of ids (diagnostics.def); each id has a
// golden test.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>

#include "compiler/base/source.h"

namespace netc {

enum class Severity : uint8_t { error, warning };

enum class DiagId : uint16_t {
#define DIAG(id, severity, text) id,
#include "compiler/base/diagnostics.def"
#undef DIAG
};

const char* id_name(DiagId);  // "unknown_layer"
Severity severity_of(DiagId);
const char* text_of(DiagId);  // the wording, an fmt format string

struct Diagnostic {
  DiagId id;
  Severity severity;
  Span span;
  std::string message;
  std::string beside;  // printed after the carets: "input comes from MaxPool at line 9"
  std::vector<std::string> help;
  std::vector<std::pair<Span, std::string>> notes;  // the chain through blocks and loop iterations
};

class Diagnostics {
 public:
  static constexpr int kMostShown = 100;
  /// `file` is the model's; it outlives this.
  explicit Diagnostics(const SourceFile& file) : file_(&file) {}
  /// A further file of the compilation, kept here: its spans may be reported.
  const SourceFile& add_file(std::string path, std::string text);
  template <class... Args>
  Diagnostic& report(DiagId id, Span span, const Args&... args) {
    return add(id, span, fmt::vformat(text_of(id), fmt::make_format_args(args...)));
  }
  bool has_errors() const { return errors_ > 0; }
  int errors() const { return errors_; }
  int warnings() const { return warnings_; }
  /// As many errors are kept as a person reads: the next is counted, and needs no advice.
  bool enough() const { return errors_ > kMostShown; }
  void warnings_are_errors();
  /// Takes the warnings of an id back.
  void drop(DiagId id);
  /// Those that are kept: the first kMostShown errors, and as many warnings.
  const std::vector<Diagnostic>& all() const { return all_; }
  const SourceFile& file() const { return *file_; }
  /// The file a span lies in.
  const SourceFile& file_of(Span) const;
  /// "line 9"; "blocks.net:9" where the span is in another file than `from`.
  std::string place_text(Span, Span from) const;
  const std::vector<std::unique_ptr<SourceFile>>& further_files() const { return further_; }
  std::string render(bool color) const;  // sorted by place, as design: line, caret range, help
  std::string render_json() const;

 private:
  Diagnostic& add(DiagId id, Span span, std::string message);
  std::vector<Diagnostic> shown() const;  // sorted by place; at the end how many there are beside them
  const SourceFile* file_;
  std::vector<std::unique_ptr<SourceFile>> further_;
  std::vector<Diagnostic> all_;
  std::unordered_map<std::string, size_t> known_;  // what was reported, to its place in all_
  Diagnostic beyond_;                              // where what is not kept is written
  int errors_ = 0, warnings_ = 0;
};

/// The name in `known` nearest to `name` by edit distance, or "" when none is near enough to suggest.
std::string nearest_name(const std::string& name, const std::vector<std::string>& known);

}  // namespace netc
