// Execution in one pass: all geometry is one homography, or two with the shifts of jitter between them, evaluated only at the
// pixels that survive the crop; pixels that are replaced come last.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "vision/transform/composed.hpp"
#include "vision/transform/kernels.hpp"
#include "vision/transform/noise.hpp"

namespace fastcpp::inline v0::detail {

namespace {

// Replaces pixels.
bool is_patch(Kind kind) {
  return kind == Kind::kCutout || kind == Kind::kRgbRandomize;
}

Point mapped(const Matrix& m, Point p) {
  const Point to{m[0] * p.x + m[1] * p.y + m[2], m[3] * p.x + m[4] * p.y + m[5]};
  if (m[6] == 0 && m[7] == 0 && m[8] == 1) return to;
  const double d = m[6] * p.x + m[7] * p.y + m[8];
  return {to.x / d, to.y / d};
}

// The points of the flow, sent through `before` and shifted.
std::vector<Point> jittered(const Step& step, const Matrix& before, Resolution flow) {
  const auto shifts = jitter_shifts(step, flow);
  const double* shift = shifts.data();
  std::vector<double> across(static_cast<std::size_t>(flow.cols));
  for (int c = 0; c < flow.cols; ++c)
    across[static_cast<std::size_t>(c)] = grid_point(c, flow.cols);
  std::vector<Point> result;
  result.reserve(shifts.size() / 2);
  for (int r = 0; r < flow.rows; ++r) {
    const double down = grid_point(r, flow.rows);
    for (const double x : across) {
      const auto [u, v] = mapped(before, {x, down});
      result.push_back({u + shift[0], v + shift[1]});
      shift += 2;
    }
  }
  return result;
}

}  // namespace

Composed compose(const Plan& plan, Resolution picture) {
  Composed all;
  const Resolution target = resize_target(plan, picture);
  all.resamples = target.rows > 0;
  all.flow = all.resamples ? target : picture;
  all.maps = IndexMaps(all.flow);
  Matrix pending = kIdentity;
  const auto fold = [&] {
    all.points = product(on_flow(pending, all.flow), all.points);
    pending = kIdentity;
  };
  for (const auto& step : plan.steps) {
    if (is_affine(step.kind)) {
      pending = product(pending, affine_matrix(step));
      all.resamples = true;
    } else if (is_homography(step.kind)) {
      fold();
      all.points = product(homography(step, all.flow), all.points);
      all.resamples = true;
    } else if (step.kind == Kind::kJitter) {
      fold();
      all.jittered = jittered(step, std::exchange(all.points, kIdentity), all.flow);
      all.resamples = true;
    } else if (is_lighting(step.kind)) {
      all.light.add(step);
    } else if (is_patch(step.kind)) {
      all.patches.push_back({&step, all.maps.size(), IndexMaps(all.maps.size())});
    } else {
      all.maps.add(step, picture);
      for (auto& patch : all.patches) patch.maps.add(step, picture);
    }
  }
  fold();
  return all;
}

namespace {

struct Extent {
  double low = HUGE_VAL, high = -HUGE_VAL, least_divisor = HUGE_VAL, most_divisor = -HUGE_VAL;
  void add(const Matrix& m, double x, double y) {
    const double d = m[6] * x + m[7] * y + m[8];
    const double u = (m[0] * x + m[1] * y + m[2]) / d, v = (m[3] * x + m[4] * y + m[5]) / d;
    low = std::min({low, u, v});
    high = std::max({high, u, v});
    least_divisor = std::min(least_divisor, d);
    most_divisor = std::max(most_divisor, d);
  }
};

// max - min over x and y of the whole flow, before any crop. A homography whose divisor keeps its
// sign has its extremes at the corners; otherwise every point is looked at.
double extent(const Composed& picture) {
  const Matrix& m = picture.points;
  const Resolution flow = picture.flow;
  if (!picture.jittered.empty()) {
    double low = HUGE_VAL, high = -HUGE_VAL;
    for (const auto& point : picture.jittered) {
      const auto [u, v] = mapped(m, point);
      low = std::min({low, u, v});
      high = std::max({high, u, v});
    }
    return high - low;
  }
  const double right = grid_point(flow.cols - 1, flow.cols),
               bottom = grid_point(flow.rows - 1, flow.rows);
  Extent corners;
  for (const double x : {-1.0, right}) {
    for (const double y : {-1.0, bottom}) corners.add(m, x, y);
  }
  if (corners.least_divisor > 0 || corners.most_divisor < 0) return corners.high - corners.low;
  Extent all;
  for (int r = 0; r < flow.rows; ++r) {
    for (int c = 0; c < flow.cols; ++c)
      all.add(m, grid_point(c, flow.cols), grid_point(r, flow.rows));
  }
  return all.high - all.low;
}

}  // namespace

Matrix in_pixels(const Matrix& m, Resolution source) {
  const double x = (source.cols - 1) / 2.0, y = (source.rows - 1) / 2.0;
  return product({x, 0, x, 0, y, y, 0, 0, 1}, m);
}

Source shrunk(const Composed& all, const Source& source, Planes& smaller) {
  if (!all.resamples) return source;
  const Resolution small = shrink_size(source.size, all.flow, extent(all));
  if (small.rows == 0) return source;
  smaller = area_shrink(source, small);
  return {nullptr, smaller.v.data(), smaller.channels, smaller.size};
}

namespace {

// Three bytes read as four; at the very end of the picture one byte earlier.
std::uint32_t load_rgb(const std::uint8_t* base, std::int32_t at, std::int32_t last) {
  const std::int32_t from = std::min(at, last);
  std::uint32_t pixel;
  std::memcpy(&pixel, base + from, sizeof pixel);
  return pixel >> (8 * (at - from));
}

class Painter {
 public:
  Painter(const Composed& all, const Source& source, PaddingMode padding, float* planes)
      : all_(all),
        source_(source),
        matrix_(in_pixels(all.points, source.size)),
        planes_(planes),
        size_(all.maps.size()) {
    const Matrix& m = matrix_;
    // Along an output row one of x and y is constant; which one depends on the transposition.
    const bool turned = all.maps.transposed;
    const auto axis = [&](std::size_t i) { return turned ? m[i + 1] : m[i]; };
    const auto other = [&](std::size_t i) { return turned ? m[i] : m[i + 1]; };
    for (const std::size_t i : {0u, 3u, 6u}) {
      auto& column = column_[i / 3];
      column.resize(all.maps.cols.size());
      const int n = turned ? all.flow.rows : all.flow.cols;
      for (std::size_t c = 0; c < column.size(); ++c)
        column[c] = axis(i) * grid_point(std::max(all.maps.cols[c], 0), n);
      row_factor_[i / 3] = other(i);
      row_shift_[i / 3] = m[i + 2];
    }
    line_.affine = m[6] == 0 && m[7] == 0 && m[8] == 1;
    line_.rows = source.size.rows;
    line_.cols = source.size.cols;
    line_.step_row = source.rgb8 ? static_cast<int>(source.rgb8->step[0]) : source.size.cols;
    line_.step_col = source.rgb8 ? 3 : 1;
    line_.padding = padding;
  }

