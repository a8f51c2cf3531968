#include "vision/transform/device.hpp"

#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "fastcpp/core/boundary.hpp"
#include "vision/transform/composed.hpp"

namespace fastcpp::inline v0::detail {
namespace {

using Index = std::int64_t;

// What stands before the pixels of a packed picture, in floats; behind it one grid point for every
// row and every column of the result.
enum Field {
  kMatrix = 0,    // 9: from grid points to pixels of the source
  kFinished = 9,  // 1: the pixels are a finished picture's floats, not the source's bytes
  kRows,
  kCols,  // of the source
  kTop,
  kLeft,  // of the region of the source that is here
  kWidth,
  kHeight,  // of that region
  kLit,
  kScale,
  kShift,
  kGrid
};
constexpr float kBlack = 9;  // instead of a grid point: beyond the picture

// Floats before the pixels: whole pixels of three bytes fit in between.
Index header_size(Resolution out) {
  return (kGrid + out.rows + out.cols + 2) / 3 * 3;
}

// The pixels of one axis that an interval of coordinates reads, folded back at the borders.
struct Span {
  int first, last;
};
Span read_pixels(double low, double high, int n) {
  const double end = n - 1;
  if (low < -end || high > 2 * end || !(low <= high)) return {0, n - 1};
  const double first = high > end ? std::min(low, 2 * end - high) : low;
  const double last = low < 0 ? std::max(high, -low) : high;
  // One more at both ends: the device rounds to single precision.
  return {static_cast<int>(std::clamp(std::floor(first) - 1, 0.0, end)),
          static_cast<int>(std::clamp(std::floor(last) + 2, 0.0, end))};
}

struct Region {
  Span rows, cols;
  Index width() const { return cols.last - cols.first + 1; }
  Index height() const { return rows.last - rows.first + 1; }
};

Region region_of(const Matrix& m, const float* row_points, const float* col_points, Resolution out,
                 Resolution source) {
  const auto range = [](const float* points, int n) {
    double low = HUGE_VAL, high = -HUGE_VAL;
    for (int i = 0; i < n; ++i) {
      if (points[i] == kBlack) continue;
      low = std::min<double>(low, points[i]);
      high = std::max<double>(high, points[i]);
    }
    return std::pair{low, high};
  };
  const auto [x0, x1] = range(col_points, out.cols);
  const auto [y0, y1] = range(row_points, out.rows);
  const Region all{{0, source.rows - 1}, {0, source.cols - 1}};
  double left = HUGE_VAL, right = -HUGE_VAL, top = HUGE_VAL, bottom = -HUGE_VAL;
  for (const double x : {x0, x1}) {
    for (const double y : {y0, y1}) {
      // Where the divisor keeps its sign, a rectangle's image has its extremes at the corners.
      const double d = m[6] * x + m[7] * y + m[8];
      if (!(d > 0)) return all;
      const double u = (m[0] * x + m[1] * y + m[2]) / d, v = (m[3] * x + m[4] * y + m[5]) / d;
      left = std::min(left, u);
      right = std::max(right, u);
      top = std::min(top, v);
      bottom = std::max(bottom, v);
    }
  }
  return {read_pixels(top, bottom, source.rows), read_pixels(left, right, source.cols)};
}

// Bytes of a region; of float planes the nearest ones.
void copy_region(const Source& source, const Region& region, std::uint8_t* to) {
  for (int r = region.rows.first; r <= region.rows.last; ++r) {
    if (source.rgb8) {
      const auto bytes = static_cast<std::size_t>(3 * region.width());
      std::memcpy(to, source.rgb8->ptr<std::uint8_t>(r) + 3 * region.cols.first, bytes);
      to += bytes;
      continue;
    }
    const auto area = static_cast<std::ptrdiff_t>(source.size.rows) * source.size.cols;
    for (int c = region.cols.first; c <= region.cols.last; ++c) {
      const float* pixel = source.planes + static_cast<std::ptrdiff_t>(r) * source.size.cols + c;
      for (int k = 0; k < 3; ++k) {
        *to++ =
            static_cast<std::uint8_t>(std::lround(255 * std::clamp(pixel[k * area], 0.0f, 1.0f)));
      }
    }
  }
}

}  // namespace

std::int64_t packed_size(Resolution out) {
  return (header_size(out) + 3 * Index{out.rows} * out.cols + 2) / 3 * 3;
}

void pack_for_device(const Plan& plan, const Source& source, Resolution out, float* slot) {
  std::fill_n(slot, header_size(out), 0.0f);
  float* const pixels = slot + header_size(out);
  const auto finish_here = [&] {
    slot[kFinished] = 1;
    execute(plan, source, [&](Resolution size) {
      check_fits(size, out);
      return pixels;
    });
  };
  const bool only_warps = std::none_of(plan.steps.begin(), plan.steps.end(), [](const Step& step) {
    return step.kind == Kind::kJitter || step.kind == Kind::kCutout ||
           step.kind == Kind::kRgbRandomize;
  });
  if (!only_warps || !fast_form(plan, source) || plan.padding == PaddingMode::kZeros ||
      source.channels != 3) {
    return finish_here();
  }
  const Composed all = compose(plan, source.size);
  check_fits(all.maps.size(), out);
  Planes smaller;
  const Source from = shrunk(all, source, smaller);
  Matrix m = in_pixels(all.points, from.size);
  const bool turned = all.maps.transposed;
  if (turned) {
    for (const std::size_t i : {0u, 3u, 6u}) std::swap(m[i], m[i + 1]);
  }
  float *const row_points = slot + kGrid, *const col_points = row_points + out.rows;
  const auto points = [](const std::vector<int>& map, int n, float* to) {
    for (std::size_t i = 0; i < map.size(); ++i) {
      to[i] = map[i] < 0 ? kBlack : static_cast<float>(grid_point(map[i], n));
    }
  };
  points(all.maps.rows, turned ? all.flow.cols : all.flow.rows, row_points);
  points(all.maps.cols, turned ? all.flow.rows : all.flow.cols, col_points);
  const auto region = region_of(m, row_points, col_points, out, from.size);
  if (3 * region.width() * region.height() >
      static_cast<Index>(sizeof(float)) * 3 * out.rows * out.cols) {
    return finish_here();
  }
  std::copy(m.begin(), m.end(), slot + kMatrix);
  slot[kRows] = static_cast<float>(from.size.rows);
  slot[kCols] = static_cast<float>(from.size.cols);
  slot[kTop] = static_cast<float>(region.rows.first);
  slot[kLeft] = static_cast<float>(region.cols.first);
  slot[kWidth] = static_cast<float>(region.width());
  slot[kHeight] = static_cast<float>(region.height());
  slot[kLit] = all.light.active ? 1.0f : 0.0f;
  slot[kScale] = static_cast<float>(all.light.scale);
  slot[kShift] = static_cast<float>(all.light.shift);
  copy_region(from, region, reinterpret_cast<std::uint8_t*>(pixels));
}

void pack_tfms_into(const cv::Mat& rgb8, const TfmList& tfms, const ApplyTfmsOptions& options,
                    Rng& rng, Resolution out, float* slot) {
  boundary([&] {
    pack_for_device(draw_plan(tfms, options, rng), {&rgb8, nullptr, 3, {rgb8.rows, rgb8.cols}}, out,
                    slot);
  });
}

namespace {

// Neighbours along one axis, within the region, and the weight of the second one.
struct Taps2 {
  torch::Tensor low, high, weight;
};

Taps2 neighbours(const torch::Tensor& at, const torch::Tensor& count, const torch::Tensor& first,
                 const torch::Tensor& length, PaddingMode padding) {
  const auto span = count - 1;
  auto r = at;
  if (padding == PaddingMode::kReflection) {
    const auto distance = at.abs().clamp_max(1e9);
    const auto folds = (distance / span.clamp_min(1)).floor();
    const auto rest = distance - folds * span;
    r = torch::where(folds.remainder(2) == 1, span - rest, rest);
  }
  r = torch::minimum(r.clamp_min(0), span);
  const auto whole = r.floor();
  // Rounding must not lead out of the memory of the picture.
  const auto inside = [&](const torch::Tensor& pixel) {
    return torch::minimum((pixel - first).clamp_min(0), length - 1).to(torch::kInt64);
  };
  return {inside(whole), inside(torch::minimum(whole + 1, span)), r - whole};
}

torch::Tensor finish(const torch::Tensor& packed, Resolution out, PaddingMode padding) {
  const torch::NoGradGuard no_grad;
  const Index n = packed.size(0), header = header_size(out);
  const auto field = [&](int i) { return packed.select(1, i).view({n, 1, 1}); };
  const auto y = packed.narrow(1, kGrid, out.rows).unsqueeze(2);             // n x rows x 1
  const auto x = packed.narrow(1, kGrid + out.rows, out.cols).unsqueeze(1);  // n x 1 x cols
  const auto line = [&](int i) { return field(i) * x + field(i + 1) * y + field(i + 2); };
  // Where nothing was packed the divisor is 0.
  const auto done = field(kFinished) > 0;
  const auto divisor = torch::where(done, torch::ones_like(field(0)), line(kMatrix + 6));
  const auto cols =
      neighbours(line(kMatrix) / divisor, field(kCols), field(kLeft), field(kWidth), padding);
  const auto rows =
      neighbours(line(kMatrix + 3) / divisor, field(kRows), field(kTop), field(kHeight), padding);
  // The batch as a list of pixels of three bytes.
  const auto bytes = packed.view(torch::kUInt8).view({-1, 3});
  const Index stride = 4 * packed.size(1) / 3;
  const auto start =
      (torch::arange(n, packed.options().dtype(torch::kInt64)) * stride + 4 * header / 3)
          .view({n, 1, 1});
  const auto width = field(kWidth).to(torch::kInt64);
  const auto pixels = [&](const torch::Tensor& row, const torch::Tensor& col) {
    const auto at = torch::where(done, start, start + row * width + col);
    return bytes.index_select(0, at.flatten()).view({n, out.rows, out.cols, 3}).to(torch::kFloat32);
  };
  const auto wx = cols.weight.unsqueeze(3), wy = rows.weight.unsqueeze(3);
  const auto blend = [&](const torch::Tensor& row) {
    return torch::lerp(pixels(row, cols.low), pixels(row, cols.high), wx);
  };
  auto result = torch::lerp(blend(rows.low), blend(rows.high), wy).div_(255);
  const auto lit = field(kLit).unsqueeze(3) > 0;
  const auto light = torch::sigmoid(torch::logit(result, 1e-7) * field(kScale).unsqueeze(3) +
                                    field(kShift).unsqueeze(3));
  const auto shown = ((y != kBlack) & (x != kBlack)).unsqueeze(3);
  result = torch::where(lit, light, result) * shown;
  const auto finished = packed.narrow(1, header, 3 * Index{out.rows} * out.cols)
                            .view({n, 3, out.rows, out.cols})
                            .permute({0, 2, 3, 1});
  return torch::where(done.unsqueeze(3), finished, result).permute({0, 3, 1, 2});
}

}  // namespace

torch::Tensor finish_on_device(const torch::Tensor& packed, Resolution out, PaddingMode padding) {
  return boundary([&] { return finish(packed, out, padding); });
}

}  // namespace fastcpp::detail
