// The matrices of section 6 and 7 of the transforms, and the index maps of those that only move
// pixels.
#pragma once

#include <array>
#include <vector>

#include "vision/transform/plan.hpp"

namespace fastcpp::inline v0::detail {

// 3 x 3, row by row. Acts on (x, y, 1) with -1 and 1 at the centres of the border pixels; a
// homography in general.
using Matrix = std::array<double, 9>;
inline constexpr Matrix kIdentity = {1, 0, 0, 0, 1, 0, 0, 0, 1};

// Of a flow: -1 and 1 at the centres of the border pixels.
struct Point {
  double x, y;
};

Matrix product(const Matrix& a, const Matrix& b);

bool is_affine(Kind kind);
// Coordinate transforms that are one homography: all but jitter.
bool is_homography(Kind kind);
bool is_lighting(Kind kind);
// Pixel transforms that only move pixels.
bool is_move(Kind kind);

Matrix affine_matrix(const Step& step);
// What an accumulated affine matrix does to the points of a flow: pictures are not square.
Matrix on_flow(const Matrix& affine, Resolution flow);
// The homography of a warp or zoom_squish, from output to input points.
Matrix homography(const Step& step, Resolution flow);

// L' = scale * L + shift on logits.
struct Light {
  double scale = 1, shift = 0;
  bool active = false;
  void add(const Step& step);
};

// Output (r, c) takes input (rows[r], cols[c]), or (cols[c], rows[r]) when transposed; -1 is black.
struct IndexMaps {
  std::vector<int> rows, cols;
  bool transposed = false;
  explicit IndexMaps(Resolution size);
  Resolution size() const { return {static_cast<int>(rows.size()), static_cast<int>(cols.size())}; }
  // `own` is the size that crop_pad restores when none was asked for.
  void add(const Step& step, Resolution own);
};

}  // namespace fastcpp::detail
