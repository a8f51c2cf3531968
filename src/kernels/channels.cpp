#include "fastcpp/kernels/channels.hpp"

#include <ATen/Parallel.h>
#include <torch/types.h>

#include <algorithm>
#include <vector>

#include "kernels/channel_kernels.hpp"

namespace fastcpp::inline v0::models {
using torch::Tensor;

namespace {

constexpr auto kChannelsTogether = torch::MemoryFormat::ChannelsLast;

const ChannelKernels& kernels_for(const Tensor& x, std::int64_t dimensions) {
  const auto* const found = channel_kernels();
  TORCH_CHECK(found, "this processor has no kernels for channels");
  TORCH_CHECK(x.dim() == dimensions && x.scalar_type() == torch::kFloat32 && x.device().is_cpu(),
              "expected a float32 tensor of ", dimensions, " dimensions on the CPU, found ",
              x.sizes(), " of type ", x.scalar_type(), " on ", x.device());
  return *found;
}

}  // namespace

bool has_channel_kernels() {
  return channel_kernels() != nullptr;
}

std::int64_t PoolWindow::outputs(std::int64_t side) const {
  const auto room = side + 2 * padding - size;
  if (size < 1 || stride < 1 || padding < 0 || 2 * padding > size) return 0;
  const auto steps = room + (ceil_mode ? stride - 1 : 0);
  if (steps < 0) return 0;
  const auto count = steps / stride + 1;
  // The last window begins within the picture or the padding before it.
  return ceil_mode && (count - 1) * stride >= side + padding ? count - 1 : count;
}

Tensor max_pool(const Tensor& x, const PoolWindow& window) {
  const auto& kernels = kernels_for(x, 4);
  const auto n = x.size(0), c = x.size(1), h = x.size(2), w = x.size(3);
  const auto oh = window.outputs(h), ow = window.outputs(w);
  TORCH_CHECK(oh > 0 && ow > 0, "pictures of ", h, " x ", w, " do not fit a pool of ", window.size);
  const auto in = x.contiguous(kChannelsTogether);
  auto y = torch::empty({n, c, oh, ow}, x.options(), kChannelsTogether);
  const float* const from = in.data_ptr<float>();
  float* const to = y.data_ptr<float>();
  at::parallel_for(0, n * oh, 4, [&](std::int64_t first, std::int64_t last) {
    std::vector<const float*> seen;
    for (auto r = first; r < last; ++r) {
      const auto top = r % oh * window.stride - window.padding;
      const auto begin = std::max<std::int64_t>(top, 0), end = std::min(top + window.size, h);
      seen.clear();
      for (auto row = begin; row < end; ++row) seen.push_back(from + (r / oh * h + row) * w * c);
      kernels.max_pool({.in = seen.data(),
                        .width = w,
                        .channels = c,
                        .out = to + r * ow * c,
                        .out_width = ow,
                        .rows = static_cast<int>(end - begin),
                        .cols = static_cast<int>(window.size),
                        .stride = window.stride,
                        .padding = window.padding});
    }
  });
  return y;
}

Tensor activate_and_pool(const Tensor& x, const Tensor& scale, const Tensor& shift) {
  const auto& kernels = kernels_for(x, 4);
  const auto n = x.size(0), c = x.size(1), h = x.size(2), w = x.size(3);
  TORCH_CHECK(h >= 2 && w >= 2 && scale.numel() == c && shift.numel() == c, "pictures of ",
              x.sizes(), " do not fit ", scale.numel(), " factors and pools of 2 x 2");
  const auto in = x.contiguous(kChannelsTogether);
  const auto factors = scale.contiguous(), more = shift.contiguous();
  const auto oh = h / 2, ow = w / 2;
  auto y = torch::empty({n, c, oh, ow}, x.options(), kChannelsTogether);
  const float* const from = in.data_ptr<float>();
  float* const to = y.data_ptr<float>();
  at::parallel_for(0, n * oh, 4, [&](std::int64_t first, std::int64_t last) {
    for (auto r = first; r < last; ++r) {
      kernels.activate_pool({.in = from + (r / oh * h + r % oh * 2) * w * c,
                             .line = w * c,
                             .channels = c,
                             .pixels = ow,
                             .scale = factors.data_ptr<float>(),
                             .shift = more.data_ptr<float>(),
                             .out = to + r * ow * c});
    }
  });
  return y;
}

Tensor linear_of_few(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const auto& kernels = kernels_for(x, 2);
  TORCH_CHECK(weight.dim() == 2 && weight.size(1) == x.size(1) && weight.is_contiguous() &&
                  weight.scalar_type() == torch::kFloat32,
              "weights of ", weight.sizes(), " do not fit ", x.sizes());
  TORCH_CHECK(!bias.defined() || (bias.numel() == weight.size(0) && bias.is_contiguous()),
              "the bias does not fit weights of ", weight.sizes());
  const auto in = x.contiguous();
  const auto items = in.size(0), depth = in.size(1), out = weight.size(0);
  auto y = torch::empty({items, out}, x.options());
  const auto blocks = (out + Dots::kRows - 1) / Dots::kRows;
  at::parallel_for(0, blocks, 8, [&](std::int64_t first, std::int64_t last) {
    for (auto b = first; b < last; ++b) {
      const auto row = b * Dots::kRows;
      Dots d{.in = nullptr,
             .weights = weight.data_ptr<float>() + row * depth,
             .depth = depth,
             .out_step = out,
             .bias = bias.defined() ? bias.data_ptr<float>() + row : nullptr,
             .out = nullptr,
             .rows = static_cast<int>(std::min<std::int64_t>(Dots::kRows, out - row)),
             .items = 0};
      for (std::int64_t i = 0; i < items; i += Dots::kItems) {
        d.in = in.data_ptr<float>() + i * depth;
        d.out = y.data_ptr<float>() + i * out + row;
        d.items = static_cast<int>(std::min<std::int64_t>(Dots::kItems, items - i));
        kernels.dots(d);
      }
    }
  });
  return y;
}

}  // namespace fastcpp::models
