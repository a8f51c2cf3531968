#include "kernels/conv_kernels.hpp"

#include "fastcpp/kernels/processor.hpp"

#define FASTCPP_BODY static inline __attribute__((always_inline))

namespace fastcpp::inline v0::models {
namespace {

template <int kBytes>
struct Lanes {
  typedef float Vec __attribute__((vector_size(kBytes)));
};
// As many doubles as fill a vector, and so many floats.
template <int kBytes>
struct DoubleLanes {
  typedef double Doubles __attribute__((vector_size(kBytes)));
  typedef float Floats __attribute__((vector_size(kBytes / 2)));
};

// Through memory: vectors as values of functions are another calling convention without the target.
template <typename Vec>
FASTCPP_BODY void load(const float* from, Vec& v) {
  __builtin_memcpy(&v, from, sizeof v);
}
template <typename Vec>
FASTCPP_BODY void store(float* to, const Vec& v) {
  __builtin_memcpy(to, &v, sizeof v);
}

template <typename Vec, int kRows, int kVecs>
FASTCPP_BODY void multiply_rows(const Product& p) {
  constexpr int kLanes = sizeof(Vec) / sizeof(float), kBlock = kLanes * kVecs;
  Vec sum[kRows][kVecs] = {};
  const float* in[kRows];
  for (int r = 0; r < kRows; ++r) in[r] = p.in[r];
  const float* w = p.weights;
  for (int run = 0; run < p.runs; ++run) {
    for (std::ptrdiff_t k = 0; k < p.depth; ++k, w += kBlock) {
      Vec weights[kVecs];
#pragma GCC unroll 8
      for (int v = 0; v < kVecs; ++v) load(w + v * kLanes, weights[v]);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
        for (int v = 0; v < kVecs; ++v) sum[r][v] += in[r][k] * weights[v];
      }
    }
    for (int r = 0; r < kRows; ++r) in[r] += p.run_step;
  }
  const bool bare = !p.bias && !p.add[0] && !p.relu && p.width == kBlock;
  float sums[kRows][kBlock];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    float* to = bare ? p.out[r] : sums[r];
#pragma GCC unroll 8
    for (int v = 0; v < kVecs; ++v) store(to + v * kLanes, sum[r][v]);
  }
  if (bare) return;
#pragma GCC unroll 1
  for (int r = 0; r < kRows; ++r) {
    float* out = p.out[r];
    const float* add = p.add[0] ? p.add[r] : nullptr;
#pragma GCC unroll 1
    for (int c = 0; c < p.width; ++c) {
      const float value = sums[r][c] + (p.bias ? p.bias[c] : 0.0f) + (add ? add[c] : 0.0f);
      out[c] = p.relu && value < 0 ? 0.0f : value;
    }
  }
}

template <typename Vec, int kVecs>
FASTCPP_BODY void multiply_body(const Product& p) {
  switch (p.rows) {
    case 1:
      return multiply_rows<Vec, 1, kVecs>(p);
    case 2:
      return multiply_rows<Vec, 2, kVecs>(p);
    case 3:
      return multiply_rows<Vec, 3, kVecs>(p);
    case 4:
      return multiply_rows<Vec, 4, kVecs>(p);
    case 5:
      return multiply_rows<Vec, 5, kVecs>(p);
    default:
      return multiply_rows<Vec, 6, kVecs>(p);
  }
}

// Interpolation points 0, 1, -1, 2, -2 and infinity.
template <typename Vec>
FASTCPP_BODY void input_line(const Vec (&d)[kTileIn], Vec (&t)[kTileIn]) {
  const Vec even = d[4] - 4 * d[2], odd = d[3] - 4 * d[1];
  const Vec near = d[4] - d[2], far = 2 * (d[3] - d[1]);
  t[0] = 4 * d[0] - 5 * d[2] + d[4];
  t[1] = even + odd;
  t[2] = even - odd;
  t[3] = near + far;
  t[4] = near - far;
  t[5] = 4 * d[1] - 5 * d[3] + d[5];
}

template <typename Vec>
FASTCPP_BODY void output_line(const Vec (&m)[kTileIn], Vec (&y)[kTileOut]) {
  const Vec sum1 = m[1] + m[2], diff1 = m[1] - m[2];
  const Vec sum2 = m[3] + m[4], diff2 = m[3] - m[4];
  y[0] = m[0] + sum1 + sum2;
  y[1] = diff1 + 2 * diff2;
  y[2] = sum1 + 4 * sum2;
  y[3] = diff1 + 8 * diff2 + m[5];
}

template <typename Vec>
FASTCPP_BODY void to_points_lanes(const TileIn& t, std::ptrdiff_t c) {
  Vec half[kTileIn][kTileIn];
  for (int x = 0; x < kTileIn; ++x) {
    Vec column[kTileIn], points[kTileIn];
    for (int y = 0; y < kTileIn; ++y) load(t.in + y * t.line + x * t.channels + c, column[y]);
    input_line(column, points);
    for (int y = 0; y < kTileIn; ++y) half[y][x] = points[y];
  }
  for (int y = 0; y < kTileIn; ++y) {
    Vec points[kTileIn];
    input_line(half[y], points);
    for (int x = 0; x < kTileIn; ++x) store(t.out + (y * kTileIn + x) * t.plane + c, points[x]);
  }
}