  void paint() {
    for (int r = 0; r < size_.rows; ++r) {
      if (all_.maps.rows[static_cast<std::size_t>(r)] < 0) {
        for (int c = 0; c < source_.channels; ++c) std::fill_n(at(c, r, 0), size_.cols, 0.0f);
      } else {
        paint_row(r);
      }
    }
  }

 private:
  float* at(int channel, int row, int col) {
    return planes_ + (static_cast<std::ptrdiff_t>(channel) * size_.rows + row) * size_.cols + col;
  }

  void paint_row(int r) {
    const int n = all_.maps.transposed ? all_.flow.cols : all_.flow.rows;
    const double p = grid_point(all_.maps.rows[static_cast<std::size_t>(r)], n);
    line_.rx = row_factor_[0] * p + row_shift_[0];
    line_.ry = row_factor_[1] * p + row_shift_[1];
    line_.rw = row_factor_[2] * p + row_shift_[2];
    for (int start = 0; start < size_.cols; start += kBlock)
      paint_block(r, start, std::min(kBlock, size_.cols - start));
    const auto& cols = all_.maps.cols;
    for (std::size_t c = 0; c < cols.size(); ++c) {
      if (cols[c] >= 0) continue;
      for (int k = 0; k < source_.channels; ++k) *at(k, r, static_cast<int>(c)) = 0.0f;
    }
  }

