// What a packed convolution holds and how it is computed: for the files of this folder only.
#pragma once

#include <torch/types.h>

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

#include "fastcpp/kernels/packed_conv.hpp"
#include "kernels/channel_kernels.hpp"
#include "kernels/conv_kernels.hpp"
#include "kernels/product_rows.hpp"

namespace fastcpp::inline v0::models {

// A picture whose pixels are `pixel` floats apart, of which the first `channels` are wanted.
struct TilePicture {
  const float* data;
  std::int64_t h, w, pixel, channels;
};
// The tile whose first pixel is there; copied to `edge`, with zeros around, where it reaches beyond its picture.
TileIn tile_at(const TilePicture& picture, std::int64_t top, std::int64_t left, std::int64_t side,
               float* edge);

// Immutable but for what is packed once; safe in several threads at once.
struct PackedConv::Impl {
  using Index = std::int64_t;

  const ConvKernels& kernels;
  const ChannelKernels& channels;
  const torch::Tensor weight;  // out x in x rows x cols
  std::vector<float> bias;     // up to whole vectors
  const Index out, in, rows, cols, stride, padding;
  const bool depthwise;

  Impl(const ConvKernels& kernels_, const ChannelKernels& channels_, torch::Tensor weight_,
       Index stride_, Index padding_, bool depthwise_)
      : kernels(kernels_),
        channels(channels_),
        weight(std::move(weight_)),
        out(weight.size(0)),
        in(depthwise_ ? out : weight.size(1)),
        rows(weight.size(2)),
        cols(weight.size(3)),
        stride(stride_),
        padding(padding_),
        depthwise(depthwise_) {}

  mutable std::once_flag direct_once, points_once;
  mutable torch::Tensor direct, points;  // packed when first needed

  Index block() const { return kernels.block; }
  Index blocks() const { return up(out, block()) / block(); }
  // Output channels up to whole vectors: all blocks but the last are whole.
  Index padded_out() const { return up(out, kernels.lanes); }
  Index padded_width(Index b) const { return std::min(block(), padded_out() - b * block()); }

  // Below so few tiles the transformed filters, four times as large, cost more than the products they save.
  static constexpr Index kLeastTiles = 8;
  bool winograd(Index out_rows, Index out_cols, Index n) const {
    return suits_winograd(weight, stride) &&
           n * up(out_rows, kTileOut) / kTileOut * (up(out_cols, kTileOut) / kTileOut) >=
               kLeastTiles;
  }
  // Along one axis of that length; `window` is `rows` or `cols`. Not above zero: the filter is larger than the picture.
  Index outputs(Index length, Index window) const {
    const Index room = length + 2 * padding - window;
    return room < 0 ? 0 : room / stride + 1;
  }

  // Where rows are made by one convolution and used up by the next step, each thread makes those beside its share too: at most
  // one more in so many.
  static constexpr Index kLeastShare = 10;

  static Index up(Index n, Index step) { return (n + step - 1) / step * step; }
  // Memory for one call: a thread that kept it would keep the largest it ever needed.
  static torch::Tensor scratch(Index count) { return torch::empty({count}, torch::kFloat32); }

  // [block][row][col][in][block's channel], and [row][col][channel] where each channel has its own filter.
  const float* direct_weights() const;
  // [point][block][in][block's channel]
  const float* point_weights() const;

  // The pictures with zeros around them and their channels together.
  torch::Tensor padded(const torch::Tensor& x) const;
  // Every output pixel as a product of its window with the weights.
  void run_direct(const torch::Tensor& x, const Output& y, const float* scale,
                  const float* shift) const;
  // Products with one block of weights, but for what the caller adds.
  ProductRows rows_of(Index b, Index count) const;
  // The pixels of a chunk with one block of weights. `base` >= 0: the inputs begin with that pixel's.
  void multiply_pixels(const Plane& from, Index base, Index begin, Index end, const float* weights,
                       Index b, const Output& y, std::vector<const float*>& windows) const;
  // Every channel with its own filter.
  void run_depthwise(const torch::Tensor& x, const Output& y) const;

  void run_winograd(const torch::Tensor& x, const Output& y) const;

  // Pictures, their tiles and what is made of them.
  struct Tiles {
    const float* from;
    Index h, w;
    Output to;
    Index down, across;
    const float* weights;
  };
  // `values`: room for the transformed inputs, the products, and the inputs of one tile.
  void winograd_chunk(const Tiles& all, Index first, Index last, float* values) const;

  // The outputs of convolutions whose windows begin there, each to its place; `add` holds all outputs' summands in turn, or is
  // null.
  void multiply_to(const std::vector<const float*>& windows, Index run_step,
                   const std::vector<float*>& places, float low, float high,
                   const float* add = nullptr) const;
  // The pictures as `run_direct` reads them; `held` keeps them where they had to be copied.
  Plane plane_of(const torch::Tensor& x, torch::Tensor& held) const;
  // Whether so many pooled rows may be made one by one, with all weights for each: these stay in the first cache or close to it,
  // and threads make few rows twice.
  bool by_rows(Index outputs, const PoolWindow& window) const;
  // `run_direct` with a pool behind it, whose rows are made as soon as those that they see are there.
  torch::Tensor run_pooled(const torch::Tensor& x, const Output& y, const PoolWindow& window) const;

  // An inverted residual's three convolutions and what they are computed from.
  struct Block;
  static void run_block(const Block& block, Index first, Index last);
};

}  // namespace fastcpp::models
