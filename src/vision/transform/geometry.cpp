#include "vision/transform/geometry.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0::detail {
namespace {

Matrix scaling(double x, double y, double shift_x, double shift_y) {
  return {x, 0, shift_x, 0, y, shift_y, 0, 0, 1};
}

// Corners as (x, y) in the order top left, bottom left, top right, bottom right.
using Corners = std::array<double, 8>;
constexpr Corners kCorners = {-1, -1, -1, 1, 1, -1, 1, 1};

// Solves the eight unknowns that send the moved corners to the original ones: Gauss with column
// pivots.
Matrix warp(const Corners& moved) {
  std::array<std::array<double, 9>, 8> rows{};
  for (std::size_t i = 0; i < 4; ++i) {
    const double px = moved[2 * i], py = moved[2 * i + 1], qx = kCorners[2 * i],
                 qy = kCorners[2 * i + 1];
    rows[2 * i] = {px, py, 1, 0, 0, 0, -qx * px, -qx * py, qx};
    rows[2 * i + 1] = {0, 0, 0, px, py, 1, -qy * px, -qy * py, qy};
  }
  for (std::size_t col = 0; col < 8; ++col) {
    std::size_t pivot = col;
    for (std::size_t row = col + 1; row < 8; ++row) {
      if (std::abs(rows[row][col]) > std::abs(rows[pivot][col])) pivot = row;
    }
    if (std::abs(rows[pivot][col]) < 1e-9) {
      throw ValueError(
          "value.transform_argument",
          "a perspective transform moves corners onto each other; use a smaller magnitude");
    }
    std::swap(rows[pivot], rows[col]);
    for (std::size_t row = 0; row < 8; ++row) {
      if (row == col) continue;
      const double factor = rows[row][col] / rows[col][col];
      for (std::size_t k = col; k < 9; ++k) rows[row][k] -= factor * rows[col][k];
    }
  }
  Matrix result;
  for (std::size_t i = 0; i < 8; ++i) result[i] = rows[i][8] / rows[i][i];
  result[8] = 1;
  return result;
}

Matrix tilt_matrix(std::size_t direction, double m) {
  Corners moved = kCorners;
  // The two corners of the edge, and whether they move along y or x.
  constexpr std::size_t kEdges[4][2] = {{2, 3}, {0, 1}, {1, 3}, {0, 2}};
  const std::size_t axis = direction < 2 ? 1 : 0;
  for (const std::size_t corner : kEdges[direction]) {
    auto& value = moved[2 * corner + axis];
    value += value > 0 ? m : -m;
  }
  return warp(moved);
}

Matrix zoom_squish_matrix(const Step& step, Resolution flow) {
  const double row = 2 * step.v[0] - 1, col = 2 * step.v[1] - 1;
  for (std::size_t i = 0; i + 2 < step.list.size(); i += 3) {
    const double s = 1 / std::sqrt(step.list[i]), r = std::sqrt(step.list[i + 1]);
    if (s * r > 1 || s / r > 1) continue;
    double w = s * r, h = s / r;
    if (step.list[i + 2] != 0) std::swap(w, h);
    return scaling(w, h, (1 - w) * col, (1 - h) * row);
  }
  const double aspect = static_cast<double>(flow.rows) / flow.cols;
  return aspect < 1 ? scaling(aspect, 1, 0, 0) : scaling(1, 1 / aspect, 0, 0);
}

int window_start(int length, int wanted, double pct) {
  // Exactly 1 would point one window too far.
  if (pct == 1) pct -= 1e-7;
  return static_cast<int>((length - wanted + 1) * pct);
}

std::vector<int> padded(const std::vector<int>& map, int before, int after, PaddingMode mode) {
  const int n = static_cast<int>(map.size());
  if (mode == PaddingMode::kReflection && std::max(before, after) >= n) {
    throw ValueError(
        "value.padding_too_large",
        fmt::format(
            "padding by reflection needs a picture larger than the padding: {} lines cannot be "
            "added to {}; use padding mode zeros or border, or another resize method",
            std::max(before, after), n));
  }
  std::vector<int> result(static_cast<std::size_t>(n + before + after));
  for (int i = 0; i < n + before + after; ++i) {
    int from = i - before;
    const bool outside = from < 0 || from >= n;
    if (mode == PaddingMode::kReflection)
      from = from < 0 ? -from : from >= n ? 2 * (n - 1) - from : from;
    if (mode == PaddingMode::kBorder) from = std::clamp(from, 0, n - 1);
    const bool black = outside && mode == PaddingMode::kZeros;
    result[static_cast<std::size_t>(i)] = black ? -1 : map[static_cast<std::size_t>(from)];
  }
  return result;
}

void cut(std::vector<int>& map, int start, int length) {
  map = std::vector<int>(map.begin() + start, map.begin() + start + length);
}

}  // namespace

Matrix product(const Matrix& a, const Matrix& b) {
  Matrix c{};
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t j = 0; j < 3; ++j) {
      for (std::size_t k = 0; k < 3; ++k) c[3 * i + j] += a[3 * i + k] * b[3 * k + j];
    }
  }
  return c;
}

bool is_affine(Kind kind) {
  return kind == Kind::kRotate || kind == Kind::kZoom || kind == Kind::kSquish ||
         kind == Kind::kFlipAffine || kind == Kind::kDihedralAffine;
}

