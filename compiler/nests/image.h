// What the nests of convolutions share.
#pragma once
#include "compiler/nests/site.h"
#include "compiler/plan/joins.h"

namespace netc::nests {

constexpr int64_t kFewTaps = 25;  // of a kernel whose loops are unrolled

/// A contraction of an image, f32[N, H, W, C], with weights that all samples share.
bool is_convolution(const Site&);
/// Rows and columns of phases, 1 x 1 where all pixels are sums over the same taps.
std::pair<int, int> phases_of(const Site&);
/// Pixels of the convolution for one of the result, where it is pooled.
int64_t area_of(const Site&);

/// How a convolution is cut into tasks: samples together until they are worth a thread; a sample that is worth several
/// is split into rows of the image, which share the weights, or, where these are larger than the image, into panels of
/// channels. For a tile of pixels `block_panels` panels follow one another, whose weights stay in cache: so results are
/// written, and what is added to them is read, in longer pieces.
struct ConvTasks {
  int64_t image_rows = 1, task_rows = 1, task_panels = 1, block_panels = 1, task_samples = 1;
};
/// `panel`: channels of a tile; `work`: operations of a sample.
ConvTasks conv_tasks(const Site&, int64_t rows, int64_t channels, int64_t panel, double work);

}  // namespace netc::nests
