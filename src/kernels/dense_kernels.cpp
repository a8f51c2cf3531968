#include "kernels/dense_kernels.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "fastcpp/kernels/dense_layers.hpp"
#include "fastcpp/kernels/processor.hpp"
#include "kernels/lanes.hpp"

namespace fastcpp::inline v0::models {
namespace {

// Single precision, as doubles.
template <typename L>
FASTCPP_BODY void read_wide(const float* from, typename L::Wide& v) {
  typename L::Vec floats;
  load(from, floats);
  v = __builtin_convertvector(floats, typename L::Wide);
}

// kRows x kVecs vectors of the product, from column `col` on.
template <typename L, int kRows, int kVecs>
FASTCPP_BODY void multiply_tile(const MatrixProduct& p, std::int64_t row, std::int64_t col) {
  using Vec = typename L::Vec;
  constexpr std::ptrdiff_t kLanes = L::kLanes;
  Vec sum[kRows][kVecs] = {};
  const float* a = p.a + row * p.a_row;
  const float* b = p.b + col;
  for (std::int64_t k = 0; k < p.depth; ++k, a += p.a_step, b += p.b_line) {
    Vec weights[kVecs];
#pragma GCC unroll 8
    for (int v = 0; v < kVecs; ++v) load(b + v * kLanes, weights[v]);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < kVecs; ++v) sum[r][v] += a[r * p.a_row] * weights[v];
    }
  }
#pragma GCC unroll 8
  for (int v = 0; v < kVecs; ++v) {
    Vec bias = {};
    if (p.bias) load(p.bias + col + v * kLanes, bias);
    const auto left = std::min<std::int64_t>(p.cols - col - v * kLanes, kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      Vec value = sum[r][v] + bias;
      if (p.relu) clamp(value, 0, std::numeric_limits<float>::infinity());
      float* const to = p.c + (row + r) * p.c_line + col + v * kLanes;
      if (left == kLanes) {
        store(to, value);
      } else if (left > 0) {
        __builtin_memcpy(to, &value, static_cast<std::size_t>(left) * sizeof(float));
      }
    }
  }
}

template <typename L, int kVecs>
FASTCPP_BODY void multiply_strip(const MatrixProduct& p, std::int64_t col) {
  std::int64_t row = 0;
  for (; row + 6 <= p.rows; row += 6) multiply_tile<L, 6, kVecs>(p, row, col);
  switch (p.rows - row) {
    case 5:
      return multiply_tile<L, 5, kVecs>(p, row, col);
    case 4:
      return multiply_tile<L, 4, kVecs>(p, row, col);
    case 3:
      return multiply_tile<L, 3, kVecs>(p, row, col);
    case 2:
      return multiply_tile<L, 2, kVecs>(p, row, col);
    case 1:
      return multiply_tile<L, 1, kVecs>(p, row, col);
    default:
      return;
  }
}

// As many sums as the registers hold beside the values of one step.
template <typename L, int kMostVecs>
FASTCPP_BODY void multiply_body(const MatrixProduct& p) {
  for (std::int64_t col = 0; col < p.cols; col += kMostVecs * L::kLanes) {
    const auto vecs = (p.cols - col + L::kLanes - 1) / L::kLanes;
    if (vecs >= kMostVecs) {
      multiply_strip<L, kMostVecs>(p, col);
    } else if (vecs == 3) {
      multiply_strip<L, std::min(3, kMostVecs)>(p, col);
    } else if (vecs == 2) {
      multiply_strip<L, std::min(2, kMostVecs)>(p, col);
    } else {
      multiply_strip<L, 1>(p, col);
    }
  }
}

template <typename L>
FASTCPP_BODY void moments_body(const BatchNorm& n) {
  using Wide = typename L::Wide;
  const auto count = static_cast<double>(n.rows);
  for (std::ptrdiff_t c = 0; c < n.cols; c += L::kLanes) {
    Wide sum = {}, squares = {}, x;
    for (std::int64_t r = 0; r < n.rows; ++r) {
      read_wide<L>(n.x + r * n.line + c, x);
      sum += x;
    }
    const Wide mean = sum / count;
    for (std::int64_t r = 0; r < n.rows; ++r) {
      read_wide<L>(n.x + r * n.line + c, x);
      squares += (x - mean) * (x - mean);
    }
    const Wide var = squares / count;
    store(n.mean + c, mean);
    store(n.var + c, var);
    for (std::ptrdiff_t lane = 0; lane < L::kLanes; ++lane) {
      n.inv[c + lane] = 1 / std::sqrt(var[lane] + n.eps);
    }
  }
}

