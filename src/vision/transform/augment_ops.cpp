// The fourteen operations on pictures of floats 0..1. Where torchvision counts in levels of 8 bits (Posterize, Solarize,
// Equalize) a picture of such levels gives the same levels; elsewhere nothing is rounded.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <utility>
#include <vector>

#include "vision/transform/augment.hpp"

namespace fastcpp::inline v0::detail {
namespace {

struct Where {
  double x, y;
};

// Each pixel becomes the one that `from` of its centre lies in, counted from the picture's corner; black beyond it.
template <typename From>
void take_from(Planes& planes, const From& from) {
  const int rows = planes.size.rows, cols = planes.size.cols;
  Planes out{planes.channels, planes.size, std::vector<float>(planes.v.size())};
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < cols; ++c) {
      const Where place = from(c + 0.5, r + 0.5);
      if (!(place.x >= 0 && place.x < cols && place.y >= 0 && place.y < rows)) continue;
      const auto at =
          static_cast<std::ptrdiff_t>(place.y) * cols + static_cast<std::ptrdiff_t>(place.x);
      const auto to = static_cast<std::ptrdiff_t>(r) * cols + c;
      for (int k = 0; k < planes.channels; ++k) out.plane(k)[to] = planes.plane(k)[at];
    }
  }
  planes = std::move(out);
}

void turn(Planes& planes, double degrees) {
  const double angle = degrees * std::numbers::pi / 180, cos = std::cos(angle),
               sin = std::sin(angle);
  const double middle_x = planes.size.cols / 2.0, middle_y = planes.size.rows / 2.0;
  take_from(planes, [=](double x, double y) {
    const double dx = x - middle_x, dy = y - middle_y;
    return Where{cos * dx - sin * dy + middle_x, sin * dx + cos * dy + middle_y};
  });
}

float towards(double other, double value, double factor) {
  return static_cast<float>(std::clamp(factor * value + (1 - factor) * other, 0.0, 1.0));
}

double gray_of(const Planes& planes, std::size_t i) {
  if (planes.channels != 3) {
    double sum = 0;
    for (int c = 0; c < planes.channels; ++c) sum += static_cast<double>(planes.plane(c)[i]);
    return sum / planes.channels;
  }
  return 0.2989 * static_cast<double>(planes.plane(0)[i]) +
         0.587 * static_cast<double>(planes.plane(1)[i]) +
         0.114 * static_cast<double>(planes.plane(2)[i]);
}

void blend_all(Planes& planes, double other, double factor) {
  for (auto& value : planes.v) value = towards(other, static_cast<double>(value), factor);
}

void blend_with_gray(Planes& planes, double factor) {
  if (planes.channels != 3) return;
  for (std::size_t i = 0; i < planes.area(); ++i) {
    const double gray = gray_of(planes, i);
    for (int c = 0; c < 3; ++c) {
      float& value = planes.plane(c)[i];
      value = towards(gray, static_cast<double>(value), factor);
    }
  }
}

double mean_gray(const Planes& planes) {
  double sum = 0;
  for (std::size_t i = 0; i < planes.area(); ++i) sum += gray_of(planes, i);
  return sum / static_cast<double>(planes.area());
}

// Away from, or towards, the mean of nine pixels that counts the middle one five times. Pixels at the border stay.
void sharpen(Planes& planes, double factor) {
  const int rows = planes.size.rows, cols = planes.size.cols;
  if (rows < 3 || cols < 3) return;
  for (int k = 0; k < planes.channels; ++k) {
    float* plane = planes.plane(k);
    const std::vector<float> before(plane, plane + planes.area());
    for (int r = 1; r < rows - 1; ++r) {
      for (int c = 1; c < cols - 1; ++c) {
        const auto at = static_cast<std::ptrdiff_t>(r) * cols + c;
        const float* middle = before.data() + at;
        double sum = 4 * static_cast<double>(*middle);
        for (int dr = -1; dr <= 1; ++dr) {
          for (int dc = -1; dc <= 1; ++dc) sum += static_cast<double>(middle[dr * cols + dc]);
        }
        plane[at] = towards(sum / 13, static_cast<double>(*middle), factor);
      }
    }
  }
}

