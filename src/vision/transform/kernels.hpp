// The inner loops of the quick execution, compiled for several instruction sets.
#pragma once

#include <cstdint>

#include "fastcpp/vision/transform/transform.hpp"

namespace fastcpp::inline v0::detail {

// How many columns are computed at a time: the arrays below then stay in the nearest cache.
inline constexpr int kBlock = 256;

// For each column of a block: where its four source pixels lie, and their weights.
struct Taps {
  alignas(64) std::int32_t at[4][kBlock];  // (y0, x0), (y0, x1), (y1, x0), (y1, x1)
  std::int32_t furthest;                   // largest of them
  alignas(64) float wx[2][kBlock], wy[2][kBlock];
};

// Source coordinates in pixels of column c: ((x[c] + rx) / d, (y[c] + ry) / d) with d = w[c] + rw.
struct Line {
  const double *x, *y, *w;
  double rx, ry, rw;
  bool affine;             // d is 1
  int rows, cols;          // of the source
  int step_row, step_col;  // distance of neighbours in the source
  PaddingMode padding;
};

struct Kernels {
  void (*locate)(const Line& line, int count, Taps& taps);
  // Pixels of four bytes, red lowest, to three planes 0..1.
  void (*blend_rgb)(const std::uint32_t (*pixels)[kBlock], const Taps& taps, int count,
                    float* const* out);
  void (*blend_plane)(const float* plane, const Taps& taps, int count, float* out);
  // Sigmoid of scale * logit + shift; the shift divided by ln 2.
  void (*light)(float* values, int count, float scale, float shift);
};

// The best for this processor.
const Kernels& kernels();

}  // namespace fastcpp::detail
