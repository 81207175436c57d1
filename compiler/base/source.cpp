#include "compiler/base/source.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "compiler/base/counted.h"

namespace netc {

SourceFile::SourceFile(std::string path, std::string text, uint32_t base)
    : path_(std::move(path)),
      text_(std::move(text)),
      base_(base) {
  starts_.push_back(0);
  for (size_t i = 0; i < text_.size(); ++i)
    if (text_[i] == '\n') starts_.push_back(static_cast<uint32_t>(i + 1));
}

SourceFile::Place SourceFile::place(uint32_t offset) const {
  offset = std::min<uint32_t>(offset - std::min(offset, base_), static_cast<uint32_t>(text_.size()));
  const auto it = std::upper_bound(starts_.begin(), starts_.end(), offset) - 1;
  return {static_cast<int>(it - starts_.begin()) + 1, static_cast<int>(offset - *it) + 1};
}

std::string_view SourceFile::line(int number) const {
  if (number < 1 || number > static_cast<int>(starts_.size())) return {};
  const uint32_t begin = starts_[number - 1];
  size_t end = number < static_cast<int>(starts_.size()) ? starts_[number] - 1 : text_.size();
  if (end > begin && text_[end - 1] == '\r') --end;
  return std::string_view(text_).substr(begin, end - begin);
}

bool read_text(const std::string& path, uint64_t limit, std::string& text, std::string& error) {
  std::error_code ec;
  if (std::filesystem::is_directory(path, ec))
    return error = fmt::format("{} is a folder, not a .net file", path), false;
  const uintmax_t bytes = std::filesystem::file_size(path, ec);
  if (ec) return error = fmt::format("cannot read {}: {}", path, ec.message()), false;
  if (bytes > limit)
    return error = fmt::format("{} has {} bytes; a model has at most {}, with all its files", path,
                               grouped(static_cast<int64_t>(bytes)), grouped(kLargestSource)),
           false;
  std::ifstream in(path, std::ios::binary);
  text.assign(std::istreambuf_iterator<char>(in), {});
  if (!in && !in.eof()) return error = fmt::format("cannot read {}", path), false;
  return true;
}

}  // namespace netc
