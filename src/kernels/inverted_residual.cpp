// Blocks of MobileNetV2, a few rows at a time.
#include <ATen/Parallel.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "kernels/packed_conv_impl.hpp"

namespace fastcpp::inline v0::models {
using torch::Tensor;

namespace {

using Index = std::int64_t;

// About what is computed of the wide channels before it is narrowed again: it stays in the second cache.
constexpr Index kWideBytes = 192 << 10;
constexpr Index kLeastPixels = 48;  // at once; the weights are read again for each of these steps
constexpr float kRelu6 = 6.0f, kAll = std::numeric_limits<float>::infinity();

}  // namespace

// What the threads share.
struct PackedConv::Impl::Block {
  const Impl* const widen;  // null: the inputs are filtered as they are
  const Impl &filter, &narrow;
  const float* const x;
  const Index h, w;
  const Output y;

  Index channels() const { return filter.in; }
  // Zeros stand beside each widened row, so that the filter never reaches beyond it.
  Index border() const { return widen ? filter.padding : 0; }
  Index line() const { return (w + 2 * border()) * channels(); }
  Index rows_at_once() const {
    const Index a_row = (line() * filter.stride + y.w * channels()) * Index{sizeof(float)};
    return std::min(std::max(kWideBytes / a_row, (kLeastPixels + y.w - 1) / y.w), y.h);
  }
};

// Rows `first` to `last` - 1 of the outputs of all pictures.
void PackedConv::Impl::run_block(const Block& block, Index first, Index last) {
  const auto& [widen, filter, narrow, x, h, w, y] = block;
  const Index channels = block.channels(), line = block.line(), border = block.border();
  const Index step = std::min(block.rows_at_once(), last - first);
  const Index held = widen ? (step - 1) * filter.stride + filter.rows : 0;
  const Tensor room = scratch((held + 1) * line + step * y.w * channels);
  float* const wide = room.data_ptr<float>();  // row r of the picture stands in place r % held
  float* const outside = wide + held * line;
  float* const filtered = outside + line;
  std::fill_n(wide, (held + 1) * line, 0.0f);

  std::vector<const float*> seen(static_cast<std::size_t>(filter.rows));
  std::vector<const float*> windows;
  std::vector<float*> places;
  Index ready = 0, picture = -1;  // rows of this picture before `ready` were widened
  for (Index r = first; r < last;) {
    const Index row = r % y.h, count = std::min({step, last - r, y.h - row});
    const Index top = row * filter.stride - filter.padding;
    const Index bottom = std::min(top + (count - 1) * filter.stride + filter.rows, h);
    if (picture != r / y.h) ready = 0;
    picture = r / y.h;
    const float* const from = x + picture * h * w * (widen ? widen->in : channels);
    if (widen) {
      ready = std::max({ready, top, Index{0}});
      windows.clear();
      places.clear();
      for (Index wide_row = ready; wide_row < bottom; ++wide_row) {
        float* const place = wide + wide_row % held * line + border * channels;
        for (Index col = 0; col < w; ++col) {
          windows.push_back(from + (wide_row * w + col) * widen->in);
          places.push_back(place + col * channels);
        }
      }
      widen->multiply_to(windows, 0, places, 0.0f, kRelu6);
      ready = std::max(ready, bottom);
    }
    for (Index i = 0; i < count; ++i) {
      for (Index k = 0; k < filter.rows; ++k) {
        const Index at = top + i * filter.stride + k;
        const auto row_at = [&] { return widen ? wide + at % held * line : from + at * line; };
        seen[static_cast<std::size_t>(k)] = at >= 0 && at < h ? row_at() : outside;
      }
      filter.channels.depthwise({.in = seen.data(),
                                 .width = w + 2 * border,
                                 .channels = channels,
                                 .weights = filter.direct_weights(),
                                 .bias = filter.bias.data(),
                                 .out = filtered + i * y.w * channels,
                                 .out_pixel = channels,
                                 .out_width = y.w,
                                 .rows = static_cast<int>(filter.rows),
                                 .cols = static_cast<int>(filter.cols),
                                 .stride = filter.stride,
                                 .padding = filter.padding - border,
                                 .low = 0.0f,
                                 .high = kRelu6});
    }
    windows.clear();
    places.clear();
    const Index begin = r * y.w, end = (r + count) * y.w;
    for (Index pixel = begin; pixel < end; ++pixel) {
      windows.push_back(filtered + (pixel - begin) * channels);
      places.push_back(y.data + pixel * y.pixel);
    }
    narrow.multiply_to(windows, 0, places, -kAll, kAll,
                       y.add ? y.add + begin * y.add_pixel : nullptr);
    r += count;
  }
}

bool PackedConv::is_inverted_residual(const PackedConv* widen, const PackedConv& filter,
                                      const PackedConv& narrow, const Tensor& x) {
  const Impl* const first = widen ? widen->impl_.get() : nullptr;
  const Impl &second = *filter.impl_, &third = *narrow.impl_;
  const auto one_by_one = [](const Impl& c) {
    return c.rows == 1 && c.cols == 1 && c.stride == 1 && c.padding == 0 && !c.depthwise;
  };
  return second.depthwise && one_by_one(third) && third.in == second.out &&
         (!first || (one_by_one(*first) && first->out == second.in)) && x.dim() == 4 &&
         x.size(1) == (first ? *first : second).in && x.scalar_type() == torch::kFloat32 &&
         x.device().is_cpu() && second.outputs(x.size(2), second.rows) > 0 &&
         second.outputs(x.size(3), second.cols) > 0;
}

Tensor PackedConv::inverted_residual(const PackedConv* widen, const PackedConv& filter,
                                     const PackedConv& narrow, const Tensor& x,
                                     const Tensor& shortcut) {
  constexpr auto kTogether = torch::MemoryFormat::ChannelsLast;
  TORCH_CHECK(is_inverted_residual(widen, filter, narrow, x),
              "expected convolutions that widen by 1 x 1, filter each channel and narrow by 1 x 1, "
              "and float32 pictures on the CPU that fit them, found ",
              x.sizes(), " of type ", x.scalar_type(), " on ", x.device());
  const Impl &second = *filter.impl_, &third = *narrow.impl_;
  const Index n = x.size(0), oh = second.outputs(x.size(2), second.rows),
              ow = second.outputs(x.size(3), second.cols);
  TORCH_CHECK(!shortcut.defined() || shortcut.sizes() == at::IntArrayRef({n, third.out, oh, ow}),
              "cannot add ", shortcut.sizes(), " to ", third.out, " channels of ", oh, " x ", ow);
  // Each convolution as a whole where the threads would compute too much twice: the wide rows at the ends of their shares.
  const Index threads = at::get_num_threads(), share = (n * oh + threads - 1) / threads;
  if (widen && threads > 1 &&
      share * second.stride < Impl::kLeastShare * (second.rows - second.stride)) {
    const auto wide = widen->run(x, {.activation = Activation::kRelu6});
    return narrow.run(filter.run(wide, {.activation = Activation::kRelu6}), shortcut);
  }
  const auto in = x.contiguous(kTogether);
  const auto sum = shortcut.defined() ? shortcut.contiguous(kTogether) : Tensor();
  auto y = torch::empty({n, third.out, oh, ow}, x.options(), kTogether);
  const Impl::Block block{.widen = widen ? widen->impl_.get() : nullptr,
                          .filter = second,
                          .narrow = third,
                          .x = in.data_ptr<float>(),
                          .h = in.size(2),
                          .w = in.size(3),
                          .y = {.data = y.data_ptr<float>(),
                                .n = n,
                                .h = oh,
                                .w = ow,
                                .pixel = third.out,
                                .add = sum.defined() ? sum.data_ptr<float>() : nullptr,
                                .add_pixel = third.out,
                                .low = -kAll,
                                .high = kAll}};
  // Packed by this thread: those of a shared pool would wait for each other.
  for (const auto* c : {widen, &filter, &narrow}) {
    if (c) c->impl_->direct_weights();
  }
  at::parallel_for(0, n * oh, share,
                   [&](Index begin, Index end) { Impl::run_block(block, begin, end); });
  return y;
}

}  // namespace fastcpp::models
