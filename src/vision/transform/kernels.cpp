#include "vision/transform/kernels.hpp"

#include <bit>
#include <cmath>

#include "fastcpp/kernels/processor.hpp"

#define FASTCPP_BODY static inline __attribute__((always_inline))

namespace fastcpp::inline v0::detail {
namespace {

// Limits by comparing bits as integers, which compilers turn into vector code where they do not for
// floating point. Not-a-number ends at one of the limits.
FASTCPP_BODY double at_most(double not_negative, double high) {
  const auto bits = std::bit_cast<std::int64_t>(not_negative),
             limit = std::bit_cast<std::int64_t>(high);
  return std::bit_cast<double>(bits < limit ? bits : limit);
}

FASTCPP_BODY double between_0_and(double high, double v) {
  const auto bits = std::bit_cast<std::int64_t>(v);
  return at_most(std::bit_cast<double>(bits > 0 ? bits : std::int64_t{0}), high);
}

FASTCPP_BODY std::int32_t between(std::int32_t low, std::int32_t high, std::int32_t v) {
  v = v > low ? v : low;
  return v < high ? v : high;
}

// The order of integers for all floats; its own inverse.
FASTCPP_BODY std::int32_t ordered(std::int32_t bits) {
  return bits ^ (bits >> 31 & 0x7fffffff);
}

FASTCPP_BODY float between(float low, float high, float v) {
  const auto bits =
      between(ordered(std::bit_cast<std::int32_t>(low)), ordered(std::bit_cast<std::int32_t>(high)),
              ordered(std::bit_cast<std::int32_t>(v)));
  return std::bit_cast<float>(ordered(bits));
}

// Pixel coordinate, two neighbours and their weights along one axis.
template <PaddingMode kMode>
FASTCPP_BODY void locate_axis(const double* __restrict v, int count, int n,
                              std::int32_t* __restrict low, std::int32_t* __restrict high,
                              float* __restrict w_low, float* __restrict w_high) {
  const double span = n - 1, inverse = n > 1 ? 1.0 / span : 0.0;
  constexpr double kFarAway = 1e9;
  for (int i = 0; i < count; ++i) {
    double r = v[i];
    if constexpr (kMode == PaddingMode::kZeros) {
      // From one pixel before the picture to one behind it.
      r = between_0_and(n + 1, r + 1);
      const auto whole = static_cast<std::int32_t>(r);
      const auto part = static_cast<float>(r - whole);
      const std::int32_t first = whole - 1;
      w_low[i] = static_cast<float>((first >= 0) & (first < n)) * (1 - part);
      w_high[i] = static_cast<float>(whole < n) * part;
      low[i] = between(0, n - 1, first);
      high[i] = between(0, n - 1, whole);
    } else {
      if constexpr (kMode == PaddingMode::kReflection) {
        const double distance = at_most(std::abs(r), kFarAway);
        const auto folds = static_cast<std::int32_t>(distance * inverse);
        const double rest = distance - folds * span;
        r = rest + (folds & 1) * (span - 2 * rest);
      }
      r = between_0_and(span, r);
      const auto whole = static_cast<std::int32_t>(r);
      const auto part = static_cast<float>(r - whole);
      low[i] = whole;
      high[i] = between(0, n - 1, whole + 1);
      w_low[i] = 1 - part;
      w_high[i] = part;
    }
  }
}

FASTCPP_BODY void locate_body(const Line& line, int count, Taps& taps) {
  alignas(64) double x[kBlock], y[kBlock];
  alignas(64) std::int32_t x_low[kBlock], x_high[kBlock], y_low[kBlock], y_high[kBlock];
  const double rx = line.rx, ry = line.ry, rw = line.rw;
  if (line.affine) {
    for (int i = 0; i < count; ++i) {
      x[i] = line.x[i] + rx;
      y[i] = line.y[i] + ry;
    }
  } else {
    for (int i = 0; i < count; ++i) {
      const double d = 1.0 / (line.w[i] + rw);
      x[i] = (line.x[i] + rx) * d;
      y[i] = (line.y[i] + ry) * d;
    }
  }
  if (line.padding == PaddingMode::kReflection) {
    locate_axis<PaddingMode::kReflection>(x, count, line.cols, x_low, x_high, taps.wx[0],
                                          taps.wx[1]);
    locate_axis<PaddingMode::kReflection>(y, count, line.rows, y_low, y_high, taps.wy[0],
                                          taps.wy[1]);
  } else if (line.padding == PaddingMode::kBorder) {
    locate_axis<PaddingMode::kBorder>(x, count, line.cols, x_low, x_high, taps.wx[0], taps.wx[1]);
    locate_axis<PaddingMode::kBorder>(y, count, line.rows, y_low, y_high, taps.wy[0], taps.wy[1]);
  } else {
    locate_axis<PaddingMode::kZeros>(x, count, line.cols, x_low, x_high, taps.wx[0], taps.wx[1]);
    locate_axis<PaddingMode::kZeros>(y, count, line.rows, y_low, y_high, taps.wy[0], taps.wy[1]);
  }
  const int row = line.step_row, col = line.step_col;
  std::int32_t furthest = 0;
  for (int i = 0; i < count; ++i) {
    taps.at[0][i] = y_low[i] * row + x_low[i] * col;
    taps.at[1][i] = y_low[i] * row + x_high[i] * col;
    taps.at[2][i] = y_high[i] * row + x_low[i] * col;
    const std::int32_t corner = y_high[i] * row + x_high[i] * col;
    taps.at[3][i] = corner;
    furthest = corner > furthest ? corner : furthest;
  }
  taps.furthest = furthest;
}

FASTCPP_BODY float channel(std::uint32_t pixel, int shift) {
  return static_cast<float>(static_cast<std::int32_t>(pixel >> shift & 255u));
}

FASTCPP_BODY void blend_rgb_body(const std::uint32_t (*pixels)[kBlock], const Taps& taps, int count,
                                 float* const* out) {
  for (int c = 0; c < 3; ++c) {
    float* __restrict to = out[c];
    const int shift = 8 * c;
    for (int i = 0; i < count; ++i) {
      const float top = channel(pixels[0][i], shift) * taps.wx[0][i] +
                        channel(pixels[1][i], shift) * taps.wx[1][i];
      const float bottom = channel(pixels[2][i], shift) * taps.wx[0][i] +
                           channel(pixels[3][i], shift) * taps.wx[1][i];
      to[i] = (top * taps.wy[0][i] + bottom * taps.wy[1][i]) * (1.0f / 255.0f);
    }
  }
}

FASTCPP_BODY void blend_plane_body(const float* __restrict plane, const Taps& taps, int count,
                                   float* __restrict out) {
  for (int i = 0; i < count; ++i) {
    const float top = plane[taps.at[0][i]] * taps.wx[0][i] + plane[taps.at[1][i]] * taps.wx[1][i];
    const float bottom =
        plane[taps.at[2][i]] * taps.wx[0][i] + plane[taps.at[3][i]] * taps.wx[1][i];
    out[i] = top * taps.wy[0][i] + bottom * taps.wy[1][i];
  }
}

// Logarithm and power by exponent bits and a short series, good to the last bits of a float: the
// library functions would take most of the time of a picture.
FASTCPP_BODY void light_body(float* __restrict values, int count, float scale, float shift) {
  constexpr float kTwoOverLn2 = 2.885390081777927f;
  for (int i = 0; i < count; ++i) {
    const float x = between(1e-7f, 1.0f - 1e-7f, values[i]);
    const float odds = x / (1.0f - x);
    const auto bits = std::bit_cast<std::int32_t>(odds);
    const std::int32_t exponent = (bits - 0x3f3504f3) >> 23;
    const auto mantissa = std::bit_cast<float>(bits - exponent * (1 << 23));
    const float t = (mantissa - 1.0f) / (mantissa + 1.0f), t2 = t * t;
    const float series =
        1.0f + t2 * (1.0f / 3 + t2 * (1.0f / 5 + t2 * (1.0f / 7 + t2 * (1.0f / 9))));
    const float logit = scale * (static_cast<float>(exponent) + kTwoOverLn2 * t * series) + shift;
    const float power = between(-120.0f, 120.0f, logit);
    const auto whole = static_cast<std::int32_t>(power + 128.5f) - 128;
    const float u = (power - static_cast<float>(whole)) * 0.6931471805599453f;
    const float exp_u =
        1.0f +
        u * (1.0f +
             u * (0.5f + u * (1.0f / 6 + u * (1.0f / 24 + u * (1.0f / 120 + u * (1.0f / 720))))));
    const float new_odds = exp_u * std::bit_cast<float>((whole + 127) << 23);
    values[i] = new_odds / (1.0f + new_odds);
  }
}

#define FASTCPP_KERNELS(NAME, ATTRIBUTE)                                                           \
  ATTRIBUTE void locate_##NAME(const Line& line, int count, Taps& taps) {                          \
    locate_body(line, count, taps);                                                                \
  }                                                                                                \
  ATTRIBUTE void blend_rgb_##NAME(const std::uint32_t(*pixels)[kBlock], const Taps& taps,          \
                                  int count, float* const* out) {                                  \
    blend_rgb_body(pixels, taps, count, out);                                                      \
  }                                                                                                \
  ATTRIBUTE void blend_plane_##NAME(const float* plane, const Taps& taps, int count, float* out) { \
    blend_plane_body(plane, taps, count, out);                                                     \
  }                                                                                                \
  ATTRIBUTE void light_##NAME(float* values, int count, float scale, float shift) {                \
    light_body(values, count, scale, shift);                                                       \
  }                                                                                                \
  constexpr Kernels k_##NAME = {locate_##NAME, blend_rgb_##NAME, blend_plane_##NAME, light_##NAME};

FASTCPP_KERNELS(plain, )
#if defined(__x86_64__) && defined(__GNUC__)
FASTCPP_KERNELS(avx2, __attribute__((target("avx2,fma"))))
FASTCPP_KERNELS(
    avx512,
    __attribute__((target("avx512f,avx512dq,avx512vl,avx512bw,avx2,fma,prefer-vector-width=512"))))
#endif

const Kernels& choose() {
#if defined(__x86_64__) && defined(__GNUC__)
  const auto level = processor_level();
  if (level == ProcessorLevel::kAvx512) return k_avx512;
  if (level == ProcessorLevel::kAvx2) return k_avx2;
#endif
  return k_plain;
}

}  // namespace

const Kernels& kernels() {
  static const Kernels& best = choose();
  return best;
}

}  // namespace fastcpp::detail
