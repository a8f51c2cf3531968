#include "kernels/conv_kernels.hpp"

#include "fastcpp/kernels/processor.hpp"
#include "kernels/lanes.hpp"

namespace fastcpp::inline v0::models {
namespace {

// As many doubles as fill a vector, and so many floats.
template <int kBytes>
struct DoubleLanes {
  typedef double Doubles __attribute__((vector_size(kBytes)));
  typedef float Floats __attribute__((vector_size(kBytes / 2)));
};

template <typename Vec, int kVecs, int kRows>
FASTCPP_BODY void multiply_rows(const Product& p) {
  constexpr int kLanes = sizeof(Vec) / sizeof(float), kBlock = kLanes * kVecs;
  Vec sum[kRows][kVecs] = {};
  const float* in[kRows];
  for (int r = 0; r < kRows; ++r) {
    in[r] = p.in[r];
    // One by one: together they would wait until all that the caller just wrote has left for the cache.
    asm("" : "+r"(in[r]));
  }
  const float *w = p.weights, *next = p.next;
  for (int run = 0; run < p.runs; ++run) {
    for (std::ptrdiff_t k = 0; k < p.depth; ++k, w += kBlock, next += Product::kCacheLine) {
      __builtin_prefetch(next, 0, 2);  // past the end too: nothing is read
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
  if (p.bias) {
#pragma GCC unroll 8
    for (int v = 0; v < kVecs; ++v) {
      Vec bias;
      load(p.bias + v * kLanes, bias);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) sum[r][v] += bias;
    }
  }
  // The last vector may reach beyond the channels that there are: it goes through memory of its own.
  const int last = p.width - (kVecs - 1) * kLanes;
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVecs; ++v) {
      Vec value = sum[r][v];
      const bool whole = v + 1 < kVecs || last == kLanes;
      if (p.add[0]) {
        Vec add{};
        if (whole) {
          load(p.add[r] + v * kLanes, add);
        } else {
          float some[kLanes] = {};
          for (int c = 0; c < last; ++c) some[c] = p.add[r][v * kLanes + c];
          load(some, add);
        }
        value += add;
      }
      clamp(value, p.low, p.high);
      if (whole) {
        store(p.out[r] + v * kLanes, value);
      } else {
        float some[kLanes];
        store(some, value);
        for (int c = 0; c < last; ++c) p.out[r][v * kLanes + c] = some[c];
      }
    }
  }
}

template <typename Vec, int kVecs, int kMostRows>
FASTCPP_BODY void multiply_vecs(const Product& p) {
  switch (p.rows) {
    case 1:
      return multiply_rows<Vec, kVecs, 1>(p);
    case 2:
      return multiply_rows<Vec, kVecs, 2>(p);
    case 3:
      return multiply_rows<Vec, kVecs, 3>(p);
    case 4:
      return multiply_rows<Vec, kVecs, 4>(p);
    case 5:
      return multiply_rows<Vec, kVecs, 5>(p);
    case 6:
      return multiply_rows<Vec, kVecs, 6>(p);
    case 7:
      if constexpr (kMostRows >= 7) return multiply_rows<Vec, kVecs, 7>(p);
      break;
    default:
      if constexpr (kMostRows >= 8) return multiply_rows<Vec, kVecs, 8>(p);
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

// The transpose of `output_line`, for gradients of outputs.
template <typename Vec>
FASTCPP_BODY void input_line(const Vec (&y)[kTileOut], Vec (&m)[kTileIn]) {
  const Vec even = y[0] + y[2], odd = y[1] + y[3];
  const Vec far = y[0] + 4 * y[2], steep = 2 * y[1] + 8 * y[3];
  m[0] = y[0];
  m[1] = even + odd;
  m[2] = even - odd;
  m[3] = far + steep;
  m[4] = far - steep;
  m[5] = y[3];
}

// Of a tile of kSide x kSide: inputs, or gradients of outputs.
template <typename Vec, int kSide>
FASTCPP_BODY void to_points_lanes(const TileIn& t, std::ptrdiff_t c) {
  Vec half[kTileIn][kSide];
  for (int x = 0; x < kSide; ++x) {
    Vec column[kSide], points[kTileIn];
    for (int y = 0; y < kSide; ++y) load(t.in + y * t.line + x * t.pixel + c, column[y]);
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
      Vec value = outputs[x] + bias;
      if (t.add) {
        Vec add;
        load(t.add + y * t.add_line + x * t.add_pixel + c, add);
        value += add;
      }
      clamp(value, t.low, t.high);
      store(t.out + y * t.line + x * t.pixel + c, value);
    }
  }
}

template <typename Vec, int kSide>
FASTCPP_BODY void to_points_body(const TileIn& t) {
  constexpr std::ptrdiff_t kLanes = sizeof(Vec) / sizeof(float);
  std::ptrdiff_t c = 0;
  for (; c + kLanes <= t.channels; c += kLanes) to_points_lanes<Vec, kSide>(t, c);
  for (; c < t.channels; ++c) to_points_lanes<One, kSide>(t, c);
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

// The transpose of `filter_line`.
template <typename Vec>
FASTCPP_BODY void filter_gradient_line(const Vec (&u)[kTileIn], Vec (&g)[3]) {
  const Vec near = (u[1] + u[2]) / 6, far = (u[3] + u[4]) / 24;
  g[0] = u[0] / 4 - near + far;
  g[1] = (u[2] - u[1]) / 6 + (u[3] - u[4]) / 12;
  g[2] = 4 * far - near + u[5];
}

template <typename Vec>
FASTCPP_BODY void filter_gradients_lanes(const FilterGradients& f, std::ptrdiff_t c) {
  constexpr int kLanes = sizeof(Vec) / sizeof(float);
  Vec half[3][kTileIn];
  for (int x = 0; x < kTileIn; ++x) {
    Vec column[kTileIn], values[3];
    for (int y = 0; y < kTileIn; ++y) load(f.in + (y * kTileIn + x) * f.plane + c, column[y]);
    filter_gradient_line(column, values);
    for (int y = 0; y < 3; ++y) half[y][x] = values[y];
  }
  float filters[9][kLanes];
  for (int y = 0; y < 3; ++y) {
    Vec values[3];
    filter_gradient_line(half[y], values);
    for (int x = 0; x < 3; ++x) store(filters[y * 3 + x], values[x]);
  }
  for (int lane = 0; lane < kLanes; ++lane) {
    float* const to = f.out + (c + lane) * f.step;
    for (int k = 0; k < 9; ++k) to[k] = filters[k][lane];
  }
}

template <typename Vec>
FASTCPP_BODY void filter_gradients_body(const FilterGradients& f) {
  constexpr std::ptrdiff_t kLanes = sizeof(Vec) / sizeof(float);
  std::ptrdiff_t c = 0;
  for (; c + kLanes <= f.count; c += kLanes) filter_gradients_lanes<Vec>(f, c);
  for (; c < f.count; ++c) filter_gradients_lanes<One>(f, c);
}

#if defined(__x86_64__) && defined(__GNUC__)
#define FASTCPP_CONV_KERNELS(NAME, BYTES, ...)                                                  \
  __attribute__((target(__VA_ARGS__))) void to_points_##NAME(const TileIn& t) {                 \
    to_points_body<Lanes<BYTES>::Vec, kTileIn>(t);                                              \
  }                                                                                             \
  __attribute__((target(__VA_ARGS__))) void from_points_##NAME(const TileOut& t) {              \
    from_points_body<Lanes<BYTES>::Vec>(t);                                                     \
  }                                                                                             \
  __attribute__((target(__VA_ARGS__))) void filter_points_##NAME(const Filters& f) {            \
    filter_points_body<DoubleLanes<BYTES>>(f);                                                  \
  }                                                                                             \
  __attribute__((target(__VA_ARGS__))) void gradient_points_##NAME(const TileIn& t) {           \
    to_points_body<Lanes<BYTES>::Vec, kTileOut>(t);                                             \
  }                                                                                             \
  __attribute__((target(__VA_ARGS__))) void filter_gradients_##NAME(const FilterGradients& f) { \
    filter_gradients_body<Lanes<BYTES>::Vec>(f);                                                \
  }

