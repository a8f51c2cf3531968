// The inner loops of packed convolutions, compiled for several instruction sets. Pictures
// have their channels together (N x H x W x C in memory), single precision.
#pragma once

#include <cstddef>

namespace fastcpp::inline v0::models {

// Rows of a product with packed weights:
// out[r][c] = clamp(bias[c] + add[r][c] + sum over runs and k of in[r][run * run_step + k] *
//             weights[(run * depth + k) * padded + c]), `padded` being `width` up to whole vectors
struct Product {
  static constexpr int kMostRows = 8;
  static constexpr std::ptrdiff_t kCacheLine = 16;  // floats
  int rows;                                         // 1..ConvKernels::rows of so many vectors
  const float* in[kMostRows];
  float* out[kMostRows];
  const float* add[kMostRows];  // add[0] is null when nothing is added
  int runs;
  std::ptrdiff_t run_step, depth;
  const float* weights;
  const float*
      next;  // weights of later products, fetched meanwhile: a line of the cache for each step of the depth
  const float* bias;  // `padded` values, or null
  int width;          // channels, at most a block
  float low, high;    // of the clamp; not-a-number stays what it is
};

// Winograd's minimal filtering F(4 x 4, 3 x 3) (Lavin and Gray 2015, arXiv:1509.09308): a tile of
// 6 x 6 inputs gives 4 x 4 outputs by 36 products a channel instead of 144.
constexpr int kTileIn = 6, kTileOut = 4, kTilePoints = kTileIn * kTileIn;

// The 36 transformed values of a tile, `plane` floats apart.
struct TileIn {
  const float* in;
  std::ptrdiff_t pixel, line, channels;  // floats to the next pixel and the next row of the picture
  float* out;
  std::ptrdiff_t plane;
};
struct TileOut {
  const float* in;
  std::ptrdiff_t plane, channels;
  float* out;
  const float* add;   // or null
  const float* bias;  // or null
  // Floats between two neighbours in `out` and `add`, and to the next row of the picture.
  std::ptrdiff_t pixel, line, add_pixel, add_line;
  int rows, cols;  // how much of the tile lies in the picture
  float low, high;
};

// 3 x 3 filters of `count` output channels (a multiple of the vector) and their 36 transformed
// values.
struct Filters {
  const float* in;  // nine values, `count` floats apart
  float* out;
  std::ptrdiff_t plane;  // floats between two transformed values
  int count;
};

// The gradient of 3 x 3 filters from its 36 transformed values, for `count` output channels that are neighbours in them.
struct FilterGradients {
  const float* in;
  std::ptrdiff_t plane, count;
  float* out;           // nine values of the first channel
  std::ptrdiff_t step;  // floats to the next channel's
};

// Pictures with a number of rows each, and the distances of their rows and pixels in floats.
struct Plane {
  const float* data;
  std::ptrdiff_t rows, line, pixel;
};

// Where outputs go and what is done to them.
struct Output {
  float* data;  // of the first pixel
  std::ptrdiff_t n, h, w, pixel;
  const float* add;
  std::ptrdiff_t add_pixel;
  float low, high;
};

struct ConvKernels {
  static constexpr int kMostBlock = 64;
  int block;    // output channels made at once; weights are packed by so many
  int lanes;    // of a vector: the last block is packed by as many of these as it needs
  int rows[4];  // that the registers hold beside 1, 2, ... vectors of weights
  void (*multiply)(const Product&);
  void (*to_points)(const TileIn&);
  void (*from_points)(const TileOut&);
  void (*filter_points)(const Filters&);
  void (*gradient_points)(const TileIn&);  // of 4 x 4 gradients of outputs
  void (*filter_gradients)(const FilterGradients&);
};

// The best for this processor; null where LibTorch's own convolutions are the better choice.
const ConvKernels* conv_kernels();

}  // namespace fastcpp::models
