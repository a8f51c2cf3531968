#include "kernels/channel_kernels.hpp"

#include <algorithm>
#include <limits>

#include "fastcpp/kernels/processor.hpp"
#include "kernels/lanes.hpp"

namespace fastcpp::inline v0::models {
namespace {

using Index = std::ptrdiff_t;

// One output where the filter may reach beyond the picture.
template <typename Vec>
FASTCPP_BODY void depthwise_edge(const DepthwiseRow& d, Index x, Index c) {
  Vec sum;
  load(d.bias + c, sum);
  const Index left = x * d.stride - d.padding;
  for (int i = 0; i < d.rows; ++i) {
    for (int j = 0; j < d.cols; ++j) {
      if (left + j < 0 || left + j >= d.width) continue;
      Vec value, weight;
      load(d.in[i] + (left + j) * d.channels + c, value);
      load(d.weights + (i * d.cols + j) * d.channels + c, weight);
      sum += value * weight;
    }
  }
  clamp(sum, d.low, d.high);
  store(d.out + x * d.out_pixel + c, sum);
}

// Neighbours that share the weights of a 3 x 3 filter; all within the picture.
template <typename Vec, int kCount, int kStride>
FASTCPP_BODY void depthwise_3x3(const DepthwiseRow& d, Index x, Index c) {
  constexpr int kColumns = (kCount - 1) * kStride + 3;
  Vec sum[kCount];
  Vec bias;
  load(d.bias + c, bias);
#pragma GCC unroll 8
  for (int o = 0; o < kCount; ++o) sum[o] = bias;
  const Index from = (x * kStride - d.padding) * d.channels + c;
#pragma GCC unroll 3
  for (int i = 0; i < 3; ++i) {
    Vec weights[3];
#pragma GCC unroll 3
    for (int j = 0; j < 3; ++j) load(d.weights + (i * 3 + j) * d.channels + c, weights[j]);
    const float* in = d.in[i] + from;
#pragma GCC unroll 16
    for (int column = 0; column < kColumns; ++column) {
      Vec value;
      load(in + column * d.channels, value);
#pragma GCC unroll 8
      for (int o = 0; o < kCount; ++o) {
        const int j = column - o * kStride;
        if (j >= 0 && j < 3) sum[o] += value * weights[j];
      }
    }
  }
#pragma GCC unroll 8
  for (int o = 0; o < kCount; ++o) {
    clamp(sum[o], d.low, d.high);
    store(d.out + (x + o) * d.out_pixel + c, sum[o]);
  }
}

template <typename Vec, int kCount, int kStride>
FASTCPP_BODY void depthwise_columns(const DepthwiseRow& d, Index x) {
  constexpr Index kLanes = sizeof(Vec) / sizeof(float);
  Index c = 0;
  for (; c + kLanes <= d.channels; c += kLanes) depthwise_3x3<Vec, kCount, kStride>(d, x, c);
  for (; c < d.channels; ++c) depthwise_3x3<One, kCount, kStride>(d, x, c);
}

template <typename Vec, int kStride>
FASTCPP_BODY void depthwise_inside(const DepthwiseRow& d, Index first, Index last) {
  constexpr Index kCount = 4;
  for (Index x = first; x < last; x += kCount) {
    switch (last - x) {
      case 1:
        depthwise_columns<Vec, 1, kStride>(d, x);
        break;
      case 2:
        depthwise_columns<Vec, 2, kStride>(d, x);
        break;
      case 3:
        depthwise_columns<Vec, 3, kStride>(d, x);
        break;
      default:
        depthwise_columns<Vec, kCount, kStride>(d, x);
    }
  }
}

template <typename Vec>
FASTCPP_BODY void depthwise_body(const DepthwiseRow& d) {
  constexpr Index kLanes = sizeof(Vec) / sizeof(float);
  const bool inside = d.rows == 3 && d.cols == 3 && (d.stride == 1 || d.stride == 2);
  // Outputs first .. last - 1 see pixels of the picture only.
  Index first = d.out_width, last = d.out_width;
  if (inside && d.width + d.padding >= d.cols) {
    first = std::min(d.out_width, (d.padding + d.stride - 1) / d.stride);
    last = std::clamp<Index>((d.width + d.padding - d.cols) / d.stride + 1, first, d.out_width);
  }
  for (Index x = 0; x < d.out_width; ++x) {
    if (x == first) x = last;
    if (x >= d.out_width) break;
    Index c = 0;
    for (; c + kLanes <= d.channels; c += kLanes) depthwise_edge<Vec>(d, x, c);
    for (; c < d.channels; ++c) depthwise_edge<One>(d, x, c);
  }
  if (d.stride == 1) {
    depthwise_inside<Vec, 1>(d, first, last);
  } else {
    depthwise_inside<Vec, 2>(d, first, last);
  }
}

// A loop that the compiler makes vectors of: see `clamp`.
template <typename Vec>
FASTCPP_BODY void max_pool_body(const PoolRow& p) {
  for (Index x = 0; x < p.out_width; ++x) {
    const Index left = x * p.stride - p.padding;
    const Index first = std::max<Index>(left, 0), last = std::min(left + p.cols, p.width);
    float* __restrict const out = p.out + x * p.channels;
    std::fill_n(out, p.channels, -std::numeric_limits<float>::infinity());
    for (int i = 0; i < p.rows; ++i) {
      for (Index column = first; column < last; ++column) {
        const float* __restrict const in = p.in[i] + column * p.channels;
        for (Index c = 0; c < p.channels; ++c) {
          const float most = out[c], value = in[c];
          // Not-a-number wins, as LibTorch has it.
          const float bigger = value > most ? value : most;
          out[c] = value != value ? value : bigger;
        }
      }
    }
  }
}

template <typename Vec>
FASTCPP_BODY void activated(const float* in, const float* scale, const float* shift, Vec& value) {
  Vec factor, more;
  load(in, value);
  load(scale, factor);
  load(shift, more);
  value = value * factor + more;
  clamp(value, 0, std::numeric_limits<float>::infinity());
}

template <typename Vec>
FASTCPP_BODY void activate_lanes(const Activate& a, Index p, Index c) {
  Vec value;
  activated(a.in + p * a.in_pixel + c, a.scale + c, a.shift + c, value);
  store(a.out + p * a.channels + c, value);
}

template <typename Vec>
FASTCPP_BODY void activate_body(const Activate& a) {
  constexpr Index kLanes = sizeof(Vec) / sizeof(float);
  for (Index p = 0; p < a.pixels; ++p) {
    Index c = 0;
    for (; c + kLanes <= a.channels; c += kLanes) activate_lanes<Vec>(a, p, c);
    for (; c < a.channels; ++c) activate_lanes<One>(a, p, c);
  }
}

template <typename Vec>
FASTCPP_BODY void activate_pool_lanes(const ActivatePool& a, Index p, Index c) {
  const float* const in = a.in + 2 * p * a.channels + c;
  Vec sum{};
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    Vec value;
    activated(in + i / 2 * a.line + i % 2 * a.channels, a.scale + c, a.shift + c, value);
    sum += value;
  }
  store(a.out + p * a.channels + c, sum / 4);
}

template <typename Vec>
FASTCPP_BODY void activate_pool_body(const ActivatePool& a) {
  constexpr Index kLanes = sizeof(Vec) / sizeof(float);
  for (Index p = 0; p < a.pixels; ++p) {
    Index c = 0;
    for (; c + kLanes <= a.channels; c += kLanes) activate_pool_lanes<Vec>(a, p, c);
    for (; c < a.channels; ++c) activate_pool_lanes<One>(a, p, c);
  }
}

template <typename Vec, int kRows, int kItems>
FASTCPP_BODY void dots_of(const Dots& d) {
  constexpr Index kLanes = sizeof(Vec) / sizeof(float);
  // Two sums for each where there are few, so that one need not wait for the other.
  constexpr int kTurns = kRows * kItems < 8 ? 2 : 1;
  Vec sum[kTurns][kRows][kItems] = {};
  Index k = 0;
  for (; k + kTurns * kLanes <= d.depth; k += kTurns * kLanes) {
#pragma GCC unroll 2
    for (int t = 0; t < kTurns; ++t) {
      Vec in[kItems];
#pragma GCC unroll 4
      for (int i = 0; i < kItems; ++i) load(d.in + i * d.depth + k + t * kLanes, in[i]);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        Vec weight;
        load(d.weights + r * d.depth + k + t * kLanes, weight);
#pragma GCC unroll 4
        for (int i = 0; i < kItems; ++i) sum[t][r][i] += in[i] * weight;
      }
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int i = 0; i < kItems; ++i) {
      Vec all = sum[0][r][i];
      if constexpr (kTurns == 2) all += sum[1][r][i];
      float parts[kLanes];
      store(parts, all);
      for (Index step = kLanes / 2; step > 0; step /= 2) {
        for (Index l = 0; l < step; ++l) parts[l] += parts[l + step];
      }
      float total = parts[0];
      for (Index rest = k; rest < d.depth; ++rest) {
        total += d.in[i * d.depth + rest] * d.weights[r * d.depth + rest];
      }
      d.out[i * d.out_step + r] = total + (d.bias ? d.bias[r] : 0.0f);
    }
  }
}