  // As `column_`, with what jitter adds.
  void jitter_block(int r, int start, int count) {
    const bool turned = all_.maps.transposed;
    const int row = all_.maps.rows[static_cast<std::size_t>(r)];
    for (int i = 0; i < count; ++i) {
      const int col = std::max(all_.maps.cols[static_cast<std::size_t>(start + i)], 0);
      const int down = turned ? col : row, along = turned ? row : col;
      const auto [x, y] =
          all_.jittered[static_cast<std::size_t>(down) * static_cast<std::size_t>(all_.flow.cols) +
                        static_cast<std::size_t>(along)];
      for (std::size_t k = 0; k < 3; ++k) {
        jittered_[k][i] = matrix_[3 * k] * x + matrix_[3 * k + 1] * y + matrix_[3 * k + 2];
      }
    }
    line_.rx = line_.ry = line_.rw = 0;
    line_.x = jittered_[0];
    line_.y = jittered_[1];
    line_.w = jittered_[2];
  }

  void paint_block(int r, int start, int count) {
    line_.x = column_[0].data() + start;
    line_.y = column_[1].data() + start;
    line_.w = column_[2].data() + start;
    if (!all_.jittered.empty()) jitter_block(r, start, count);
    kernels_.locate(line_, count, taps_);
    if (source_.rgb8) {
      blend_bytes(r, start, count);
    } else {
      const auto area = static_cast<std::ptrdiff_t>(source_.size.rows) * source_.size.cols;
      for (int c = 0; c < source_.channels; ++c) {
        kernels_.blend_plane(source_.planes + c * area, taps_, count, at(c, r, start));
      }
    }
    if (!all_.light.active) return;
    const auto scale = static_cast<float>(all_.light.scale);
    const auto shift = static_cast<float>(all_.light.shift * 1.4426950408889634);
    for (int c = 0; c < source_.channels; ++c) kernels_.light(at(c, r, start), count, scale, shift);
  }

  void blend_bytes(int r, int start, int count) {
    const auto* base = source_.rgb8->data;
    const auto last =
        static_cast<std::int32_t>((line_.rows - 1) * line_.step_row + 3 * line_.cols - 4);
    // What the next row of the result will read: the processor does not guess slanted lines.
    for (int i = 0; i < count; i += 8) {
      __builtin_prefetch(base + std::min(taps_.at[3][i] + 3 * line_.step_row, last));
    }
    for (int k = 0; k < 4; ++k) {
      const auto* from = taps_.at[k];
      if (taps_.furthest <= last) {
        for (int i = 0; i < count; ++i) std::memcpy(&pixels_[k][i], base + from[i], 4);
      } else {
        for (int i = 0; i < count; ++i) pixels_[k][i] = load_rgb(base, from[i], last);
      }
    }
    float* const out[] = {at(0, r, start), at(1, r, start), at(2, r, start)};
    kernels_.blend_rgb(pixels_, taps_, count, out);
  }

