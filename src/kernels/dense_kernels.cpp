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
  typename L::Half floats;
  load(from, floats);
  v = __builtin_convertvector(floats, typename L::Wide);
}

// And back.
template <typename L>
FASTCPP_BODY void write_narrow(float* to, const typename L::Wide& v) {
  const auto floats = __builtin_convertvector(v, typename L::Half);
  store(to, floats);
}

// All bits where y > 0 or is no number, none where it is zero of either sign; y is never less, as ReLU made it. A comparison of
// vectors would be taken apart (lanes.hpp).
template <typename Bits, typename Floats>
FASTCPP_BODY void passed(const Floats& y, Bits& bits) {
  __builtin_memcpy(&bits, &y, sizeof bits);
  bits = -(bits & 0x7fffffff) >> 31;
}

template <typename Bits, typename Floats>
FASTCPP_BODY void keep(const Bits& bits, Floats& values) {
  Bits raw;
  __builtin_memcpy(&raw, &values, sizeof raw);
  raw &= bits;
  __builtin_memcpy(&values, &raw, sizeof raw);
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
      for (int v = 0; v < kVecs; ++v) {
        if constexpr (kRows * kVecs == 1) {
          // GCC takes a single chain of fused operations apart; then a row alone would round otherwise than among others.
          const Vec factor = Vec{} + a[0];
          asm("vfmadd231ps %1, %2, %0" : "+v"(sum[0][0]) : "v"(factor), "v"(weights[0]));
        } else {
          sum[r][v] += a[r * p.a_row] * weights[v];
        }
      }
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
      float* const to = p.c + (row + r) * p.c_line + col + v * kLanes;
      if (p.add && left > 0) {
        Vec before = {};
        if (left == kLanes) {
          load(to, before);
        } else {
          __builtin_memcpy(&before, to, static_cast<std::size_t>(left) * sizeof(float));
        }
        value += before;
      }
      if (p.relu) clamp(value, 0, std::numeric_limits<float>::infinity());
      if (left == kLanes) {
        store(to, value);
      } else if (left > 0) {
        __builtin_memcpy(to, &value, static_cast<std::size_t>(left) * sizeof(float));
      }
    }
  }
}

// The last rows, fewer than fill a tile.
template <typename L, int kRows, int kVecs>
FASTCPP_BODY void multiply_rest(const MatrixProduct& p, std::int64_t row, std::int64_t col) {
  if constexpr (kRows > 0) {
    if (p.rows - row == kRows) return multiply_tile<L, kRows, kVecs>(p, row, col);
    multiply_rest<L, kRows - 1, kVecs>(p, row, col);
  }
}

template <typename L, int kRows, int kVecs>
FASTCPP_BODY void multiply_strip(const MatrixProduct& p, std::int64_t col) {
  std::int64_t row = 0;
  for (; row + kRows <= p.rows; row += kRows) multiply_tile<L, kRows, kVecs>(p, row, col);
  multiply_rest<L, kRows - 1, kVecs>(p, row, col);
}

// As many sums as the registers hold beside the values of one step. The strips are as wide as each other: a narrow one has too few
// sums to keep the processor busy.
template <typename L, int kRows, int kMostVecs>
FASTCPP_BODY void multiply_body(const MatrixProduct& p) {
  const auto vecs = (p.cols + L::kLanes - 1) / L::kLanes;
  const auto strips = (vecs + kMostVecs - 1) / kMostVecs;
  for (std::int64_t i = 0, first = 0; i < strips; ++i) {
    const auto width = (vecs - first + strips - i - 1) / (strips - i), col = first * L::kLanes;
    if (width == kMostVecs) {
      multiply_strip<L, kRows, kMostVecs>(p, col);
    } else if (width == 2) {
      multiply_strip<L, kRows, 2>(p, col);
    } else {
      multiply_strip<L, kRows, 1>(p, col);
    }
    first += width;
  }
}

// Two vectors of doubles side by side, a vector of floats: one after the other they would wait for each sum, and read every line of
// the cache twice.
constexpr int kParts = 2;

template <typename L>
FASTCPP_BODY void moments_body(const BatchNorm& n) {
  using Wide = typename L::Wide;
  constexpr std::ptrdiff_t kHalf = L::kLanes / kParts;
  const auto count = static_cast<double>(n.rows);
  for (std::ptrdiff_t c = 0; c < n.cols; c += L::kLanes) {
    Wide sum[kParts] = {}, squares[kParts] = {}, mean[kParts], x;
    for (std::int64_t r = 0; r < n.rows; ++r) {
#pragma GCC unroll 2
      for (int i = 0; i < kParts; ++i) {
        read_wide<L>(n.x + r * n.line + c + i * kHalf, x);
        sum[i] += x;
      }
    }
#pragma GCC unroll 2
    for (int i = 0; i < kParts; ++i) mean[i] = sum[i] / count;
    for (std::int64_t r = 0; r < n.rows; ++r) {
#pragma GCC unroll 2
      for (int i = 0; i < kParts; ++i) {
        read_wide<L>(n.x + r * n.line + c + i * kHalf, x);
        squares[i] += (x - mean[i]) * (x - mean[i]);
      }
    }
#pragma GCC unroll 2
    for (int i = 0; i < kParts; ++i) {
      store(n.mean + c + i * kHalf, mean[i]);
      store(n.var + c + i * kHalf, Wide(squares[i] / count));
    }
    for (std::ptrdiff_t lane = 0; lane < L::kLanes; ++lane) {
      n.inv[c + lane] = 1 / std::sqrt(n.var[c + lane] + n.eps);
    }
  }
}

