#include "fastcpp/kernels/packed_conv.hpp"

#include <ATen/Parallel.h>
#include <torch/types.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <mutex>
#include <utility>
#include <vector>

#include "kernels/channel_kernels.hpp"
#include "kernels/conv_kernels.hpp"
#include "kernels/product_rows.hpp"

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

// What inputs of so many bytes are multiplied with all weights before the next ones: they stay in the second cache meanwhile.
constexpr Index kChunkBytes = 256 << 10;
constexpr Index kLeastChunk = 48;  // pixels; the weights come from farther away the fewer there are

// Memory for one call: a thread that kept it would keep the largest it ever needed.
Tensor scratch(Index count) {
  return torch::empty({count}, torch::kFloat32);
}

}  // namespace

struct PackedConv::Impl {
  const ConvKernels& kernels;
  const ChannelKernels& channels;
  const Tensor weight;      // out x in x rows x cols
  std::vector<float> bias;  // up to whole vectors
  const Index out, in, rows, cols, stride, padding;
  const bool depthwise;

  Impl(const ConvKernels& kernels_, const ChannelKernels& channels_, Tensor weight_, Index stride_,
       Index padding_, bool depthwise_)
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
  mutable Tensor direct, points;  // packed when first needed

  Index block() const { return kernels.block; }
  Index blocks() const { return up(out, block()) / block(); }
  // Output channels up to whole vectors: all blocks but the last are whole.
  Index padded_out() const { return up(out, kernels.lanes); }
  Index padded_width(Index b) const { return std::min(block(), padded_out() - b * block()); }

  bool winograd(Index out_rows, Index out_cols, Index n) const {
    return suits_winograd(weight, stride) &&
           n * up(out_rows, kTileOut) / kTileOut * (up(out_cols, kTileOut) / kTileOut) >=
               kLeastTiles;
  }

  // [block][row][col][in][block's channel], and [row][col][channel] where each channel has its own filter.
  const float* direct_weights() const {
    std::call_once(direct_once, [&] {
      const auto plain = weight.permute({0, 2, 3, 1}).contiguous();
      const Index depth = plain.numel() / out;
      if (depthwise) {
        direct = plain.view({out, depth}).t().contiguous();
        return;
      }
      direct = torch::empty({depth * padded_out()}, torch::kFloat32);
      const float* const from = plain.data_ptr<float>();
      float* const to = direct.data_ptr<float>();
      at::parallel_for(0, blocks(), 1, [&](Index first, Index last) {
        for (Index b = first; b < last; ++b) {
          const Index width = padded_width(b), real = std::min(width, out - b * block());
          float* const mine = to + b * block() * depth;
          for (Index k = 0; k < depth; ++k) {
            for (Index c = 0; c < real; ++c) {
              mine[k * width + c] = from[(b * block() + c) * depth + k];
            }
            std::fill(mine + k * width + real, mine + (k + 1) * width, 0.0f);
          }
        }
      });
    });
    return direct.data_ptr<float>();
  }

