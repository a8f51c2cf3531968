// Loops over the channels of pictures that have them together (N x H x W x C in memory), single precision: what does not mix
// channels, and products with weights that are used once.
#pragma once

#include <cstddef>

namespace fastcpp::inline v0::models {

// One row of outputs of a convolution whose channels are filtered each by its own filter.
struct DepthwiseRow {
  // The row of the picture that each row of the filter sees, or zeros, which are multiplied as any numbers; columns beside the
  // picture are passed over.
  const float* const* in;
  std::ptrdiff_t width;     // pixels of such a row
  std::ptrdiff_t channels;  // also floats between two pixels of `in`
  const float* weights;     // rows x cols x channels
  const float* bias;        // of each channel
  float* out;
  std::ptrdiff_t out_pixel, out_width;  // floats between two outputs; outputs
  int rows, cols;                       // of the filter
  std::ptrdiff_t stride, padding;
  float low, high;  // of the clamp
};

// One row of outputs of a pool. Pixels outside of the picture do not count.
struct PoolRow {
  const float* const* in;  // the rows that the window sees
  std::ptrdiff_t width, channels;
  float* out;
  std::ptrdiff_t out_width;
  int rows, cols;  // of the window; rows: only those within the picture
  std::ptrdiff_t stride, padding;
};

// out[p][c] = max(0, in[p][c] * scale[c] + shift[c])
struct Activate {
  const float* in;
  std::ptrdiff_t in_pixel, pixels, channels;
  const float *scale, *shift;
  float* out;
};

// The mean of 2 x 2 pixels of that.
struct ActivatePool {
  const float* in;  // the upper row
  std::ptrdiff_t line, channels, pixels;
  const float *scale, *shift;
  float* out;
};

// out[item][row] = bias[row] + sum over k of in[item][k] * weights[row][k]
struct Dots {
  static constexpr int kRows = 4, kItems = 4;
  const float* in;
  const float* weights;
  std::ptrdiff_t depth, out_step;  // floats between the rows of `in` and `weights`; and of `out`
  const float* bias;               // or null
  float* out;
  int rows, items;  // 1..kRows, 1..kItems
};

struct ChannelKernels {
  void (*depthwise)(const DepthwiseRow&);
  void (*max_pool)(const PoolRow&);
  void (*activate)(const Activate&);
  void (*activate_pool)(const ActivatePool&);
  void (*dots)(const Dots&);
};

// The best for this processor; null where LibTorch's own operations are the better choice.
const ChannelKernels* channel_kernels();

}  // namespace fastcpp::models