template <typename L>
FASTCPP_BODY void normalise_body(const BatchNorm& n) {
  using Vec = typename L::Vec;
  for (std::ptrdiff_t c = 0; c < n.cols; c += L::kLanes) {
    Vec by, middle, bias;
    for (std::ptrdiff_t lane = 0; lane < L::kLanes; ++lane) {
      by[lane] = static_cast<float>(n.inv[c + lane] * static_cast<double>(n.weight[c + lane]));
      middle[lane] = static_cast<float>(n.mean[c + lane]);
    }
    load(n.bias + c, bias);
    for (std::int64_t r = 0; r < n.rows; ++r) {
      Vec x;
      load(n.x + r * n.line + c, x);
      store(n.y + r * n.line + c, Vec((x - middle) * by + bias));
    }
  }
}

template <typename L>
FASTCPP_BODY void normalise_back_body(const BatchNormBack& n) {
  using Wide = typename L::Wide;
  constexpr std::ptrdiff_t kHalf = L::kLanes / kParts;
  const auto count = static_cast<double>(n.rows);
  for (std::ptrdiff_t c = 0; c < n.cols; c += L::kLanes) {
    Wide mean[kParts], sum[kParts] = {}, dot[kParts] = {}, by[kParts], shift[kParts], slope[kParts],
                       sums[kParts] = {}, x, dy;
#pragma GCC unroll 2
    for (int i = 0; i < kParts; ++i) load(n.mean + c + i * kHalf, mean[i]);
    for (std::int64_t r = 0; r < n.rows; ++r) {
#pragma GCC unroll 2
      for (int i = 0; i < kParts; ++i) {
        const auto at = r * n.line + c + i * kHalf;
        read_wide<L>(n.x + at, x);
        read_wide<L>(n.dy + at, dy);
        sum[i] += dy;
        dot[i] += dy * (x - mean[i]);
      }
    }
#pragma GCC unroll 2
    for (int i = 0; i < kParts; ++i) {
      const auto at = c + i * kHalf;
      Wide inv, weight;
      load(n.inv + at, inv);
      read_wide<L>(n.weight + at, weight);
      write_narrow<L>(n.dbias + at, sum[i]);
      write_narrow<L>(n.dweight + at, Wide(dot[i] * inv));
      by[i] = inv * weight;
      shift[i] = sum[i] / count;
      slope[i] = dot[i] * inv * inv / count;
    }
    for (std::int64_t r = 0; r < n.rows; ++r) {
#pragma GCC unroll 2
      for (int i = 0; i < kParts; ++i) {
        const auto at = r * n.line + c + i * kHalf;
        typename L::Half floats;
        load(n.x + at, floats);
        x = __builtin_convertvector(floats, Wide);
        read_wide<L>(n.dy + at, dy);
        Wide dx = (dy - shift[i] - (x - mean[i]) * slope[i]) * by[i];
        if (n.relu) {
          typename L::HalfBits bits;
          passed(floats, bits);
          keep(__builtin_convertvector(bits, typename L::WideBits), dx);
        }
        sums[i] += dx;
        write_narrow<L>(n.dy + at, dx);
      }
    }
    if (!n.sums) continue;
#pragma GCC unroll 2
    for (int i = 0; i < kParts; ++i) write_narrow<L>(n.sums + c + i * kHalf, sums[i]);
  }
}

template <typename L>
FASTCPP_BODY void relu_back_body(const ReluBack& p) {
  using Half = typename L::Half;
  using Wide = typename L::Wide;
  constexpr std::ptrdiff_t kHalf = L::kLanes / kParts;
  for (std::ptrdiff_t c = 0; c < p.cols; c += L::kLanes) {
    Wide sum[kParts] = {};
    for (std::int64_t r = 0; r < p.rows; ++r) {
#pragma GCC unroll 2
      for (int i = 0; i < kParts; ++i) {
        const auto at = r * p.line + c + i * kHalf;
        Half dy;
        load(p.dy + at, dy);
        if (p.y) {
          Half y;
          load(p.y + at, y);
          typename L::HalfBits bits;
          passed(y, bits);
          keep(bits, dy);
          store(p.dy + at, dy);
        }
        sum[i] += __builtin_convertvector(dy, Wide);
      }
    }
#pragma GCC unroll 2
    for (int i = 0; i < kParts; ++i) write_narrow<L>(p.sums + c + i * kHalf, sum[i]);
  }
}

#if defined(__x86_64__) && defined(__GNUC__)
#define FASTCPP_DENSE_KERNELS(NAME, BYTES, ROWS, VECS, ...)                                 \
  __attribute__((target(__VA_ARGS__))) void dense_multiply_##NAME(const MatrixProduct& p) { \
    multiply_body<Lanes<BYTES>, ROWS, VECS>(p);                                             \
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

FASTCPP_DENSE_KERNELS(avx2, 32, 6, 2, "avx2,fma")
FASTCPP_DENSE_KERNELS(avx512, 64, 8, 3, "avx512f,avx512dq,avx512vl,avx512bw,avx2,fma")
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
