// libpng behind an interface without longjmp. Only image.cpp uses it.
#pragma once
#include <cstdint>
#include <span>

namespace netc::rt {

/// Reads one PNG from memory as 8-bit grey or RGB; or, with `indices`, the numbers that grey or a palette's pixels are
/// stored as. No function of it lets libpng jump past a C++ object.
class PngReader {
 public:
  explicit PngReader(std::span<const uint8_t> bytes, bool indices = false);
  ~PngReader();
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  /// Reads the header. False: see error().
  bool start();
  uint32_t width() const { return width_; }
  uint32_t height() const { return height_; }
  int channels() const { return channels_; }  // 1 or 3
  int bits() const { return bits_; }          // of a channel, as stored: 1 to 16
  /// Reads the pixels, height x width x channels, and checks the file to its end. False: see error().
  bool rows(uint8_t* out);
  const char* error() const { return error_; }

  struct Callbacks;  // libpng's

 private:
  const uint8_t* data_;
  size_t size_, at_ = 0;
  void* png_ = nullptr;   // png_structp
  void* info_ = nullptr;  // png_infop
  uint32_t width_ = 0, height_ = 0;
  int channels_ = 0, bits_ = 0;
  bool indices_;
  char error_[128] = "no memory";
};

}  // namespace netc::rt
