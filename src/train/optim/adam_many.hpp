// Adam's step on many parameters at once, for devices on which starting an operation costs more
// than the arithmetic of a small parameter.
#pragma once

#include <torch/types.h>

#include <vector>

#include "compat/fused_adam.hpp"

namespace fastcpp::inline v0 {

// One fused kernel where LibTorch has it, else about ten operations over all tensors. `l2` times
// the parameters is added to the gradients. Runs on every device.
void adam_many(std::vector<torch::Tensor>& params, const std::vector<torch::Tensor>& gradients,
               std::vector<torch::Tensor>& means, std::vector<torch::Tensor>& squares,
               const compat::AdamStep& by, double l2);

}  // namespace fastcpp