std::size_t level_of(float value) {
  return static_cast<std::size_t>(std::lround(255 * std::clamp(value, 0.0f, 1.0f)));
}

void posterize(Planes& planes, int bits) {
  const auto mask = static_cast<std::size_t>(0xff << (8 - bits) & 0xff);
  for (auto& value : planes.v) value = static_cast<float>(level_of(value) & mask) / 255;
}

void solarize(Planes& planes, double threshold) {
  // A thousandth of a level: levels divided by 255 in single precision lie beside themselves.
  const double limit = (threshold - 1e-3) / 255;
  for (auto& value : planes.v) {
    if (static_cast<double>(value) >= limit) value = 1 - value;
  }
}

// From the darkest to the brightest value of the plane becomes 0 to 1. A plane of one level stays: the rest is rounding.
void stretch(float* plane, std::size_t area) {
  const auto [least, most] = std::minmax_element(plane, plane + area);
  const float low = *least, high = *most;
  if (level_of(low) == level_of(high)) return;
  for (std::size_t i = 0; i < area; ++i)
    plane[i] = std::clamp((plane[i] - low) / (high - low), 0.0f, 1.0f);
}

void equalize(float* plane, std::size_t area) {
  std::array<std::int64_t, 256> counts{};
  for (std::size_t i = 0; i < area; ++i) ++counts[level_of(plane[i])];
  std::size_t brightest = 255;
  while (brightest > 0 && counts[brightest] == 0) --brightest;
  const std::int64_t step = (static_cast<std::int64_t>(area) - counts[brightest]) / 255;
  if (step == 0) return;
  std::array<float, 256> becomes{};
  std::int64_t below = 0;
  for (std::size_t level = 0; level < becomes.size(); ++level) {
    becomes[level] =
        static_cast<float>(std::min<std::int64_t>((below + step / 2) / step, 255)) / 255;
    below += counts[level];
  }
  for (std::size_t i = 0; i < area; ++i) plane[i] = becomes[level_of(plane[i])];
}

}  // namespace

void run_op(const AugmentChoice& choice, Planes& planes) {
  const double m = choice.magnitude;
  switch (choice.op) {
    case AugmentOp::kIdentity:
      break;
    case AugmentOp::kShearX:
      return take_from(planes, [m](double x, double y) { return Where{x + m * y, y}; });
    case AugmentOp::kShearY:
      return take_from(planes, [m](double x, double y) { return Where{x, y + m * x}; });
    case AugmentOp::kTranslateX:
      return take_from(planes, [m](double x, double y) { return Where{x - std::trunc(m), y}; });
    case AugmentOp::kTranslateY:
      return take_from(planes, [m](double x, double y) { return Where{x, y - std::trunc(m)}; });
    case AugmentOp::kRotate:
      return turn(planes, m);
    case AugmentOp::kBrightness:
      return blend_all(planes, 0, 1 + m);
    case AugmentOp::kColor:
      return blend_with_gray(planes, 1 + m);
    case AugmentOp::kContrast:
      return blend_all(planes, mean_gray(planes), 1 + m);
    case AugmentOp::kSharpness:
      return sharpen(planes, 1 + m);
    case AugmentOp::kPosterize:
      return posterize(planes, static_cast<int>(m));
    case AugmentOp::kSolarize:
      return solarize(planes, m);
    case AugmentOp::kAutoContrast:
      for (int c = 0; c < planes.channels; ++c) stretch(planes.plane(c), planes.area());
      break;
    case AugmentOp::kEqualize:
      for (int c = 0; c < planes.channels; ++c) equalize(planes.plane(c), planes.area());
      break;
  }
}

}  // namespace fastcpp::detail
