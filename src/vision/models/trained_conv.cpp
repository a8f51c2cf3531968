#include "vision/models/trained_conv.hpp"

#include <ATen/ops/convolution_backward.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <array>
#include <tuple>

#include "fastcpp/kernels/channels.hpp"
#include "fastcpp/kernels/packed_conv.hpp"

namespace fastcpp::inline v0::models {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using Variables = torch::autograd::variable_list;

// Transformed filters of more bytes than these are made part by part: what is larger comes from the system in each step anew,
// page by page, which takes longer than to transform the inputs once more.
constexpr std::int64_t kMostBytes = 24 << 20, kBytesPerWeight = 16;
constexpr std::int64_t kBlock = 64;  // a multiple of what the kernels make at once

Tensor convolve(const Tensor& x, const Tensor& weight, const Tensor& bias, std::int64_t padding) {
  const auto out = weight.size(0);
  const auto parts = (weight.numel() * kBytesPerWeight + kMostBytes - 1) / kMostBytes;
  const auto most = ((out + parts - 1) / parts + kBlock - 1) / kBlock * kBlock;
  if (most >= out) return PackedConv::make(weight, bias, 1, padding)->run(x);
  const auto in = x.contiguous(torch::MemoryFormat::ChannelsLast);
  const auto smaller = weight.size(2) - 1 - 2 * padding;
  const auto y = torch::empty({x.size(0), out, x.size(2) - smaller, x.size(3) - smaller},
                              x.options(), torch::MemoryFormat::ChannelsLast);
  for (std::int64_t first = 0; first < out; first += most) {
    const auto count = std::min(most, out - first);
    PackedConv::make(weight.narrow(0, first, count),
                     bias.defined() ? bias.narrow(0, first, count) : bias, 1, padding)
        ->run(in, {.into = y, .first = first});
  }
  return y;
}

// Of x: a convolution of the output's gradient with the filters turned round, inputs and outputs exchanged.
Tensor gradient_of_input(const Tensor& dy, const Tensor& weight, std::int64_t padding) {
  const auto turned = weight.detach().transpose(0, 1).flip({2, 3});
  return convolve(dy, turned, {}, 2 - padding);
}

// `filters`: the weight, and the bias where there is one.
struct TrainedConv : torch::autograd::Function<TrainedConv> {
  static Tensor forward(AutogradContext* context, const Tensor& x, at::TensorList filters,
                        std::int64_t padding) {
    const auto bias = filters.size() > 1 ? filters[1] : Tensor();
    // Only the gradient of the weight needs x.
    context->save_for_backward({filters[0].requires_grad() ? x : Tensor(), filters[0]});
    context->saved_data["padding"] = padding;
    context->saved_data["bias"] = bias.defined();
    return convolve(x, filters[0], bias, padding);
  }

  static Variables backward(AutogradContext* context, const Variables& gradients) {
    const auto saved = context->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1], &dy = gradients[0];
    const auto padding = context->saved_data["padding"].toInt();
    const bool bias = context->saved_data["bias"].toBool();
    const std::array<bool, 3> wanted{context->needs_input_grad(0), context->needs_input_grad(1),
                                     bias && context->needs_input_grad(2)};
    Variables result(bias ? 4 : 3);
    if (torch::GradMode::is_enabled()) {  // this pass makes a graph itself
      const c10::impl::ExcludeDispatchKeyGuard no_casts(c10::autocast_dispatch_keyset);
      if (wanted[0]) result[0] = torch::conv_transpose2d(dy, weight, {}, 1, padding);
      if (wanted[1]) {
        result[1] = std::get<1>(at::convolution_backward(dy, x, weight, at::OptionalIntArrayRef{},
                                                         {1, 1}, {padding, padding}, {1, 1}, false,
                                                         {0, 0}, 1, {false, true, false}));
      }
      if (wanted[2]) result[2] = dy.sum({0, 2, 3});
      return result;
    }
    if (wanted[0]) result[0] = gradient_of_input(dy, weight, padding);
    if (wanted[1]) result[1] = PackedConv::weight_gradient(x, dy, padding);
    if (wanted[2]) result[2] = dy.sum({0, 2, 3});
    return result;
  }
};

}  // namespace

bool suits_trained_conv(const Tensor& x, const Tensor& weight, std::int64_t padding) {
  // Fewer channels than a vector has are LibTorch's, and so is a padding with which the gradient's would be negative. So are few
  // tiles, and those mostly beyond the picture: filters are transformed for each pass.
  constexpr std::int64_t kLeastChannels = 16, kMostPadding = 2, kLeastTiles = 32, kTile = 4,
                         kLeastOfTile = 6;
  if (!has_channel_kernels() || !PackedConv::suits_winograd(weight, 1) ||
      weight.size(0) < kLeastChannels || padding > kMostPadding) {
    return false;
  }
  const auto rows = x.size(2) + 2 * padding - 2, cols = x.size(3) + 2 * padding - 2;
  if (rows < 1 || cols < 1) return false;
  const auto tiles = ((rows + kTile - 1) / kTile) * ((cols + kTile - 1) / kTile);
  return x.size(0) * tiles >= kLeastTiles && rows * cols >= kLeastOfTile * tiles;
}

Tensor trained_conv(const Tensor& x, const Tensor& weight, const Tensor& bias,
                    std::int64_t padding) {
  Variables filters{weight};
  if (bias.defined()) filters.push_back(bias);
  return TrainedConv::apply(x, at::TensorList(filters), padding);
}

}  // namespace fastcpp::models
