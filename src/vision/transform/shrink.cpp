#include <algorithm>
#include <array>
#include <cmath>
#include <type_traits>

#include "vision/transform/plan.hpp"

namespace fastcpp::inline v0::detail {
namespace {

// Window i of n along a side of `length`: neighbouring windows may share a line.
struct Window {
  int begin, end;
};
Window window(int i, int length, int n) {
  const auto wide = static_cast<std::int64_t>(length);
  return {static_cast<int>(i * wide / n), static_cast<int>(((i + 1) * wide + n - 1) / n)};
}

// Adds up the lines of each window first, then the columns. `Sum` holds the sums of T exactly or
// well enough.
template <typename T, typename Sum, std::size_t kStride>
void shrink(const T* (*row_of)(const Source&, int plane, int y), const Source& source, int plane,
            std::size_t values, double unit, Resolution to, float* const* out) {
  // A window may hold more pixels than 32 bits can add up.
  using Wide = std::conditional_t<std::is_integral_v<Sum>, std::uint64_t, Sum>;
  std::vector<Sum> sums(values);
  std::vector<Window> columns;
  for (int c = 0; c < to.cols; ++c) columns.push_back(window(c, source.size.cols, to.cols));
  for (int r = 0; r < to.rows; ++r) {
    const auto lines = window(r, source.size.rows, to.rows);
    std::fill(sums.begin(), sums.end(), Sum{0});
    for (int y = lines.begin; y < lines.end; ++y) {
      const T* row = row_of(source, plane, y);
      for (std::size_t i = 0; i < values; ++i) sums[i] += static_cast<Sum>(row[i]);
    }
    const double line_unit = unit / (lines.end - lines.begin);
    for (std::size_t c = 0; c < columns.size(); ++c) {
      const auto [begin, end] = columns[c];
      const double scale = line_unit / (end - begin);
      std::array<Wide, kStride> sum{};
      const Sum* at = sums.data() + static_cast<std::size_t>(begin) * kStride;
      for (int x = begin; x < end; ++x, at += kStride) {
        for (std::size_t k = 0; k < kStride; ++k) sum[k] += at[k];
      }
      for (std::size_t k = 0; k < kStride; ++k) {
        out[k][static_cast<std::size_t>(r) * columns.size() + c] =
            static_cast<float>(static_cast<double>(sum[k]) * scale);
      }
    }
  }
}

const std::uint8_t* byte_row(const Source& source, int, int y) {
  return source.rgb8->ptr<std::uint8_t>(y);
}

const float* float_row(const Source& source, int plane, int y) {
  return source.planes +
         (static_cast<std::ptrdiff_t>(plane) * source.size.rows + y) * source.size.cols;
}

}  // namespace

Resolution shrink_size(Resolution picture, Resolution flow, double extent) {
  const double z = 2 / extent;
  const double d = std::min(static_cast<double>(picture.rows) / flow.rows,
                            static_cast<double>(picture.cols) / flow.cols) /
                   2;
  if (!(d > 1 && d > z)) return {};
  // The reciprocal first: floor(rows / d) would now and then be one more.
  const double factor = 1 / d;
  const auto side = [factor](int length) {
    return std::max(1, static_cast<int>(std::floor(length * factor)));
  };
  return {side(picture.rows), side(picture.cols)};
}

Planes area_shrink(const Source& source, Resolution to) {
  Planes out{source.channels, to, {}};
  out.v.resize(static_cast<std::size_t>(source.channels) * out.area());
  const auto cols = static_cast<std::size_t>(source.size.cols);
  if (source.rgb8) {
    float* const planes[] = {out.plane(0), out.plane(1), out.plane(2)};
    constexpr int kLinesOf32Bits = 1 << 24;
    const auto by = source.size.rows < kLinesOf32Bits ? shrink<std::uint8_t, std::uint32_t, 3>
                                                      : shrink<std::uint8_t, std::uint64_t, 3>;
    by(byte_row, source, 0, 3 * cols, 1.0 / 255, to, planes);
  } else {
    for (int c = 0; c < source.channels; ++c) {
      float* const plane[] = {out.plane(c)};
      shrink<float, double, 1>(float_row, source, c, cols, 1.0, to, plane);
    }
  }
  return out;
}

Planes to_planes(const Source& source) {
  Planes out{source.channels, source.size, {}};
  if (source.planes) {
    out.v.assign(source.planes,
                 source.planes + static_cast<std::size_t>(source.channels) * out.area());
    return out;
  }
  out.v.resize(3 * out.area());
  for (int y = 0; y < source.size.rows; ++y) {
    const auto* row = source.rgb8->ptr<std::uint8_t>(y);
    for (int c = 0; c < 3; ++c) {
      float* to = out.plane(c) + static_cast<std::ptrdiff_t>(y) * source.size.cols;
      for (int x = 0; x < source.size.cols; ++x)
        to[x] = static_cast<float>(row[3 * x + c]) / 255.0f;
    }
  }
  return out;
}

}  // namespace fastcpp::detail