template <typename L>
FASTCPP_BODY void normalise_body(const BatchNorm& n) {
  using Vec = typename L::Vec;
  using Wide = typename L::Wide;
  for (std::ptrdiff_t c = 0; c < n.cols; c += L::kLanes) {
    Wide mean, inv, weight;
    load(n.mean + c, mean);
    load(n.inv + c, inv);
    read_wide<L>(n.weight + c, weight);
    Vec bias;
    load(n.bias + c, bias);
    const Vec by = __builtin_convertvector(Wide(inv * weight), Vec);
    const Vec middle = __builtin_convertvector(mean, Vec);
    for (std::int64_t r = 0; r < n.rows; ++r) {
      Vec x;
      load(n.x + r * n.line + c, x);
      store(n.y + r * n.line + c, Vec((x - middle) * by + bias));
    }
  }
}

template <typename L>
FASTCPP_BODY void normalise_back_body(const BatchNormBack& n) {
  using Vec = typename L::Vec;
  using Wide = typename L::Wide;
  const auto count = static_cast<double>(n.rows);
  for (std::ptrdiff_t c = 0; c < n.cols; c += L::kLanes) {
    Wide mean, inv, weight, x, dy;
    load(n.mean + c, mean);
    load(n.inv + c, inv);
    read_wide<L>(n.weight + c, weight);
    Wide sum = {}, dot = {};
    for (std::int64_t r = 0; r < n.rows; ++r) {
      read_wide<L>(n.x + r * n.line + c, x);
      read_wide<L>(n.dy + r * n.line + c, dy);
      sum += dy;
      dot += dy * (x - mean);
    }
    store(n.dbias + c, __builtin_convertvector(sum, Vec));
    store(n.dweight + c, __builtin_convertvector(Wide(dot * inv), Vec));
    const Wide by = inv * weight, shift = sum / count, slope = dot * inv * inv / count;
    Wide sums = {};
    for (std::int64_t r = 0; r < n.rows; ++r) {
      read_wide<L>(n.x + r * n.line + c, x);
      read_wide<L>(n.dy + r * n.line + c, dy);
      Wide dx = (dy - shift - (x - mean) * slope) * by;
      if (n.relu) dx = x <= 0 ? Wide{} : dx;
      sums += dx;
      store(n.dy + r * n.line + c, __builtin_convertvector(dx, Vec));
    }
    if (n.sums) store(n.sums + c, __builtin_convertvector(sums, Vec));
  }
}

template <typename L>
FASTCPP_BODY void relu_back_body(const ReluBack& p) {
  using Vec = typename L::Vec;
  using Wide = typename L::Wide;
  for (std::ptrdiff_t c = 0; c < p.cols; c += L::kLanes) {
    Wide sum = {};
    for (std::int64_t r = 0; r < p.rows; ++r) {
      Vec dy;
      load(p.dy + r * p.line + c, dy);
      if (p.y) {
        Vec y;
        load(p.y + r * p.line + c, y);
        dy = y <= 0 ? Vec{} : dy;
        store(p.dy + r * p.line + c, dy);
      }
      sum += __builtin_convertvector(dy, Wide);
    }
    store(p.sums + c, __builtin_convertvector(sum, Vec));
  }
}

#if defined(__x86_64__) && defined(__GNUC__)
#define FASTCPP_DENSE_KERNELS(NAME, BYTES, VECS, ...)                                       \
  __attribute__((target(__VA_ARGS__))) void dense_multiply_##NAME(const MatrixProduct& p) { \
    multiply_body<Lanes<BYTES>, VECS>(p);                                                   \
  }                                                                                         \
  __attribute__((target(__VA_ARGS__))) void moments_##NAME(const BatchNorm& n) {            \
    moments_body<Lanes<BYTES>>(n);                                                          \
  }                                                                                         \
  __attribute__((target(__VA_ARGS__))) void normalise_##NAME(const BatchNorm& n) {          \
    normalise_body<Lanes<BYTES>>(n);                                                        \
  }                                                                                         \
  __attribute__((target(__VA_ARGS__))) void normalise_back_##NAME(const BatchNormBack& n) { \
    normalise_back_body<Lanes<BYTES>>(n);                                                   \
  }                                                                                         \
  __attribute__((target(__VA_ARGS__))) void relu_back_##NAME(const ReluBack& p) {           \
    relu_back_body<Lanes<BYTES>>(p);                                                        \
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
