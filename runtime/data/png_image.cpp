#include "runtime/data/png_image.h"

#include <png.h>

#include <csetjmp>
#include <cstring>

namespace netc::rt {

struct PngReader::Callbacks {
  static void read(png_structp png, png_bytep out, png_size_t n) {
    auto* self = static_cast<PngReader*>(png_get_io_ptr(png));
    if (n > self->size_ - self->at_) png_error(png, "the file ends too early");
    std::memcpy(out, self->data_ + self->at_, n);
    self->at_ += n;
  }
  static void error(png_structp png, png_const_charp message) {
    auto* self = static_cast<PngReader*>(png_get_error_ptr(png));
    std::strncpy(self->error_, message ? message : "unknown", sizeof self->error_ - 1);
    self->error_[sizeof self->error_ - 1] = 0;
    png_longjmp(png, 1);
  }
  static void warning(png_structp, png_const_charp) {}
};

PngReader::PngReader(std::span<const uint8_t> bytes, bool indices)
    : data_(bytes.data()),
      size_(bytes.size()),
      indices_(indices) {
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, Callbacks::error, Callbacks::warning);
  png_ = png;
  if (png) info_ = png_create_info_struct(png);
}

PngReader::~PngReader() {
  auto png = static_cast<png_structp>(png_);
  auto info = static_cast<png_infop>(info_);
  if (png) png_destroy_read_struct(&png, &info, nullptr);
}

// Between setjmp and a jump only this object and constants change, and no object with a destructor is alive in the
// frames jumped over.
bool PngReader::start() {
  const auto png = static_cast<png_structp>(png_);
  const auto info = static_cast<png_infop>(info_);
  if (!png || !info) return false;
  if (setjmp(png_jmpbuf(png))) return false;
  png_set_read_fn(png, this, Callbacks::read);
  png_set_user_limits(png, 0x7fffffff, 0x7fffffff);  // the caller checks height x width
  png_set_chunk_malloc_max(png, 64u << 20);
  png_set_chunk_cache_max(png, 128);
  png_read_info(png, info);
  width_ = png_get_image_width(png, info);
  height_ = png_get_image_height(png, info);
  bits_ = png_get_bit_depth(png, info);
  const int type = png_get_color_type(png, info);
  channels_ = type & PNG_COLOR_MASK_COLOR && !(indices_ && type == PNG_COLOR_TYPE_PALETTE) ? 3 : 1;
  return true;
}

bool PngReader::rows(uint8_t* out) {
  const auto png = static_cast<png_structp>(png_);
  const auto info = static_cast<png_infop>(info_);
  const size_t stride = static_cast<size_t>(width_) * static_cast<size_t>(channels_);
  if (setjmp(png_jmpbuf(png))) return false;
  if (indices_) png_set_packing(png);  // 1, 2 and 4 bits to a byte each
  else png_set_expand(png);            // palette to RGB, 1, 2 and 4 bits to 8, tRNS to alpha
  png_set_strip_16(png);
  png_set_strip_alpha(png);
  const int passes = png_set_interlace_handling(png);
  png_read_update_info(png, info);
  if (png_get_rowbytes(png, info) != stride) png_error(png, "an unusual pixel layout");
  for (int pass = 0; pass < passes; ++pass)
    for (uint32_t y = 0; y < height_; ++y) png_read_row(png, out + y * stride, nullptr);
  png_read_end(png, nullptr);
  return true;
}

}  // namespace netc::rt
