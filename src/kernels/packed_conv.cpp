#include "fastcpp/kernels/packed_conv.hpp"

#include <ATen/Parallel.h>
#include <torch/types.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "kernels/conv_kernels.hpp"

namespace fastcpp::inline v0::models {
using torch::Tensor;

namespace {

using Index = std::int64_t;

// Below so few tiles the transformed filters, four times as large, cost more than the products
// they save.
constexpr Index kLeastTiles = 8;
// Tiles transformed at a time: their values stay in the second cache between the three steps.
constexpr Index kMostTiles = 48;

Index up(Index n, Index step) {
  return (n + step - 1) / step * step;
}

// Pictures with a number of rows each, and the distance of their rows in floats.
struct Plane {
  const float* data;
  Index rows, line;
};

// Memory for one call: a thread that kept it would keep the largest it ever needed.
Tensor scratch(Index count) {
  return torch::empty({count}, torch::kFloat32);
}

}  // namespace

struct PackedConv::Impl {
  const ConvKernels& kernels;
  const Tensor weight;      // out x in x rows x cols
  std::vector<float> bias;  // up to whole blocks; empty when there is none
  const Index out, in, rows, cols, stride, padding;

  Impl(const ConvKernels& kernels_, Tensor weight_, Index stride_, Index padding_)
      : kernels(kernels_),
        weight(std::move(weight_)),
        out(weight.size(0)),
        in(weight.size(1)),
        rows(weight.size(2)),
        cols(weight.size(3)),
        stride(stride_),
        padding(padding_) {}

  mutable std::once_flag direct_once, points_once;
  mutable Tensor direct, points;  // packed when first needed

  Index block() const { return kernels.block; }
  Index blocks() const { return up(out, block()) / block(); }

  bool winograd(Index out_rows, Index out_cols, Index n) const {
    return suits_winograd(weight, stride) &&
           n * up(out_rows, kTileOut) / kTileOut * (up(out_cols, kTileOut) / kTileOut) >=
               kLeastTiles;
  }

  // [block][row][col][in][block's channel]
  const float* direct_weights() const {
    std::call_once(direct_once, [&] {
      auto whole = torch::zeros({blocks() * block(), in, rows, cols}, torch::kFloat32);
      whole.narrow(0, 0, out).copy_(weight);
      direct =
          whole.view({blocks(), block(), in, rows, cols}).permute({0, 3, 4, 2, 1}).contiguous();
    });
    return direct.data_ptr<float>();
  }

  // [point][block][in][block's channel]
  const float* point_weights() const {
    std::call_once(points_once, [&] {
      points = torch::empty({kTilePoints, blocks(), in, block()}, torch::kFloat32);
      const auto plain = weight.contiguous();
      const float* const from = plain.data_ptr<float>();
      float* const to = points.data_ptr<float>();
      at::parallel_for(0, blocks() * in, 64, [&](Index first, Index last) {
        for (Index item = first; item < last; ++item) {
          const Index b = item / in, i = item % in;
          float filters[9 * ConvKernels::kMostBlock] = {};
          for (Index c = 0; c < std::min(block(), out - b * block()); ++c) {
            const float* filter = from + ((b * block() + c) * in + i) * 9;
            for (int k = 0; k < 9; ++k) filters[k * block() + c] = filter[k];
          }
          kernels.filter_points({.in = filters,
                                 .out = to + item * block(),
                                 .plane = blocks() * in * block(),
                                 .count = static_cast<int>(block())});
        }
      });
    });
    return points.data_ptr<float>();
  }

  // The pictures with zeros around them; themselves where there is nothing to add.
  Tensor padded(const Tensor& x) const {
    if (padding == 0) return x;
    const Index n = x.size(0), h = x.size(2), w = x.size(3);
    const Index all_rows = h + 2 * padding, line = (w + 2 * padding) * in;
    const auto* from = x.data_ptr<float>();
    auto result = scratch(n * all_rows * line);
    float* const start = result.data_ptr<float>();
    at::parallel_for(0, n * all_rows, 64, [&](Index first, Index last) {
      for (Index r = first; r < last; ++r) {
        float* to = start + r * line;
        const Index y = r % all_rows - padding;
        if (y < 0 || y >= h) {
          std::fill_n(to, line, 0.0f);
          continue;
        }
        std::fill_n(to, padding * in, 0.0f);
        std::memcpy(to + padding * in, from + (r / all_rows * h + y) * w * in,
                    static_cast<std::size_t>(w * in) * sizeof(float));
        std::fill(to + (padding + w) * in, to + line, 0.0f);
      }
    });
    return result;
  }

  const float* bias_of(Index b) const {
    return bias.empty() ? nullptr : &bias[static_cast<std::size_t>(b * block())];
  }

