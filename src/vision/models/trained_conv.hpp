// Convolutions of 3 x 3 in training through the library's kernels.
#pragma once

#include <torch/types.h>

#include <cstdint>

namespace fastcpp::inline v0::models {

// conv(x) + bias with stride 1, in the graph: the products forward and of both gradients go through Winograd's filtering
// (PackedConv); a backward pass that makes a graph itself is LibTorch's altogether. The weights are packed anew in each pass and
// released after it.
// \param x,weight,padding `PackedConv::suits_training`
// \param bias             may be undefined
torch::Tensor trained_conv(const torch::Tensor& x, const torch::Tensor& weight,
                           const torch::Tensor& bias, std::int64_t padding);

}  // namespace fastcpp::models
