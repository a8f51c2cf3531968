#include "fastcpp/kernels/packed_conv.hpp"

#include <ATen/Parallel.h>
#include <torch/types.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "kernels/packed_conv_impl.hpp"

namespace fastcpp::inline v0::models {
using torch::Tensor;

namespace {

using Index = std::int64_t;

// What inputs of so many bytes are multiplied with all weights before the next ones: they stay in the second cache meanwhile.
constexpr Index kChunkBytes = 256 << 10;
constexpr Index kLeastChunk = 48;  // pixels; the weights come from farther away the fewer there are
constexpr Index kRowWeightBytes = 64 << 10;  // that may be read again for every row of outputs

}  // namespace

const float* PackedConv::Impl::direct_weights() const {
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

Tensor PackedConv::Impl::padded(const Tensor& x) const {
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
          const float* row = from + r / all_rows * x.stride(0) + c * x.stride(1) + y * x.stride(2);
          for (Index at = 0; at < w; ++at) inner[at * in + c] = row[at * x.stride(3)];
        }
      }
      std::fill(to + (padding + w) * in, to + line, 0.0f);
    }
  });
  return result;
}

Plane PackedConv::Impl::plane_of(const Tensor& x, Tensor& held) const {
  if (padding == 0) return {x.data_ptr<float>(), x.size(2), x.size(3) * x.size(1), x.size(1)};
  held = padded(x);
  return {held.data_ptr<float>(), x.size(2) + 2 * padding, (x.size(3) + 2 * padding) * in, in};
}