  // Every output pixel as a product of its window with the weights.
  void run_direct(const Tensor& x, Tensor& y, const float* add, bool relu) const {
    const Index oh = y.size(2), ow = y.size(3), n = y.size(0);
    const auto held = padded(x);
    const Plane picture{held.data_ptr<float>(), x.size(2) + 2 * padding,
                        (x.size(3) + 2 * padding) * in};
    const float* weights = direct_weights();
    float* const to = y.data_ptr<float>();
    const Index pixels = n * oh * ow,
                groups = (pixels + Product::kMostRows - 1) / Product::kMostRows;
    // Neighbours in this order share a block of weights.
    at::parallel_for(0, blocks() * groups, 8, [&](Index first, Index last) {
      Product p{};
      p.runs = static_cast<int>(rows);
      p.run_step = picture.line;
      p.depth = cols * in;
      p.relu = relu;
      for (Index item = first; item < last; ++item) {
        const Index b = item / groups, from = item % groups * Product::kMostRows;
        p.rows = static_cast<int>(std::min<Index>(Product::kMostRows, pixels - from));
        p.weights = weights + b * rows * p.depth * block();
        p.bias = bias_of(b);
        p.width = static_cast<int>(std::min(block(), out - b * block()));
        for (int r = 0; r < p.rows; ++r) {
          const Index pixel = from + r, image = pixel / (oh * ow), at = pixel % (oh * ow);
          p.in[r] = picture.data + (image * picture.rows + at / ow * stride) * picture.line +
                    at % ow * stride * in;
          p.out[r] = to + pixel * out + b * block();
          p.add[r] = add ? add + pixel * out + b * block() : nullptr;
        }
        kernels.multiply(p);
      }
    });
  }

  void run_winograd(const Tensor& x, Tensor& y, const float* add, bool relu) const {
    const Tiles t{.from = x.data_ptr<float>(),
                  .h = x.size(2),
                  .w = x.size(3),
                  .to = y.data_ptr<float>(),
                  .oh = y.size(2),
                  .ow = y.size(3),
                  .down = up(y.size(2), kTileOut) / kTileOut,
                  .across = up(y.size(3), kTileOut) / kTileOut,
                  .weights = point_weights(),
                  .add = add,
                  .relu = relu};
    const Index tiles = y.size(0) * t.down * t.across;
    // Even shares for all threads, and in whole rows of a product.
    const Index share = (tiles + at::get_num_threads() - 1) / at::get_num_threads();
    const Index chunks_a_share = (share + kMostTiles - 1) / kMostTiles;
    const Index size = up((share + chunks_a_share - 1) / chunks_a_share, Product::kMostRows);
    at::parallel_for(0, (tiles + size - 1) / size, 1, [&](Index first, Index last) {
      const auto values = scratch(std::min(size, tiles) * kTilePoints * (in + blocks() * block()) +
                                  kTilePoints * in);
      for (Index chunk = first; chunk < last; ++chunk) {
        winograd_chunk(t, chunk * size, std::min(tiles, (chunk + 1) * size),
                       values.data_ptr<float>());
      }
    });
  }

  // Pictures, their tiles and what is made of them.
  struct Tiles {
    const float* from;
    Index h, w;
    float* to;
    Index oh, ow, down, across;
    const float *weights, *add;
    bool relu;
  };

  // The inputs of the tile in that row and column of the outputs; copied to `edge`, with zeros around, where the tile
  // reaches beyond its picture.
  TileIn tile_in(const Tiles& t, Index image, Index row, Index col, float* edge) const {
    const Index top = row - padding, left = col - padding;
    const float* const picture = t.from + image * t.h * t.w * in;
    TileIn tile{.in = edge, .line = kTileIn * in, .channels = in, .out = nullptr, .plane = 0};
    if (top >= 0 && left >= 0 && top + kTileIn <= t.h && left + kTileIn <= t.w) {
      tile.in = picture + (top * t.w + left) * in;
      tile.line = t.w * in;
      return tile;
    }
    std::fill_n(edge, kTilePoints * in, 0.0f);
    const Index first = std::clamp<Index>(left, 0, t.w),
                last = std::clamp<Index>(left + kTileIn, first, t.w);
    for (Index y = std::max<Index>(top, 0); y < std::min(top + kTileIn, t.h); ++y) {
      std::copy_n(picture + (y * t.w + first) * in, (last - first) * in,
                  edge + ((y - top) * kTileIn + first - left) * in);
    }
    return tile;
  }