template <typename Vec, int kRows>
FASTCPP_BODY void dots_rows(const Dots& d) {
  switch (d.items) {
    case 1:
      return dots_of<Vec, kRows, 1>(d);
    case 2:
      return dots_of<Vec, kRows, 2>(d);
    case 3:
      return dots_of<Vec, kRows, 3>(d);
    default:
      return dots_of<Vec, kRows, 4>(d);
  }
}

template <typename Vec>
FASTCPP_BODY void dots_body(const Dots& d) {
  if (d.rows == Dots::kRows) return dots_rows<Vec, Dots::kRows>(d);
  Dots one = d;
  one.rows = 1;
  for (int r = 0; r < d.rows; ++r) {
    one.weights = d.weights + r * d.depth;
    one.bias = d.bias ? d.bias + r : nullptr;
    one.out = d.out + r;
    dots_rows<Vec, 1>(one);
  }
}

#if defined(__x86_64__) && defined(__GNUC__)
#define FASTCPP_CHANNEL_KERNEL(NAME, KIND, BYTES, ARGUMENT, ...)                      \
  __attribute__((target(__VA_ARGS__))) void KIND##_##NAME(const ARGUMENT& argument) { \
    KIND##_body<Lanes<BYTES>::Vec>(argument);                                         \
  }