  const Composed& all_;
  const Source& source_;
  const Matrix matrix_;  // of points to pixels of the source
  float* planes_;
  Resolution size_;
  std::vector<double> column_[3];
  alignas(64) double jittered_[3][kBlock];
  double row_factor_[3], row_shift_[3];
  Line line_{};
  Taps taps_;
  alignas(64) std::uint32_t pixels_[4][kBlock];
  const Kernels& kernels_ = kernels();
};

void cut_holes(const Composed::Patch& patch, int channels, float* planes) {
  const auto& maps = patch.maps;
  const auto [rows, cols] = maps.size();
  for (const auto& hole : holes_of(*patch.step, patch.size)) {
    const bool turned = maps.transposed;
    const auto within = [](int at, int first, int last) { return at >= first && at < last; };
    for (int r = 0; r < rows; ++r) {
      const int down = maps.rows[static_cast<std::size_t>(r)];
      if (turned ? !within(down, hole.left, hole.right) : !within(down, hole.top, hole.bottom)) {
        continue;
      }
      for (int c = 0; c < cols; ++c) {
        const int across = maps.cols[static_cast<std::size_t>(c)];
        if (turned ? !within(across, hole.top, hole.bottom)
                   : !within(across, hole.left, hole.right)) {
          continue;
        }
        for (int k = 0; k < channels; ++k) {
          planes[(static_cast<std::ptrdiff_t>(k) * rows + r) * cols + c] = 0.0f;
        }
      }
    }
  }
}

void randomize(const Composed::Patch& patch, int channels, float* planes) {
  const auto& maps = patch.maps;
  const auto [rows, cols] = maps.size();
  ChannelNoise noise(*patch.step, channels);
  float* const plane = planes + static_cast<std::ptrdiff_t>(noise.channel()) * rows * cols;
  const auto& outer =
      maps.transposed ? maps.cols : maps.rows;  // rows of the picture that had the noise
  const auto& inner = maps.transposed ? maps.rows : maps.cols;
  // Only what is seen of it: a picture may be much longer than its crop.
  int first = patch.size.cols, last = -1;
  for (const int at : inner) {
    if (at < 0) continue;
    first = std::min(first, at);
    last = std::max(last, at);
  }
  for (std::size_t o = 0; o < outer.size(); ++o) {
    if (outer[o] < 0 || last < first) continue;
    const auto& values = noise.row(outer[o], patch.size.cols, first, last - first + 1);
    for (std::size_t i = 0; i < inner.size(); ++i) {
      if (inner[i] < 0) continue;
      const auto r = maps.transposed ? i : o, c = maps.transposed ? o : i;
      plane[r * static_cast<std::size_t>(cols) + c] =
          static_cast<float>(values[static_cast<std::size_t>(inner[i] - first)]);
    }
  }
}

}  // namespace

bool fast_form(const Plan& plan, const Source& source) {
  const std::size_t bytes =
      source.rgb8 ? source.rgb8->step[0] * static_cast<std::size_t>(source.size.rows) : 4;
  if (bytes < 4 || bytes > 0x7fffffff || plan.mode != SampleMode::kBilinear) return false;
  int jitters = 0;
  bool patched = false;
  for (const auto& step : plan.steps) {
    if (is_patch(step.kind)) {
      patched = true;
    } else if (is_move(step.kind)) {
      if (step.kind == Kind::kPad) return false;
    } else if (patched) {
      return false;  // pixels that were replaced would be resampled or lit
    } else if (step.kind == Kind::kJitter) {
      if (++jitters > 1) return false;
    } else if (!is_affine(step.kind) && !is_homography(step.kind) && !is_lighting(step.kind)) {
      return false;
    }
  }
  return true;
}

void execute_fast(const Plan& plan, const Source& source, const Place& place) {
  const Composed all = compose(plan, source.size);
  Planes smaller;
  const Source from = shrunk(all, source, smaller);
  for (const auto& patch : all.patches) {
    // Refused before anything is written.
    if (patch.step->kind == Kind::kRgbRandomize) ChannelNoise(*patch.step, source.channels);
  }
  float* planes = place(all.maps.size());
  Painter(all, from, plan.padding, planes).paint();
  for (const auto& patch : all.patches) {
    if (patch.step->kind == Kind::kCutout) {
      cut_holes(patch, source.channels, planes);
    } else {
      randomize(patch, source.channels, planes);
    }
  }
}

}  // namespace fastcpp::detail