template <typename Vec>
FASTCPP_BODY void from_points_lanes(const TileOut& t, std::ptrdiff_t c) {
  Vec half[kTileOut][kTileIn];
  for (int x = 0; x < kTileIn; ++x) {
    Vec column[kTileIn], outputs[kTileOut];
    for (int y = 0; y < kTileIn; ++y) load(t.in + (y * kTileIn + x) * t.plane + c, column[y]);
    output_line(column, outputs);
    for (int y = 0; y < kTileOut; ++y) half[y][x] = outputs[y];
  }
  Vec bias{};
  if (t.bias) load(t.bias + c, bias);
  for (int y = 0; y < t.rows; ++y) {
    Vec outputs[kTileOut];
    output_line(half[y], outputs);
    for (int x = 0; x < t.cols; ++x) {
      const auto at = y * t.line + x * t.channels + c;
      Vec value = outputs[x] + bias;
      if (t.add) {
        Vec add;
        load(t.add + at, add);
        value += add;
      }
      if (t.relu) value = value < 0 ? Vec{} : value;
      store(t.out + at, value);
    }
  }
}

using One = Lanes<sizeof(float)>::Vec;  // what is left where channels do not fill a vector

template <typename Vec>
FASTCPP_BODY void to_points_body(const TileIn& t) {
  constexpr std::ptrdiff_t kLanes = sizeof(Vec) / sizeof(float);
  std::ptrdiff_t c = 0;
  for (; c + kLanes <= t.channels; c += kLanes) to_points_lanes<Vec>(t, c);
  for (; c < t.channels; ++c) to_points_lanes<One>(t, c);
}

template <typename Vec>
FASTCPP_BODY void from_points_body(const TileOut& t) {
  constexpr std::ptrdiff_t kLanes = sizeof(Vec) / sizeof(float);
  std::ptrdiff_t c = 0;
  for (; c + kLanes <= t.channels; c += kLanes) from_points_lanes<Vec>(t, c);
  for (; c < t.channels; ++c) from_points_lanes<One>(t, c);
}

template <typename Vec>
FASTCPP_BODY void filter_line(const Vec (&g)[3], Vec (&u)[kTileIn]) {
  const Vec ends = g[0] + g[2], wide = g[0] + 4 * g[2];
  u[0] = g[0] / 4;
  u[1] = -(ends + g[1]) / 6;
  u[2] = -(ends - g[1]) / 6;
  u[3] = (wide + 2 * g[1]) / 24;
  u[4] = (wide - 2 * g[1]) / 24;
  u[5] = g[2];
}

// In double precision: it is done once, and its errors would count in every product.
template <typename Types>
FASTCPP_BODY void filter_points_body(const Filters& f) {
  using Vec = typename Types::Doubles;
  using Floats = typename Types::Floats;
  for (int c = 0; c < f.count; c += sizeof(Floats) / sizeof(float)) {
    Vec half[kTileIn][3];
    for (int x = 0; x < 3; ++x) {
      Vec column[3], points[kTileIn];
      for (int y = 0; y < 3; ++y) {
        Floats values;
        load(f.in + (y * 3 + x) * f.count + c, values);
        column[y] = __builtin_convertvector(values, Vec);
      }
      filter_line(column, points);
      for (int y = 0; y < kTileIn; ++y) half[y][x] = points[y];
    }
    for (int y = 0; y < kTileIn; ++y) {
      Vec points[kTileIn];
      filter_line(half[y], points);
      for (int x = 0; x < kTileIn; ++x) {
        store(f.out + (y * kTileIn + x) * f.plane + c, __builtin_convertvector(points[x], Floats));
      }
    }
  }
}

#if defined(__x86_64__) && defined(__GNUC__)
// As many sums as the registers hold beside the weights of one step.
#define FASTCPP_CONV_KERNELS(NAME, BYTES, VECS, ...)                                     \
  __attribute__((target(__VA_ARGS__))) void multiply_##NAME(const Product& p) {          \
    multiply_body<Lanes<BYTES>::Vec, VECS>(p);                                           \
  }                                                                                      \
  __attribute__((target(__VA_ARGS__))) void to_points_##NAME(const TileIn& t) {          \
    to_points_body<Lanes<BYTES>::Vec>(t);                                                \
  }                                                                                      \
  __attribute__((target(__VA_ARGS__))) void from_points_##NAME(const TileOut& t) {       \
    from_points_body<Lanes<BYTES>::Vec>(t);                                              \
  }                                                                                      \
  __attribute__((target(__VA_ARGS__))) void filter_points_##NAME(const Filters& f) {     \
    filter_points_body<DoubleLanes<BYTES>>(f);                                           \
  }                                                                                      \
  static_assert(BYTES / 4 * VECS <= ConvKernels::kMostBlock);                            \
  constexpr ConvKernels k_##NAME = {BYTES / 4 * VECS, multiply_##NAME, to_points_##NAME, \
                                    from_points_##NAME, filter_points_##NAME};

FASTCPP_CONV_KERNELS(avx2, 32, 2, "avx2,fma")
FASTCPP_CONV_KERNELS(avx512, 64, 4, "avx512f,avx512dq,avx512vl,avx512bw,avx2,fma")
#endif

const ConvKernels* choose() {
#if defined(__x86_64__) && defined(__GNUC__)
  const auto level = processor_level();
  if (level == ProcessorLevel::kAvx512) return &k_avx512;
  if (level == ProcessorLevel::kAvx2) return &k_avx2;
#endif
  return nullptr;
}

}  // namespace

const ConvKernels* conv_kernels() {
  static const ConvKernels* const best = choose();
  return best;
}

}  // namespace fastcpp::models