  // `values`: room for the transformed inputs, the products, and the inputs of one tile.
  void winograd_chunk(const Tiles& all, Index first, Index last, float* values) const {
    const Index count = last - first, out_all = blocks() * block();
    const auto& [from, h, w, to, oh, ow, down, across, weights, add, relu] = all;
    float* const v = values;
    float* const m = v + count * kTilePoints * in;
    float* const edge = m + count * kTilePoints * out_all;
    for (Index t = 0; t < count; ++t) {
      const Index tile = first + t, image = tile / (down * across), at = tile % (down * across);
      auto inputs = tile_in(all, image, at / across * kTileOut, at % across * kTileOut, edge);
      inputs.out = v + t * in;
      inputs.plane = count * in;
      kernels.to_points(inputs);
    }
    Product p{};
    p.runs = 1;
    p.depth = in;
    p.width = static_cast<int>(block());
    for (int point = 0; point < kTilePoints; ++point) {
      for (Index b = 0; b < blocks(); ++b) {
        p.weights = weights + (point * blocks() + b) * in * block();
        for (Index t = 0; t < count; t += Product::kMostRows) {
          p.rows = static_cast<int>(std::min<Index>(Product::kMostRows, count - t));
          for (int r = 0; r < p.rows; ++r) {
            p.in[r] = v + (point * count + t + r) * in;
            p.out[r] = m + (point * count + t + r) * out_all + b * block();
          }
          kernels.multiply(p);
        }
      }
    }
    for (Index t = 0; t < count; ++t) {
      const Index tile = first + t, image = tile / (down * across), at = tile % (down * across);
      const Index row = at / across * kTileOut, col = at % across * kTileOut;
      const Index offset = ((image * oh + row) * ow + col) * out;
      kernels.from_points({.in = m + t * out_all,
                           .plane = count * out_all,
                           .channels = out,
                           .out = to + offset,
                           .add = add ? add + offset : nullptr,
                           .bias = bias_of(0),
                           .line = ow * out,
                           .rows = static_cast<int>(std::min<Index>(kTileOut, oh - row)),
                           .cols = static_cast<int>(std::min<Index>(kTileOut, ow - col)),
                           .relu = relu});
    }
  }
};

bool PackedConv::suits_winograd(const Tensor& weight, std::int64_t stride) {
  return weight.size(2) == 3 && weight.size(3) == 3 && stride == 1 && weight.size(1) >= 16;
}

PackedConv::PackedConv(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PackedConv::~PackedConv() = default;

std::shared_ptr<const PackedConv> PackedConv::make(const Tensor& weight, const Tensor& bias,
                                                   std::int64_t stride, std::int64_t padding) {
  const auto* kernels = conv_kernels();
  const auto plain = [](const Tensor& t) {
    return t.device().is_cpu() && t.scalar_type() == torch::kFloat32 &&
           t.layout() == torch::kStrided;
  };
  if (!kernels || !plain(weight) || weight.dim() != 4 || weight.numel() == 0) return nullptr;
  if (bias.defined() && (!plain(bias) || bias.numel() != weight.size(0))) return nullptr;
  auto impl = std::unique_ptr<Impl>(new Impl(*kernels, weight.detach(), stride, padding));
  if (bias.defined()) {
    const auto values = bias.detach().contiguous();
    impl->bias.assign(static_cast<std::size_t>(impl->blocks() * impl->block()), 0.0f);
    std::copy_n(values.data_ptr<float>(), values.numel(), impl->bias.begin());
  }
  return std::shared_ptr<const PackedConv>(new PackedConv(std::move(impl)));
}

Tensor PackedConv::run(const Tensor& x, const Tensor& add, bool relu) const {
  const auto& c = *impl_;
  constexpr auto kTogether = torch::MemoryFormat::ChannelsLast;
  TORCH_CHECK(x.dim() == 4 && x.size(1) == c.in && x.scalar_type() == torch::kFloat32 &&
                  x.device().is_cpu(),
              "expected float32 pictures with ", c.in, " channels on the CPU, found ", x.sizes(),
              " of type ", x.scalar_type(), " on ", x.device());
  const Index oh = (x.size(2) + 2 * c.padding - c.rows) / c.stride + 1;
  const Index ow = (x.size(3) + 2 * c.padding - c.cols) / c.stride + 1;
  TORCH_CHECK(x.size(2) + 2 * c.padding >= c.rows && x.size(3) + 2 * c.padding >= c.cols,
              "pictures of ", x.size(2), " x ", x.size(3), " are smaller than the filter of ",
              c.rows, " x ", c.cols);
  // Strides of one picture or one channel do not say how memory is ordered; then a copy decides.
  const auto in = x.contiguous(kTogether);
  auto y = torch::empty({x.size(0), c.out, oh, ow}, x.options(), kTogether);
  Tensor sum;
  if (add.defined()) {
    TORCH_CHECK(add.sizes() == y.sizes(), "cannot add ", add.sizes(), " to ", y.sizes());
    sum = add.contiguous(kTogether);
  }
  const float* added = sum.defined() ? sum.data_ptr<float>() : nullptr;
  if (c.winograd(oh, ow, x.size(0))) {
    c.run_winograd(in, y, added, relu);
  } else {
    c.run_direct(in, y, added, relu);
  }
  return y;
}

}  // namespace fastcpp::models
