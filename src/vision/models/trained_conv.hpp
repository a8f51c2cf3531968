// Convolutions of 3 x 3 in training through the library's kernels.
#pragma once

#include <torch/types.h>

#include <cstdint>

namespace fastcpp::inline v0::models {

// Whether the kernels are there for such a batch and faster than LibTorch's own convolution, with stride 1.
// \param x       float32, N x C x H x W
// \param weight  out x C x rows x columns
// \param padding on each side of both axes, >= 0
bool suits_trained_conv(const torch::Tensor& x, const torch::Tensor& weight, std::int64_t padding);

// conv(x) + bias with stride 1, in the graph: the products forward and of both gradients go through Winograd's filtering
// (PackedConv); a backward pass that makes a graph itself is LibTorch's altogether. The weights are packed anew in each pass and
// released after it.
// \param x,weight,padding `suits_trained_conv`
// \param bias             may be undefined
torch::Tensor trained_conv(const torch::Tensor& x, const torch::Tensor& weight,
                           const torch::Tensor& bias, std::int64_t padding);

}  // namespace fastcpp::models
