// Source text and places in it.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace netc {

struct Span { uint32_t begin = 0, end = 0; };               // byte offsets, end exclusive

class SourceFile {
 public:
  SourceFile(std::string path, std::string text);
  const std::string& path() const { return path_; }
  const std::string& text() const { return text_; }
  struct Place { int line, column; };                       // from 1; column in bytes
  Place place(uint32_t offset) const;
  std::string_view line(int number) const;                  // without its newline

 private:
  std::string path_, text_;
  std::vector<uint32_t> starts_;
};

}  // namespace netc