bool is_homography(Kind kind) {
  return kind == Kind::kSymmetricWarp || kind == Kind::kPerspectiveWarp || kind == Kind::kTilt ||
         kind == Kind::kSkew || kind == Kind::kZoomSquish;
}

bool is_lighting(Kind kind) {
  return kind == Kind::kBrightness || kind == Kind::kContrast;
}

bool is_move(Kind kind) {
  return kind == Kind::kFlipLr || kind == Kind::kDihedral || kind == Kind::kCrop ||
         kind == Kind::kCropPad || kind == Kind::kPad;
}

Matrix affine_matrix(const Step& step) {
  const auto& v = step.v;
  if (step.kind == Kind::kRotate) {
    const double a = v[0] * std::numbers::pi / 180;
    return {std::cos(a), -std::sin(a), 0, std::sin(a), std::cos(a), 0, 0, 0, 1};
  }
  if (step.kind == Kind::kZoom) {
    const double s = 1 - 1 / v[0];
    return scaling(1 / v[0], 1 / v[0], s * (2 * v[2] - 1), s * (2 * v[1] - 1));
  }
  if (step.kind == Kind::kSquish) {
    if (v[0] <= 1) return scaling(v[0], 1, (1 - v[0]) * (2 * v[2] - 1), 0);
    return scaling(1, 1 / v[0], 0, (1 - 1 / v[0]) * (2 * v[1] - 1));
  }
  if (step.kind == Kind::kFlipAffine) return scaling(-1, 1, 0, 0);
  const auto k = static_cast<int>(v[0]);
  const double x = k & 1 ? -1 : 1, y = k & 2 ? -1 : 1;
  if (k & 4) return {0, x, 0, y, 0, 0, 0, 0, 1};
  return scaling(x, y, 0, 0);
}

Matrix on_flow(const Matrix& affine, Resolution flow) {
  Matrix m = affine;
  const double aspect = static_cast<double>(flow.rows) / flow.cols;
  m[1] *= aspect;
  m[3] /= aspect;
  return m;
}

Matrix homography(const Step& step, Resolution flow) {
  const auto& m = step.v;
  if (step.kind == Kind::kZoomSquish) return zoom_squish_matrix(step, flow);
  if (step.kind == Kind::kTilt) return tilt_matrix(static_cast<std::size_t>(m[0]), m[1]);
  Corners moved = kCorners;
  if (step.kind == Kind::kSkew) {
    auto& value = moved[static_cast<std::size_t>(m[0])];
    value += value > 0 ? m[1] : -m[1];
  } else if (step.kind == Kind::kPerspectiveWarp) {
    for (std::size_t i = 0; i < 8; ++i) moved[i] += m[i];
  } else {
    moved = {-1 - m[3], -1 - m[1], -1 - m[2], 1 + m[1], 1 + m[3], -1 - m[0], 1 + m[2], 1 + m[0]};
  }
  return warp(moved);
}

void Light::add(const Step& step) {
  active = true;
  if (step.kind == Kind::kBrightness) {
    shift += std::log(step.v[0] / (1 - step.v[0]));
  } else {
    scale *= step.v[0];
    shift *= step.v[0];
  }
}

IndexMaps::IndexMaps(Resolution size)
    : rows(static_cast<std::size_t>(size.rows)), cols(static_cast<std::size_t>(size.cols)) {
  std::iota(rows.begin(), rows.end(), 0);
  std::iota(cols.begin(), cols.end(), 0);
}

void IndexMaps::add(const Step& step, Resolution own) {
  if (step.kind == Kind::kFlipLr) {
    std::reverse(cols.begin(), cols.end());
  } else if (step.kind == Kind::kDihedral) {
    const auto k = static_cast<int>(step.v[0]);
    if (k & 1) std::reverse(rows.begin(), rows.end());
    if (k & 2) std::reverse(cols.begin(), cols.end());
    if (k & 4) {
      rows.swap(cols);
      transposed = !transposed;
    }
  } else if (step.kind == Kind::kPad) {
    const auto lines = static_cast<int>(step.v[0]);
    rows = padded(rows, lines, lines, step.padding);
    cols = padded(cols, lines, lines, step.padding);
  } else if (step.kind == Kind::kCrop) {
    if (step.size.rows > size().rows || step.size.cols > size().cols) {
      throw ValueError(
          "value.crop_too_large",
          fmt::format("cannot crop {} x {} out of a picture of {} x {}; crop_pad pads where needed",
                      step.size.rows, step.size.cols, size().rows, size().cols));
    }
    cut(rows, window_start(size().rows, step.size.rows, step.v[0]), step.size.rows);
    cut(cols, window_start(size().cols, step.size.cols, step.v[1]), step.size.cols);
  } else {
    const Resolution wanted = step.size.rows > 0 ? step.size : own;
    const auto fit = [&](std::vector<int>& map, int length, double pct) {
      const int deficit = length - static_cast<int>(map.size());
      if (deficit > 0) map = padded(map, (deficit + 1) / 2, (deficit + 1) / 2, step.padding);
      cut(map, window_start(static_cast<int>(map.size()), length, pct), length);
    };
    fit(rows, wanted.rows, step.v[0]);
    fit(cols, wanted.cols, step.v[1]);
  }
}

}  // namespace fastcpp::detail