FASTCPP_CONV_KERNELS(avx2, 32, "avx2,fma")
FASTCPP_CONV_KERNELS(avx512, 64, "avx512f,avx512dq,avx512vl,avx512bw,avx2,fma")

// As many rows as leave their sums, the weights of one step and an input in registers.
__attribute__((target("avx2,fma"))) void multiply_avx2(const Product& p) {
  using Vec = Lanes<32>::Vec;
  if (p.width > 8) return multiply_vecs<Vec, 2, 6>(p);
  multiply_vecs<Vec, 1, 8>(p);
}
__attribute__((target("avx512f,avx512dq,avx512vl,avx512bw,avx2,fma"))) void multiply_avx512(
    const Product& p) {
  using Vec = Lanes<64>::Vec;
  if (p.width > 48) return multiply_vecs<Vec, 4, 6>(p);
  if (p.width > 32) return multiply_vecs<Vec, 3, 8>(p);
  if (p.width > 16) return multiply_vecs<Vec, 2, 8>(p);
  multiply_vecs<Vec, 1, 8>(p);
}

constexpr ConvKernels k_avx2 = {16,
                                8,
                                {8, 6, 0, 0},
                                multiply_avx2,
                                to_points_avx2,
                                from_points_avx2,
                                filter_points_avx2,
                                gradient_points_avx2,
                                filter_gradients_avx2};
constexpr ConvKernels k_avx512 = {64,
                                  16,
                                  {8, 8, 8, 6},
                                  multiply_avx512,
                                  to_points_avx512,
                                  from_points_avx512,
                                  filter_points_avx512,
                                  gradient_points_avx512,
                                  filter_gradients_avx512};
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
