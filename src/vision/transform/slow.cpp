// Execution step by step, in the order and with the state of the specification. Any list; clear,
// not quick.
#include <algorithm>
#include <cmath>

#include "vision/transform/geometry.hpp"
#include "vision/transform/noise.hpp"

namespace fastcpp::inline v0::detail {
namespace {

// The picture with what is pending.
class Lazy {
 public:
  Lazy(const Plan& plan, const Source& source)
      : px_(to_planes(source)), padding_(plan.padding), mode_(plan.mode), own_(source.size) {}

  void resize(Resolution target) { grid(target); }
  void run(const Step& step);
  Planes finish() {
    refresh();
    return std::move(px_);
  }

 private:
  void grid(Resolution size);
  void read_flow();
  void refresh();
  void resample();
  void light(const Step& step);
  void pixels(const Step& step);
  void move(const Step& step);
  void cut_holes(const Step& step);
  void randomize(const Step& step);

  Planes px_;
  bool logit_ = false;
  std::vector<Point> flow_;
  Resolution flow_size_;
  Matrix matrix_ = kIdentity;
  bool has_matrix_ = false;
  PaddingMode padding_;
  SampleMode mode_;
  Resolution own_;
};

void transform_points(std::vector<Point>& points, const Matrix& m) {
  for (auto& [x, y] : points) {
    const double d = m[6] * x + m[7] * y + m[8];
    const double u = (m[0] * x + m[1] * y + m[2]) / d;
    y = (m[3] * x + m[4] * y + m[5]) / d;
    x = u;
  }
}

void Lazy::grid(Resolution size) {
  check_flow(size);
  flow_size_ = size;
  flow_.clear();
  flow_.reserve(static_cast<std::size_t>(size.rows) * static_cast<std::size_t>(size.cols));
  const auto place = [](int i, int n) { return n > 1 ? 2.0 * i / (n - 1) - 1 : -1.0; };
  for (int r = 0; r < size.rows; ++r) {
    for (int c = 0; c < size.cols; ++c) flow_.push_back({place(c, size.cols), place(r, size.rows)});
  }
}

// Reading the flow makes it and folds the pending matrix in.
void Lazy::read_flow() {
  if (flow_.empty()) grid(px_.size);
  if (has_matrix_) transform_points(flow_, on_flow(matrix_, flow_size_));
  matrix_ = kIdentity;
  has_matrix_ = false;
}

void Lazy::refresh() {
  if (logit_) {
    for (auto& value : px_.v)
      value = static_cast<float>(1 / (1 + std::exp(-static_cast<double>(value))));
    logit_ = false;
  }
  if (flow_.empty() && !has_matrix_) return;
  read_flow();
  resample();
  // Padding and mode of the call are used up: a second resampling has the defaults.
  padding_ = PaddingMode::kReflection;
  mode_ = SampleMode::kBilinear;
  flow_.clear();
}

// -1..1 to pixels, and into the picture as the padding mode says.
double locate(double v, int n, PaddingMode padding) {
  const double span = n - 1;
  v = (v + 1) / 2 * span;
  if (!std::isfinite(v)) return padding == PaddingMode::kZeros ? -2 : 0;
  if (padding == PaddingMode::kZeros) return std::clamp(v, -2.0, span + 2);
  if (padding == PaddingMode::kReflection && span > 0) {
    v = std::fmod(std::abs(v), 2 * span);
    if (v > span) v = 2 * span - v;
  }
  return std::clamp(v, 0.0, span);
}

float sample(const float* plane, Resolution size, double x, double y, SampleMode mode) {
  const auto at = [&](int r, int c) {
    const bool inside = r >= 0 && r < size.rows && c >= 0 && c < size.cols;
    return inside ? static_cast<double>(plane[static_cast<std::ptrdiff_t>(r) * size.cols + c])
                  : 0.0;
  };
  if (mode == SampleMode::kNearest) {
    return static_cast<float>(
        at(static_cast<int>(std::nearbyint(y)), static_cast<int>(std::nearbyint(x))));
  }
  const int c = static_cast<int>(std::floor(x)), r = static_cast<int>(std::floor(y));
  const double fx = x - c, fy = y - r;
  return static_cast<float>((at(r, c) * (1 - fx) + at(r, c + 1) * fx) * (1 - fy) +
                            (at(r + 1, c) * (1 - fx) + at(r + 1, c + 1) * fx) * fy);
}

void Lazy::resample() {
  if (mode_ == SampleMode::kBilinear) {
    double low = flow_[0].x, high = low;
    for (const auto& [x, y] : flow_) {
      low = std::min({low, x, y});
      high = std::max({high, x, y});
    }
    const Resolution small = shrink_size(px_.size, flow_size_, high - low);
    if (small.rows > 0) px_ = area_shrink({nullptr, px_.v.data(), px_.channels, px_.size}, small);
  }
  Planes out{px_.channels, flow_size_, {}};
  out.v.resize(static_cast<std::size_t>(px_.channels) * out.area());
  for (std::size_t i = 0; i < flow_.size(); ++i) {
    const double x = locate(flow_[i].x, px_.size.cols, padding_),
                 y = locate(flow_[i].y, px_.size.rows, padding_);
    for (int c = 0; c < px_.channels; ++c)
      out.plane(c)[i] = sample(px_.plane(c), px_.size, x, y, mode_);
  }
  px_ = std::move(out);
}

void Lazy::light(const Step& step) {
  if (!logit_) {
    refresh();
    for (auto& value : px_.v) {
      const double x = std::clamp(static_cast<double>(value), 1e-7, 1 - 1e-7);
      value = static_cast<float>(-std::log(1 / x - 1));
    }
    logit_ = true;
  }
  Light change;
  change.add(step);
  for (auto& value : px_.v)
    value = static_cast<float>(change.scale * static_cast<double>(value) + change.shift);
}

void Lazy::move(const Step& step) {
  IndexMaps maps(px_.size);
  maps.add(step, own_);
  Planes out{px_.channels, maps.size(), {}};
  out.v.reserve(static_cast<std::size_t>(px_.channels) * out.area());
  for (int c = 0; c < px_.channels; ++c) {
    const float* plane = px_.plane(c);
    for (const int r : maps.rows) {
      for (const int k : maps.cols) {
        const int row = maps.transposed ? k : r, col = maps.transposed ? r : k;
        const bool black = row < 0 || col < 0;
        out.v.push_back(black ? 0.0f
                              : plane[static_cast<std::ptrdiff_t>(row) * px_.size.cols + col]);
      }
    }
  }
  px_ = std::move(out);
}

void Lazy::cut_holes(const Step& step) {
  for (const auto& hole : holes_of(step, px_.size)) {
    for (int c = 0; c < px_.channels; ++c) {
      for (int r = hole.top; r < hole.bottom; ++r) {
        float* row = px_.plane(c) + static_cast<std::ptrdiff_t>(r) * px_.size.cols;
        std::fill(row + hole.left, row + hole.right, 0.0f);
      }
    }
  }
}

void Lazy::randomize(const Step& step) {
  ChannelNoise noise(step, px_.channels);
  float* to = px_.plane(noise.channel());
  for (int r = 0; r < px_.size.rows; ++r) {
    for (const double value : noise.row(r, px_.size.cols, 0, px_.size.cols))
      *to++ = static_cast<float>(value);
  }
}

void Lazy::pixels(const Step& step) {
  refresh();
  if (is_move(step.kind)) {
    move(step);
  } else if (step.kind == Kind::kCutout) {
    cut_holes(step);
  } else {
    randomize(step);
  }
}

void Lazy::run(const Step& step) {
  if (is_affine(step.kind)) {
    matrix_ = product(matrix_, affine_matrix(step));
    has_matrix_ = true;
  } else if (is_homography(step.kind)) {
    read_flow();
    transform_points(flow_, homography(step, flow_size_));
  } else if (step.kind == Kind::kJitter) {
    read_flow();
    const auto shifts = jitter_shifts(step, flow_size_);
    for (std::size_t i = 0; i < flow_.size(); ++i) {
      flow_[i].x += shifts[2 * i];
      flow_[i].y += shifts[2 * i + 1];
    }
  } else if (is_lighting(step.kind)) {
    light(step);
  } else {
    pixels(step);
  }
}

}  // namespace

Planes execute_slow(const Plan& plan, const Source& source) {
  Lazy picture(plan, source);
  const Resolution target = resize_target(plan, source.size);
  if (target.rows > 0) picture.resize(target);
  for (const auto& step : plan.steps) picture.run(step);
  return picture.finish();
}

}  // namespace fastcpp::detail
