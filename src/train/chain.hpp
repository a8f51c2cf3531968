// A graph that is a chain of operations of ours, run backward without LibTorch's engine, which takes longer for a parameter than the
// gradient of a small one.
#pragma once

#include <torch/types.h>

namespace fastcpp::inline v0 {

// As loss.backward(), for any loss. Without the engine there are none of its ranges in a profile.
void backward(const torch::Tensor& loss);

// The same for a chain that nobody looks on at; false when it is none: then nothing was done.
bool backward_of_chain(const torch::Tensor& loss);

}  // namespace fastcpp
