#include "kernels/dense_kernels.hpp"

#include <algorithm>
#include <cmath>

#include "fastcpp/kernels/dense_layers.hpp"
#include "fastcpp/kernels/processor.hpp"

#define FASTCPP_DENSE_BODY static inline __attribute__((always_inline))

namespace fastcpp::inline v0::models {
namespace {

// A vector, and as many doubles.
template <int kBytes>
struct DenseLanes {
  typedef float Vec __attribute__((vector_size(kBytes)));
  typedef double Wide __attribute__((vector_size(2 * kBytes)));
  static constexpr std::ptrdiff_t kLanes = kBytes / static_cast<int>(sizeof(float));
};

// Through memory: vectors as values of functions are another calling convention without the target.
template <typename Value, typename Vec>
FASTCPP_DENSE_BODY void read(const Value* from, Vec& v) {
  __builtin_memcpy(&v, from, sizeof v);
}
template <typename Value, typename Vec>
FASTCPP_DENSE_BODY void write(Value* to, const Vec& v) {
  __builtin_memcpy(to, &v, sizeof v);
}
// Single precision, as doubles.
template <typename Lanes>
FASTCPP_DENSE_BODY void read_wide(const float* from, typename Lanes::Wide& v) {
  typename Lanes::Vec floats;
  read(from, floats);
  v = __builtin_convertvector(floats, typename Lanes::Wide);
}

// kRows x kVecs vectors of the product, from column `col` on.
template <typename Lanes, int kRows, int kVecs>
FASTCPP_DENSE_BODY void multiply_tile(const MatrixProduct& p, std::int64_t row, std::int64_t col) {
  using Vec = typename Lanes::Vec;
  constexpr std::ptrdiff_t kLanes = Lanes::kLanes;
  Vec sum[kRows][kVecs] = {};
  const float* a = p.a + row * p.a_row;
  const float* b = p.b + col;
  for (std::int64_t k = 0; k < p.depth; ++k, a += p.a_step, b += p.b_line) {
    Vec weights[kVecs];
#pragma GCC unroll 8
    for (int v = 0; v < kVecs; ++v) read(b + v * kLanes, weights[v]);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < kVecs; ++v) sum[r][v] += a[r * p.a_row] * weights[v];
    }
  }
#pragma GCC unroll 8
  for (int v = 0; v < kVecs; ++v) {
    Vec bias = {};
    if (p.bias) read(p.bias + col + v * kLanes, bias);
    const auto left = std::min<std::int64_t>(p.cols - col - v * kLanes, kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      Vec value = sum[r][v] + bias;
      if (p.relu) value = value < 0 ? Vec{} : value;
      float* const to = p.c + (row + r) * p.c_line + col + v * kLanes;
      if (left == kLanes) {
        write(to, value);
      } else if (left > 0) {
        __builtin_memcpy(to, &value, static_cast<std::size_t>(left) * sizeof(float));
      }
    }
  }
}

template <typename Lanes, int kVecs>
FASTCPP_DENSE_BODY void multiply_strip(const MatrixProduct& p, std::int64_t col) {
  std::int64_t row = 0;
  for (; row + 6 <= p.rows; row += 6) multiply_tile<Lanes, 6, kVecs>(p, row, col);
  switch (p.rows - row) {
    case 5:
      return multiply_tile<Lanes, 5, kVecs>(p, row, col);
    case 4:
      return multiply_tile<Lanes, 4, kVecs>(p, row, col);
    case 3:
      return multiply_tile<Lanes, 3, kVecs>(p, row, col);
    case 2:
      return multiply_tile<Lanes, 2, kVecs>(p, row, col);
    case 1:
      return multiply_tile<Lanes, 1, kVecs>(p, row, col);
    default:
      return;
  }
}

// As many sums as the registers hold beside the values of one step.
template <typename Lanes, int kMostVecs>
FASTCPP_DENSE_BODY void multiply_body(const MatrixProduct& p) {
  for (std::int64_t col = 0; col < p.cols; col += kMostVecs * Lanes::kLanes) {
    const auto vecs = (p.cols - col + Lanes::kLanes - 1) / Lanes::kLanes;
    if (vecs >= kMostVecs) {
      multiply_strip<Lanes, kMostVecs>(p, col);
    } else if (vecs == 3) {
      multiply_strip<Lanes, std::min(3, kMostVecs)>(p, col);
    } else if (vecs == 2) {
      multiply_strip<Lanes, std::min(2, kMostVecs)>(p, col);
    } else {
      multiply_strip<Lanes, 1>(p, col);
    }
  }
}

template <typename Lanes>
FASTCPP_DENSE_BODY void moments_body(const BatchNorm& n) {
  using Wide = typename Lanes::Wide;
  const auto count = static_cast<double>(n.rows);
  for (std::ptrdiff_t c = 0; c < n.cols; c += Lanes::kLanes) {
    Wide sum = {}, squares = {}, x;
    for (std::int64_t r = 0; r < n.rows; ++r) {
      read_wide<Lanes>(n.x + r * n.line + c, x);
      sum += x;
    }
    const Wide mean = sum / count;
    for (std::int64_t r = 0; r < n.rows; ++r) {
      read_wide<Lanes>(n.x + r * n.line + c, x);
      squares += (x - mean) * (x - mean);
    }
    const Wide var = squares / count;
    write(n.mean + c, mean);
    write(n.var + c, var);
    for (std::ptrdiff_t lane = 0; lane < Lanes::kLanes; ++lane) {
      n.inv[c + lane] = 1 / std::sqrt(var[lane] + n.eps);
    }
  }
}

