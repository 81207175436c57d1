// Source text and places in it. Offsets run through all files of a compilation, so that a span knows its file.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace netc {

struct Span {
  uint32_t begin = 0, end = 0;
};  // offsets in bytes, end exclusive

class SourceFile {
 public:
  /// Its offsets begin at `base`.
  SourceFile(std::string path, std::string text, uint32_t base = 0);
  const std::string& path() const { return path_; }
  const std::string& text() const { return text_; }
  uint32_t base() const { return base_; }
  uint32_t end() const {
    return base_ + static_cast<uint32_t>(text_.size()) + 1;
  }  // past the place after its last byte
  struct Place {
    int line, column;
  };  // from 1; column in bytes
  Place place(uint32_t offset) const;
  std::string_view line(int number) const;  // without its newline

 private:
  std::string path_, text_;
  uint32_t base_;
  std::vector<uint32_t> starts_;
};

/// Reads a file of at most `limit` bytes; false, and `error` says why: "a.net: no such file".
bool read_text(const std::string& path, uint64_t limit, std::string& text, std::string& error);

constexpr uint64_t kLargestSource = 16 << 20;  // of all files of a compilation together

}  // namespace netc
