// The cross-entropy of few outputs, past LibTorch's operations, each of which takes longer than these numbers.
#pragma once

#include <torch/types.h>

#include <optional>

namespace fastcpp::inline v0::losses {

// The mean over the items, with a backward node where gradients are on and `outputs` wants one. Nothing where LibTorch is the better choice or knows what is wrong: many
// outputs, other types or devices, a target that is no class, automatic casting, tracing.
// \param outputs rows x classes
// \param targets int64, one for each row
std::optional<torch::Tensor> small_cross_entropy(const torch::Tensor& outputs,
                                                 const torch::Tensor& targets);

}  // namespace fastcpp::losses
