// Convolutions whose filters change from pass to pass, and the gradient of these by the transpose of Winograd's minimal filtering.
#include <ATen/Parallel.h>
#include <torch/types.h>

#include <algorithm>

#include "fastcpp/kernels/dense_layers.hpp"
#include "kernels/dense_kernels.hpp"
#include "kernels/packed_conv_impl.hpp"

namespace fastcpp::inline v0::models {
using torch::Tensor;

namespace {

using Index = std::int64_t;

// Transformed filters of a layer, and their gradients, of more bytes than these are made part by part: larger memory comes from the
// system anew in each step, page by page, which takes longer than to transform the inputs once more.
constexpr Index kMostPointBytes = 24 << 20;
constexpr Index kPointBytes = kTilePoints * Index{sizeof(float)};  // of one filter
// Transformed values of a chunk of tiles.
constexpr Index kValueBytes = 3 << 20;
// Input channels that one thread takes at least, and tiles, so that there is work for many.
constexpr Index kGroup = 16, kLeastTiles = 512;

// Output channels of a part: equal shares, in whole steps.
Index part_of(Index in, Index out, Index step) {
  const Index parts = (kPointBytes * in * out + kMostPointBytes - 1) / kMostPointBytes;
  return ((out + parts - 1) / parts + step - 1) / step * step;
}

// What a convolution was given, the gradient of what it gave, and how many tiles that has.
struct Pair {
  const float *x, *dy;
  Index n, in, h, w, out, out_h, out_w, padding;
  Index down() const { return (out_h + kTileOut - 1) / kTileOut; }
  Index across() const { return (out_w + kTileOut - 1) / kTileOut; }
  Index tiles() const { return n * down() * across(); }
};

// Some of both's channels and of the tiles, and where their transformed gradients go: u[point][input channel][output channel],
// `plane` floats from one point to the next.
struct Share {
  Index in_first, in_count, out_first, out_count, begin, end;
  float* u;
  Index plane;
};

void multiply_share(const Pair& p, const Share& s) {
  const auto& conv = *conv_kernels();
  const auto& dense = *dense_kernels();
  const Index line = padded(s.out_count);
  // The same for every number of threads, and so are the sums.
  const Index fit = kValueBytes / (kPointBytes * (p.in + line));
  const Index most = std::min(s.end - s.begin, std::max<Index>(fit, 48));
  const auto floats = [](Index count) { return torch::empty({count}, torch::kFloat32); };
  const Tensor inputs = floats(kTilePoints * most * s.in_count),
               edges = floats(kTilePoints * std::max(s.in_count, s.out_count));
  // What is beyond the channels is multiplied too.
  const Tensor outputs = floats(kTilePoints * most * line);
  if (line != s.out_count) outputs.zero_();
  float *const v = inputs.data_ptr<float>(), *const m = outputs.data_ptr<float>();
  for (Index begin = s.begin; begin < s.end; begin += most) {
    const Index chunk = std::min(most, s.end - begin);
    for (Index t = 0; t < chunk; ++t) {
      const Index image = (begin + t) / (p.down() * p.across()),
                  at = (begin + t) % (p.down() * p.across());
      const Index top = at / p.across() * kTileOut, left = at % p.across() * kTileOut;
      auto tile = tile_at({.data = p.x + image * p.h * p.w * p.in + s.in_first,
                           .h = p.h,
                           .w = p.w,
                           .pixel = p.in,
                           .channels = s.in_count},
                          top - p.padding, left - p.padding, kTileIn, edges.data_ptr<float>());
      tile.out = v + t * s.in_count;
      tile.plane = most * s.in_count;
      conv.to_points(tile);
      tile = tile_at({.data = p.dy + image * p.out_h * p.out_w * p.out + s.out_first,
                      .h = p.out_h,
                      .w = p.out_w,
                      .pixel = p.out,
                      .channels = s.out_count},
                     top, left, kTileOut, edges.data_ptr<float>());
      tile.out = m + t * line;
      tile.plane = most * line;
      conv.gradient_points(tile);
    }
    for (Index point = 0; point < kTilePoints; ++point) {
      dense.multiply({.rows = s.in_count,
                      .cols = s.out_count,
                      .depth = chunk,
                      .a = v + point * most * s.in_count,
                      .a_row = 1,
                      .a_step = s.in_count,
                      .b = m + point * most * line,
                      .b_line = line,
                      .c = s.u + point * s.plane,
                      .c_line = s.out_count,
                      .add = begin > s.begin});
    }
  }
}

// The output channels from `first` on; `gradient` is the whole weight's.
void make_part(const Pair& p, Index first, Index count, float* gradient) {
  const auto& conv = *conv_kernels();
  const Index plane = p.in * count, tiles = p.tiles(), groups = (p.in + kGroup - 1) / kGroup;
  const Index fit = kMostPointBytes / (kPointBytes * plane);
  // Each range of tiles has sums of its own, added up at last.
  const Index ranges = std::max<Index>(std::min(tiles / kLeastTiles, fit), 1);
  const Tensor points = torch::empty({ranges * kTilePoints * plane}, torch::kFloat32);
  float* const u = points.data_ptr<float>();
  at::parallel_for(0, ranges * groups, 1, [&](Index from, Index to) {
    while (from < to) {
      const Index range = from / groups, group = from % groups;
      const Index next = std::min(to, (range + 1) * groups);
      const Index in_first = group * kGroup,
                  in_end = std::min((next - range * groups) * kGroup, p.in);
      multiply_share(p, {.in_first = in_first,
                         .in_count = in_end - in_first,
                         .out_first = first,
                         .out_count = count,
                         .begin = range * tiles / ranges,
                         .end = (range + 1) * tiles / ranges,
                         .u = u + range * kTilePoints * plane + in_first * count,
                         .plane = plane});
      from = next;
    }
  });
  at::parallel_for(0, p.in, 8, [&](Index from, Index to) {
    for (Index i = from; i < to; ++i) {
      for (Index point = kTilePoints; point < ranges * kTilePoints; ++point) {
        const float* const more = u + point * plane + i * count;
        float* const sum = u + point % kTilePoints * plane + i * count;
        for (Index c = 0; c < count; ++c) sum[c] += more[c];
      }
      conv.filter_gradients({.in = u + i * count,
                             .plane = plane,
                             .count = count,
                             .out = gradient + (first * p.in + i) * 9,
                             .step = p.in * 9});
    }
  });
}

}  // namespace

bool PackedConv::suits_training(const Tensor& x, const Tensor& weight, Index padding) {
  // Fewer channels than a vector has are LibTorch's, and so is a padding with which the gradient's would be negative. So are tiles
  // that are few or lie mostly beyond the picture.
  constexpr Index kLeastChannels = 16, kMostPadding = 2, kLeastTilesOfBatch = 32, kLeastOfTile = 6;
  if (!conv_kernels() || !dense_kernels() || !suits_winograd(weight, 1) ||
      weight.size(0) < kLeastChannels || padding > kMostPadding) {
    return false;
  }
  const Index rows = x.size(2) + 2 * padding - 2, cols = x.size(3) + 2 * padding - 2;
  if (rows < 1 || cols < 1) return false;
  const Index tiles = ((rows + kTileOut - 1) / kTileOut) * ((cols + kTileOut - 1) / kTileOut);
  return x.size(0) * tiles >= kLeastTilesOfBatch && rows * cols >= kLeastOfTile * tiles;
}

Tensor PackedConv::run_once(const Tensor& x, const Tensor& weight, const Tensor& bias,
                            Index padding) {
  const auto packed = [&](const Tensor& filters, const Tensor& summand) {
    auto conv = make(filters, summand, 1, padding);
    TORCH_CHECK(conv, "filters of ", filters.sizes(), " of type ", filters.scalar_type(), " on ",
                filters.device(), " cannot be packed on this processor");
    return conv;
  };
  const Index out = weight.size(0), most = part_of(weight.size(1), out, ConvKernels::kMostBlock);
  if (most >= out) return packed(weight, bias)->run(x);
  const auto in = x.contiguous(torch::MemoryFormat::ChannelsLast);
  auto y = torch::empty({x.size(0), out, x.size(2) + 2 * padding - 2, x.size(3) + 2 * padding - 2},
                        x.options(), torch::MemoryFormat::ChannelsLast);
  for (Index first = 0; first < out; first += most) {
    const Index count = std::min(most, out - first);
    const auto some = bias.defined() ? bias.narrow(0, first, count) : bias;
    packed(weight.narrow(0, first, count), some)->run(in, {.into = y, .first = first});
  }
  return y;
}

Tensor PackedConv::weight_gradient(const Tensor& x, const Tensor& dy, Index padding) {
  const auto fits = [](const Tensor& t) {
    return t.dim() == 4 && t.scalar_type() == torch::kFloat32 && t.device().is_cpu();
  };
  TORCH_CHECK(conv_kernels() && dense_kernels(), "this processor has no kernels");
  TORCH_CHECK(fits(x) && fits(dy) && x.size(0) == dy.size(0) && padding >= 0 &&
                  dy.size(2) == x.size(2) + 2 * padding - 2 &&
                  dy.size(3) == x.size(3) + 2 * padding - 2,
              "gradients of ", dy.sizes(), " are not those of filters of 3 x 3 on ", x.sizes(),
              " with padding ", padding);
  if (x.numel() == 0 || dy.numel() == 0) {
    return torch::zeros({dy.size(1), x.size(1), 3, 3}, torch::kFloat32);
  }
  const auto from = x.contiguous(torch::MemoryFormat::ChannelsLast),
             back = dy.contiguous(torch::MemoryFormat::ChannelsLast);
  const Pair pair{.x = from.data_ptr<float>(),
                  .dy = back.data_ptr<float>(),
                  .n = x.size(0),
                  .in = x.size(1),
                  .h = x.size(2),
                  .w = x.size(3),
                  .out = dy.size(1),
                  .out_h = dy.size(2),
                  .out_w = dy.size(3),
                  .padding = padding};
  auto gradient = torch::empty({pair.out, pair.in, 3, 3}, torch::kFloat32);
  const Index most = part_of(pair.in, pair.out, DenseKernels::kLine);
  for (Index first = 0; first < pair.out; first += most) {
    make_part(pair, first, std::min(most, pair.out - first), gradient.data_ptr<float>());
  }
  return gradient;
}

}  // namespace fastcpp::models
