// Winograd's minimal filtering of packed convolutions.
#include <ATen/Parallel.h>

#include <algorithm>
#include <vector>

#include "kernels/packed_conv_impl.hpp"

namespace fastcpp::inline v0::models {
using torch::Tensor;

namespace {

// Tiles transformed at a time: their values stay in the second cache between the three steps.
constexpr std::int64_t kMostTiles = 48;

}  // namespace

const float* PackedConv::Impl::point_weights() const {
  std::call_once(points_once, [&] {
    const Index plane = in * padded_out();
    points = torch::empty({kTilePoints, plane}, torch::kFloat32);
    const auto plain = weight.contiguous();
    const float* const from = plain.data_ptr<float>();
    float* const to = points.data_ptr<float>();
    at::parallel_for(0, blocks() * in, 64, [&](Index first, Index last) {
      for (Index item = first; item < last; ++item) {
        const Index b = item / in, i = item % in, width = padded_width(b);
        float filters[9 * ConvKernels::kMostBlock] = {};
        for (Index c = 0; c < std::min(width, out - b * block()); ++c) {
          const float* filter = from + ((b * block() + c) * in + i) * 9;
          for (int k = 0; k < 9; ++k) filters[k * width + c] = filter[k];
        }
        kernels.filter_points({.in = filters,
                               .out = to + b * block() * in + i * width,
                               .plane = plane,
                               .count = static_cast<int>(width)});
      }
    });
  });
  return points.data_ptr<float>();
}

void PackedConv::Impl::run_winograd(const Tensor& x, const Output& y) const {
  const Tiles t{.from = x.data_ptr<float>(),
                .h = x.size(2),
                .w = x.size(3),
                .to = y,
                .down = up(y.h, kTileOut) / kTileOut,
                .across = up(y.w, kTileOut) / kTileOut,
                .weights = point_weights()};
  const Index tiles = y.n * t.down * t.across;
  // Even shares for all threads, and in whole rows of a product.
  const Index share = (tiles + at::get_num_threads() - 1) / at::get_num_threads();
  const Index chunks_a_share = (share + kMostTiles - 1) / kMostTiles;
  const Index size = up((share + chunks_a_share - 1) / chunks_a_share, Product::kMostRows);
  at::parallel_for(0, (tiles + size - 1) / size, 1, [&](Index first, Index last) {
    const auto values =
        scratch(std::min(size, tiles) * kTilePoints * (in + padded_out()) + kTilePoints * in);
    for (Index chunk = first; chunk < last; ++chunk) {
      winograd_chunk(t, chunk * size, std::min(tiles, (chunk + 1) * size),
                     values.data_ptr<float>());
    }
  });
}

TileIn tile_at(const TilePicture& p, Index top, Index left, Index side, float* edge) {
  TileIn tile{.in = edge,
              .pixel = p.pixel,
              .line = side * p.channels,
              .channels = p.channels,
              .out = nullptr,
              .plane = 0};
  if (top >= 0 && left >= 0 && top + side <= p.h && left + side <= p.w) {
    tile.in = p.data + (top * p.w + left) * p.pixel;
    tile.line = p.w * p.pixel;
    return tile;
  }
  tile.pixel = p.channels;
  std::fill_n(edge, side * side * p.channels, 0.0f);
  const Index first = std::clamp<Index>(left, 0, p.w),
              last = std::clamp<Index>(left + side, first, p.w);
  for (Index y = std::max<Index>(top, 0); y < std::min(top + side, p.h); ++y) {
    for (Index x = first; x < last; ++x) {
      std::copy_n(p.data + (y * p.w + x) * p.pixel, p.channels,
                  edge + ((y - top) * side + x - left) * p.channels);
    }
  }
  return tile;
}

void PackedConv::Impl::winograd_chunk(const Tiles& all, Index first, Index last,
                                      float* values) const {
  const Index count = last - first, out_all = padded_out();
  const auto& [from, h, w, to, down, across, weights] = all;
  float* const v = values;
  float* const m = v + count * kTilePoints * in;
  float* const edge = m + count * kTilePoints * out_all;
  for (Index t = 0; t < count; ++t) {
    const Index tile = first + t, image = tile / (down * across), at = tile % (down * across);
    auto inputs =
        tile_at({from + image * h * w * in, h, w, in, in}, at / across * kTileOut - padding,
                at % across * kTileOut - padding, kTileIn, edge);
    inputs.out = v + t * in;
    inputs.plane = count * in;
    kernels.to_points(inputs);
  }
  for (int point = 0; point < kTilePoints; ++point) {
    for (Index b = 0; b < blocks(); ++b) {
      auto products = rows_of(b, count);
      products.weights = weights + (point * out_all + b * block()) * in;
      multiply_rows(
          kernels, products, [&](Index i) { return v + (point * count + i) * in; },
          [&](Index i) { return m + (point * count + i) * out_all + b * block(); },
          [](Index) { return static_cast<const float*>(nullptr); });
    }
  }
  for (Index t = 0; t < count; ++t) {
    const Index tile = first + t, image = tile / (down * across), at = tile % (down * across);
    const Index row = at / across * kTileOut, col = at % across * kTileOut;
    const Index pixel = (image * to.h + row) * to.w + col;
    kernels.from_points({.in = m + t * out_all,
                         .plane = count * out_all,
                         .channels = out,
                         .out = to.data + pixel * to.pixel,
                         .add = to.add ? to.add + pixel * to.add_pixel : nullptr,
                         .bias = bias.data(),
                         .pixel = to.pixel,
                         .line = to.w * to.pixel,
                         .add_pixel = to.add_pixel,
                         .add_line = to.w * to.add_pixel,
                         .rows = static_cast<int>(std::min<Index>(kTileOut, to.h - row)),
                         .cols = static_cast<int>(std::min<Index>(kTileOut, to.w - col)),
                         .low = to.low,
                         .high = to.high});
  }
}

}  // namespace fastcpp::models