void PackedConv::Impl::run_direct(const Tensor& x, const Output& y, const float* scale,
                                  const float* shift) const {
  Tensor held;
  const auto picture = plane_of(x, held);
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

ProductRows PackedConv::Impl::rows_of(Index b, Index count) const {
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

void PackedConv::Impl::multiply_pixels(const Plane& from, Index base, Index begin, Index end,
                                       const float* weights, Index b, const Output& y,
                                       std::vector<const float*>& windows) const {
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

void PackedConv::Impl::multiply_to(const std::vector<const float*>& windows, Index run_step,
                                   const std::vector<float*>& places, float low, float high,
                                   const float* add) const {
  const Index depth = cols * in;
  for (Index b = 0; b < blocks(); ++b) {
    const Index from = b * block();
    auto products = rows_of(b, static_cast<Index>(windows.size()));
    products.runs = rows;
    products.run_step = run_step;
    products.depth = depth;
    products.weights = direct_weights() + from * rows * depth;
    products.bias = &bias[static_cast<std::size_t>(from)];
    products.low = low;
    products.high = high;
    multiply_rows(
        kernels, products, [&](Index i) { return windows[static_cast<std::size_t>(i)]; },
        [&](Index i) { return places[static_cast<std::size_t>(i)] + from; },
        [&](Index i) { return add ? add + i * out + from : nullptr; });
  }
}

bool PackedConv::Impl::by_rows(Index outputs, const PoolWindow& window) const {
  const Index threads = at::get_num_threads(), share = (outputs + threads - 1) / threads;
  return rows * cols * in * padded_out() * Index{sizeof(float)} <= kRowWeightBytes &&
         (threads == 1 || share * window.stride >= kLeastShare * (window.size - window.stride));
}

Tensor PackedConv::Impl::run_pooled(const Tensor& x, const Output& y,
                                    const PoolWindow& window) const {
  const Index oh = window.outputs(y.h), ow = window.outputs(y.w), line = y.w * out;
  TORCH_CHECK(oh > 0 && ow > 0, "outputs of ", y.h, " x ", y.w, " do not fit a pool of ",
              window.size);
  Tensor held;
  const auto picture = plane_of(x, held);
  auto result = torch::empty({y.n, out, oh, ow}, x.options(), torch::MemoryFormat::ChannelsLast);
  float* const to = result.data_ptr<float>();
  const Index size = std::min(window.size, y.h);
  const Index threads = at::get_num_threads(), share = (y.n * oh + threads - 1) / threads;
  direct_weights();  // packed by this thread: those of a shared pool would wait for each other
  at::parallel_for(0, y.n * oh, share, [&](Index first, Index last) {
    const Tensor room = scratch(size * line);
    float* const made = room.data_ptr<float>();  // row r of the outputs stands in place r % size
    std::vector<const float*> windows(static_cast<std::size_t>(y.w)), seen;
    std::vector<float*> places(windows.size());
    Index ready = 0, image = -1;  // rows of this image before `ready` were made
    for (Index r = first; r < last; ++r) {
      const Index top = r % oh * window.stride - window.padding;
      const Index begin = std::max<Index>(top, 0), end = std::min(top + window.size, y.h);
      if (image != r / oh) ready = 0;
      image = r / oh;
      for (Index row = std::max(ready, begin); row < end; ++row) {
        const float* const from =
            picture.data + (image * picture.rows + row * stride) * picture.line;
        for (Index col = 0; col < y.w; ++col) {
          windows[static_cast<std::size_t>(col)] = from + col * stride * picture.pixel;
          places[static_cast<std::size_t>(col)] = made + row % size * line + col * out;
        }
        multiply_to(windows, picture.line, places, y.low, y.high);
      }
      ready = std::max(ready, end);
      seen.clear();
      for (Index row = begin; row < end; ++row) seen.push_back(made + row % size * line);
      channels.max_pool({.in = seen.data(),
                         .width = y.w,
                         .channels = out,
                         .out = to + r * ow * out,
                         .out_width = ow,
                         .rows = static_cast<int>(seen.size()),
                         .cols = static_cast<int>(window.size),
                         .stride = window.stride,
                         .padding = window.padding});
    }
  });
  return result;
}

void PackedConv::Impl::run_depthwise(const Tensor& x, const Output& y) const {
  const float* const from = x.data_ptr<float>();
  const float* const weights = direct_weights();
  const Index h = x.size(2), w = x.size(3);
  const std::vector<float> outside(padding > 0 ? static_cast<std::size_t>(w * in) : 0);
  at::parallel_for(0, y.n * y.h, 4, [&](Index first, Index last) {
    std::vector<const float*> seen(static_cast<std::size_t>(rows));
    for (Index r = first; r < last; ++r) {
      const Index top = r % y.h * stride - padding;
      for (Index i = 0; i < rows; ++i) {
        const bool inside = top + i >= 0 && top + i < h;
        seen[static_cast<std::size_t>(i)] =
            inside ? from + (r / y.h * h + top + i) * w * in : outside.data();
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
  const Index oh = c.outputs(x.size(2), c.rows), ow = c.outputs(x.size(3), c.cols);
  TORCH_CHECK(oh > 0 && ow > 0, "pictures of ", x.size(2), " x ", x.size(3),
              " are smaller than the filter of ", c.rows, " x ", c.cols);
  const bool winograd = !c.depthwise && c.winograd(oh, ow, x.size(0));
  // Strides of one picture or one channel do not say how memory is ordered; then a copy decides. Pictures of few colours are
  // put in order while zeros are put around them.
  const bool any_order = !c.depthwise && !winograd && c.padding > 0 && c.in <= 4;
  if (extras.pool &&
      (c.depthwise || winograd || !c.by_rows(x.size(0) * extras.pool->outputs(oh), *extras.pool) ||
       activated || extras.add.defined() || extras.into.defined())) {
    TORCH_CHECK(!extras.into.defined(), "what is pooled has no room of its own");
    auto whole = extras;
    whole.pool.reset();
    return max_pool(run(x, whole), *extras.pool);
  }
  const auto in = any_order ? x : x.contiguous(kTogether);
  constexpr float kAll = std::numeric_limits<float>::infinity();
  Output output{.data = nullptr,
                .n = x.size(0),
                .h = oh,
                .w = ow,
                .pixel = c.out,
                .add = nullptr,
                .add_pixel = c.out,
                .low = extras.activation == Activation::kNone ? -kAll : 0.0f,
                .high = extras.activation == Activation::kRelu6 ? 6.0f : kAll};
  if (extras.pool) return c.run_pooled(in, output, *extras.pool);
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
  output.data = y.data_ptr<float>() + extras.first;
  output.pixel = y.size(1);
  output.add = sum.defined() ? sum.data_ptr<float>() : nullptr;
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