template <typename Lanes>
FASTCPP_DENSE_BODY void normalise_body(const BatchNorm& n) {
  using Vec = typename Lanes::Vec;
  using Wide = typename Lanes::Wide;
  for (std::ptrdiff_t c = 0; c < n.cols; c += Lanes::kLanes) {
    Wide mean, inv, weight;
    read(n.mean + c, mean);
    read(n.inv + c, inv);
    read_wide<Lanes>(n.weight + c, weight);
    Vec bias;
    read(n.bias + c, bias);
    const Vec by = __builtin_convertvector(Wide(inv * weight), Vec);
    const Vec middle = __builtin_convertvector(mean, Vec);
    for (std::int64_t r = 0; r < n.rows; ++r) {
      Vec x;
      read(n.x + r * n.line + c, x);
      write(n.y + r * n.line + c, Vec((x - middle) * by + bias));
    }
  }
}

template <typename Lanes>
FASTCPP_DENSE_BODY void normalise_back_body(const BatchNormBack& n) {
  using Vec = typename Lanes::Vec;
  using Wide = typename Lanes::Wide;
  const auto count = static_cast<double>(n.rows);
  for (std::ptrdiff_t c = 0; c < n.cols; c += Lanes::kLanes) {
    Wide mean, inv, weight, x, dy;
    read(n.mean + c, mean);
    read(n.inv + c, inv);
    read_wide<Lanes>(n.weight + c, weight);
    Wide sum = {}, dot = {};
    for (std::int64_t r = 0; r < n.rows; ++r) {
      read_wide<Lanes>(n.x + r * n.line + c, x);
      read_wide<Lanes>(n.dy + r * n.line + c, dy);
      sum += dy;
      dot += dy * (x - mean);
    }
    write(n.dbias + c, __builtin_convertvector(sum, Vec));
    write(n.dweight + c, __builtin_convertvector(Wide(dot * inv), Vec));
    const Wide by = inv * weight, shift = sum / count, slope = dot * inv * inv / count;
    Wide sums = {};
    for (std::int64_t r = 0; r < n.rows; ++r) {
      read_wide<Lanes>(n.x + r * n.line + c, x);
      read_wide<Lanes>(n.dy + r * n.line + c, dy);
      Wide dx = (dy - shift - (x - mean) * slope) * by;
      if (n.relu) dx = x <= 0 ? Wide{} : dx;
      sums += dx;
      write(n.dy + r * n.line + c, __builtin_convertvector(dx, Vec));
    }
    if (n.sums) write(n.sums + c, __builtin_convertvector(sums, Vec));
  }
}

template <typename Lanes>
FASTCPP_DENSE_BODY void relu_back_body(const ReluBack& p) {
  using Vec = typename Lanes::Vec;
  using Wide = typename Lanes::Wide;
  for (std::ptrdiff_t c = 0; c < p.cols; c += Lanes::kLanes) {
    Wide sum = {};
    for (std::int64_t r = 0; r < p.rows; ++r) {
      Vec dy;
      read(p.dy + r * p.line + c, dy);
      if (p.y) {
        Vec y;
        read(p.y + r * p.line + c, y);
        dy = y <= 0 ? Vec{} : dy;
        write(p.dy + r * p.line + c, dy);
      }
      sum += __builtin_convertvector(dy, Wide);
    }
    write(p.sums + c, __builtin_convertvector(sum, Vec));
  }
}

#if defined(__x86_64__) && defined(__GNUC__)
#define FASTCPP_DENSE_KERNELS(NAME, BYTES, VECS, ...)                                       \
  __attribute__((target(__VA_ARGS__))) void dense_multiply_##NAME(const MatrixProduct& p) { \
    multiply_body<DenseLanes<BYTES>, VECS>(p);                                              \
  }                                                                                         \
  __attribute__((target(__VA_ARGS__))) void moments_##NAME(const BatchNorm& n) {            \
    moments_body<DenseLanes<BYTES>>(n);                                                     \
  }                                                                                         \
  __attribute__((target(__VA_ARGS__))) void normalise_##NAME(const BatchNorm& n) {          \
    normalise_body<DenseLanes<BYTES>>(n);                                                   \
  }                                                                                         \
  __attribute__((target(__VA_ARGS__))) void normalise_back_##NAME(const BatchNormBack& n) { \
    normalise_back_body<DenseLanes<BYTES>>(n);                                              \
  }                                                                                         \
  __attribute__((target(__VA_ARGS__))) void relu_back_##NAME(const ReluBack& p) {           \
    relu_back_body<DenseLanes<BYTES>>(p);                                                   \
  }                                                                                         \
  constexpr DenseKernels k_dense_##NAME = {dense_multiply_##NAME, moments_##NAME,           \
                                           normalise_##NAME, normalise_back_##NAME,         \
                                           relu_back_##NAME};

FASTCPP_DENSE_KERNELS(avx2, 32, 2, "avx2,fma")
FASTCPP_DENSE_KERNELS(avx512, 64, 4, "avx512f,avx512dq,avx512vl,avx512bw,avx2,fma")
#endif

const DenseKernels* choose_dense() {
#if defined(__x86_64__) && defined(__GNUC__)
  const auto level = processor_level();
  if (level == ProcessorLevel::kAvx512) return &k_dense_avx512;
  if (level == ProcessorLevel::kAvx2) return &k_dense_avx2;
#endif
  return nullptr;
}

}  // namespace

const DenseKernels* dense_kernels() {
  static const DenseKernels* const best = choose_dense();
  return best;
}

}  // namespace fastcpp::models