  // [point][block][in][block's channel]
  const float* point_weights() const {
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

  // The pictures with zeros around them and their channels together.
  Tensor padded(const Tensor& x) const {
    const Index n = x.size(0), h = x.size(2), w = x.size(3);
    const Index all_rows = h + 2 * padding, line = (w + 2 * padding) * in;
    const auto* from = x.data_ptr<float>();
    const bool together = x.is_contiguous(torch::MemoryFormat::ChannelsLast);
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
        float* const inner = to + padding * in;
        if (together) {
          std::memcpy(inner, from + (r / all_rows * h + y) * w * in,
                      static_cast<std::size_t>(w * in) * sizeof(float));
        } else {
          for (Index c = 0; c < in; ++c) {
            const float* row =
                from + r / all_rows * x.stride(0) + c * x.stride(1) + y * x.stride(2);
            for (Index at = 0; at < w; ++at) inner[at * in + c] = row[at * x.stride(3)];
          }
        }
        std::fill(to + (padding + w) * in, to + line, 0.0f);
      }
    });
    return result;
  }

  // Every output pixel as a product of its window with the weights.
  void run_direct(const Tensor& x, const Output& y, const float* scale, const float* shift) const {
    Tensor held;
    Plane picture{x.data_ptr<float>(), x.size(2), x.size(3) * x.size(1), x.size(1)};
    if (padding > 0) {
      held = padded(x);
      picture = {held.data_ptr<float>(), x.size(2) + 2 * padding, (x.size(3) + 2 * padding) * in,
                 in};
    }
    const float* weights = direct_weights();
    const Index pixels = y.n * y.h * y.w, depth = rows * cols * in;
    const Index seen = in * std::min(stride, rows) * std::min(stride, cols);
    const Index most = std::max<Index>(kChunkBytes / (seen * Index{sizeof(float)}), kLeastChunk);
    const Index chunks = (pixels + most - 1) / most;
    // Neighbours in this order share their inputs.
    at::parallel_for(0, chunks * blocks(), 1, [&](Index first, Index last) {
      Tensor room;
      Index in_room = -1;
      std::vector<const float*> windows;
      for (Index item = first; item < last; ++item) {
        const Index chunk = item / blocks(), b = item % blocks();
        const Index begin = chunk * pixels / chunks, end = (chunk + 1) * pixels / chunks;
        Plane from = picture;
        if (scale) {
          if (!room.defined()) room = scratch((most + 1) * in);
          if (in_room != chunk) {
            channels.activate({.in = picture.data + begin * picture.pixel,
                               .in_pixel = picture.pixel,
                               .pixels = end - begin,
                               .channels = in,
                               .scale = scale,
                               .shift = shift,
                               .out = room.data_ptr<float>()});
            in_room = chunk;
          }
          from = {room.data_ptr<float>(), 0, 0, in};
        }
        multiply_pixels(from, scale ? begin : -1, begin, end, weights + b * block() * depth, b, y,
                        windows);
      }
    });
  }

  // Products with one block of weights, but for what the caller adds.
  ProductRows rows_of(Index b, Index count) const {
    return {.count = count,
            .most_rows = kernels.rows[padded_width(b) / kernels.lanes - 1],
            .padded = padded_width(b),
            .width = std::min(block(), out - b * block()),
            .runs = 1,
            .run_step = 0,
            .depth = in,
            .weights = nullptr,
            .bias = nullptr,
            .low = -std::numeric_limits<float>::infinity(),
            .high = std::numeric_limits<float>::infinity()};
  }

  // The pixels of a chunk with one block of weights. `base` >= 0: the inputs begin with that pixel's.
  void multiply_pixels(const Plane& from, Index base, Index begin, Index end, const float* weights,
                       Index b, const Output& y, std::vector<const float*>& windows) const {
    windows.resize(static_cast<std::size_t>(end - begin));
    const bool one_by_one = rows == 1 && cols == 1 && stride == 1 && padding == 0;
    Index image = begin / (y.h * y.w), row = begin % (y.h * y.w) / y.w, col = begin % y.w;
    for (auto& window : windows) {
      const Index pixel = begin + (&window - windows.data());
      if (base >= 0) {
        window = from.data + (pixel - base) * from.pixel;
      } else if (one_by_one) {
        window = from.data + pixel * from.pixel;
      } else {
        window =
            from.data + (image * from.rows + row * stride) * from.line + col * stride * from.pixel;
        if (++col == y.w) {
          col = 0;
          if (++row == y.h) {
            row = 0;
            ++image;
          }
        }
      }
    }
    auto products = rows_of(b, end - begin);
    products.runs = rows;
    products.run_step = from.line;
    products.depth = cols * in;
    products.weights = weights;
    products.bias = &bias[static_cast<std::size_t>(b * block())];
    products.low = y.low;
    products.high = y.high;
    multiply_rows(
        kernels, products, [&](Index i) { return windows[static_cast<std::size_t>(i)]; },
        [&](Index i) { return y.data + (begin + i) * y.pixel + b * block(); },
        [&](Index i) { return y.add ? y.add + (begin + i) * y.add_pixel + b * block() : nullptr; });
  }

  // Every channel with its own filter.
  void run_depthwise(const Tensor& x, const Output& y) const {
    const float* const from = x.data_ptr<float>();
    const float* const weights = direct_weights();
    const Index h = x.size(2), w = x.size(3);
    at::parallel_for(0, y.n * y.h, 4, [&](Index first, Index last) {
      std::vector<const float*> seen(static_cast<std::size_t>(rows));
      for (Index r = first; r < last; ++r) {
        const Index top = r % y.h * stride - padding;
        for (Index i = 0; i < rows; ++i) {
          const bool inside = top + i >= 0 && top + i < h;
          seen[static_cast<std::size_t>(i)] =
              inside ? from + (r / y.h * h + top + i) * w * in : nullptr;
        }
        channels.depthwise({.in = seen.data(),
                            .width = w,
                            .channels = in,
                            .weights = weights,
                            .bias = bias.data(),
                            .out = y.data + r * y.w * y.pixel,
                            .out_pixel = y.pixel,
                            .out_width = y.w,
                            .rows = static_cast<int>(rows),
                            .cols = static_cast<int>(cols),
                            .stride = stride,
                            .padding = padding,
                            .low = y.low,
                            .high = y.high});
      }
    });
  }

  void run_winograd(const Tensor& x, const Output& y) const {
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

  // Pictures, their tiles and what is made of them.
  struct Tiles {
    const float* from;
    Index h, w;
    Output to;
    Index down, across;
    const float* weights;
  };

  // The inputs of the tile in that row and column of the outputs; copied to `edge`, with zeros around, where the tile
  // reaches beyond its picture.
  TileIn tile_in(const Tiles& t, Index image, Index row, Index col, float* edge) const {
    const Index top = row - padding, left = col - padding;
    const float* const picture = t.from + image * t.h * t.w * in;
    TileIn tile{
        .in = edge, .pixel = in, .line = kTileIn * in, .channels = in, .out = nullptr, .plane = 0};
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
    const Index count = last - first, out_all = padded_out();
    const auto& [from, h, w, to, down, across, weights] = all;
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
};

bool PackedConv::suits_winograd(const Tensor& weight, std::int64_t stride) {
  return weight.size(2) == 3 && weight.size(3) == 3 && stride == 1 && weight.size(1) >= 16;
}

PackedConv::PackedConv(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PackedConv::~PackedConv() = default;

std::shared_ptr<const PackedConv> PackedConv::make(const Tensor& weight, const Tensor& bias,
                                                   std::int64_t stride, std::int64_t padding,
                                                   std::int64_t groups) {
  const auto* kernels = conv_kernels();
  const auto* channels = channel_kernels();
  const auto plain = [](const Tensor& t) {
    return t.device().is_cpu() && t.scalar_type() == torch::kFloat32 &&
           t.layout() == torch::kStrided;
  };
  if (!kernels || !channels || !plain(weight) || weight.dim() != 4 || weight.numel() == 0) {
    return nullptr;
  }
  if (bias.defined() && (!plain(bias) || bias.numel() != weight.size(0))) return nullptr;
  const bool depthwise = groups != 1;
  if (depthwise && (groups != weight.size(0) || weight.size(1) != 1)) return nullptr;
  auto impl = std::unique_ptr<Impl>(
      new Impl(*kernels, *channels, weight.detach(), stride, padding, depthwise));
  impl->bias.assign(static_cast<std::size_t>(impl->padded_out()), 0.0f);
  if (bias.defined()) {
    const auto values = bias.detach().contiguous();
    std::copy_n(values.data_ptr<float>(), values.numel(), impl->bias.begin());
  }
  return std::shared_ptr<const PackedConv>(new PackedConv(std::move(impl)));
}

Tensor PackedConv::run(const Tensor& x, const ConvExtras& extras) const {
  const auto& c = *impl_;
  constexpr auto kTogether = torch::MemoryFormat::ChannelsLast;
  const bool activated = extras.scale.defined();
  TORCH_CHECK(x.dim() == 4 && (activated ? x.size(1) >= c.in : x.size(1) == c.in) &&
                  x.scalar_type() == torch::kFloat32 && x.device().is_cpu(),
              "expected float32 pictures with ", c.in, " channels on the CPU, found ", x.sizes(),
              " of type ", x.scalar_type(), " on ", x.device());
  TORCH_CHECK(!activated || (c.rows == 1 && c.cols == 1 && c.stride == 1 && c.padding == 0 &&
                             !c.depthwise && extras.scale.numel() == c.in &&
                             extras.shift.defined() && extras.shift.numel() == c.in),
              "only convolutions of 1 x 1 change their inputs first, by as many numbers as there "
              "are channels");
  const Index oh = (x.size(2) + 2 * c.padding - c.rows) / c.stride + 1;
  const Index ow = (x.size(3) + 2 * c.padding - c.cols) / c.stride + 1;
  TORCH_CHECK(x.size(2) + 2 * c.padding >= c.rows && x.size(3) + 2 * c.padding >= c.cols,
              "pictures of ", x.size(2), " x ", x.size(3), " are smaller than the filter of ",
              c.rows, " x ", c.cols);
  const bool winograd = !c.depthwise && c.winograd(oh, ow, x.size(0));
  // Strides of one picture or one channel do not say how memory is ordered; then a copy decides. Pictures of few colours are
  // put in order while zeros are put around them.
  const bool any_order = !c.depthwise && !winograd && c.padding > 0 && c.in <= 4;
  const auto in = any_order ? x : x.contiguous(kTogether);
  auto y = extras.into;
  if (!y.defined()) {
    y = torch::empty({x.size(0), c.out, oh, ow}, x.options(), kTogether);
  } else {
    TORCH_CHECK(y.dim() == 4 && y.size(0) == x.size(0) && y.size(2) == oh && y.size(3) == ow &&
                    extras.first >= 0 && extras.first + c.out <= y.size(1) &&
                    y.scalar_type() == torch::kFloat32 && y.is_contiguous(kTogether),
                "no room for ", c.out, " channels of ", oh, " x ", ow, " in ", y.sizes());
  }
  Tensor sum;
  if (extras.add.defined()) {
    TORCH_CHECK(extras.add.dim() == 4 && extras.add.size(0) == x.size(0) &&
                    extras.add.size(1) == c.out && extras.add.size(2) == oh &&
                    extras.add.size(3) == ow,
                "cannot add ", extras.add.sizes(), " to ", c.out, " channels of ", oh, " x ", ow);
    sum = extras.add.contiguous(kTogether);
  }
  constexpr float kAll = std::numeric_limits<float>::infinity();
  const Output output{.data = y.data_ptr<float>() + extras.first,
                      .n = x.size(0),
                      .h = oh,
                      .w = ow,
                      .pixel = y.size(1),
                      .add = sum.defined() ? sum.data_ptr<float>() : nullptr,
                      .add_pixel = c.out,
                      .low = extras.activation == Activation::kNone ? -kAll : 0.0f,
                      .high = extras.activation == Activation::kRelu6 ? 6.0f : kAll};
  if (c.depthwise) {
    TORCH_CHECK(!sum.defined(), "nothing can be added to channels that are filtered one by one");
    c.run_depthwise(in, output);
  } else if (winograd) {
    c.run_winograd(in, output);
  } else {
    const auto scale = activated ? extras.scale.contiguous() : Tensor();
    const auto shift = activated ? extras.shift.contiguous() : Tensor();
    c.run_direct(in, output, activated ? scale.data_ptr<float>() : nullptr,
                 activated ? shift.data_ptr<float>() : nullptr);
  }
  return y;
}

}  // namespace fastcpp::models