#define FASTCPP_CHANNEL_KERNELS(NAME, BYTES, ...)                               \
  FASTCPP_CHANNEL_KERNEL(NAME, depthwise, BYTES, DepthwiseRow, __VA_ARGS__)     \
  FASTCPP_CHANNEL_KERNEL(NAME, max_pool, BYTES, PoolRow, __VA_ARGS__)           \
  FASTCPP_CHANNEL_KERNEL(NAME, activate, BYTES, Activate, __VA_ARGS__)          \
  FASTCPP_CHANNEL_KERNEL(NAME, activate_pool, BYTES, ActivatePool, __VA_ARGS__) \
  FASTCPP_CHANNEL_KERNEL(NAME, dots, BYTES, Dots, __VA_ARGS__)                  \
  constexpr ChannelKernels k_##NAME##_channels = {                              \
      depthwise_##NAME, max_pool_##NAME, activate_##NAME, activate_pool_##NAME, dots_##NAME};

FASTCPP_CHANNEL_KERNELS(avx2, 32, "avx2,fma")
FASTCPP_CHANNEL_KERNELS(avx512, 64, "avx512f,avx512dq,avx512vl,avx512bw,avx2,fma")
#endif

}  // namespace

const ChannelKernels* channel_kernels() {
#if defined(__x86_64__) && defined(__GNUC__)
  static const auto level = processor_level();
  if (level == ProcessorLevel::kAvx512) return &k_avx512_channels;
  if (level == ProcessorLevel::kAvx2) return &k_avx2_channels;
#endif
  return nullptr;
}

}  // namespace fastcpp::models
