// A graph that is a chain of operations of ours, run backward without LibTorch's engine, which takes longer for a parameter than the
// gradient of a small one.
#pragma once

#include <torch/types.h>

namespace fastcpp::inline v0 {

// As loss.backward(), for any loss.
void backward(const torch::Tensor& loss);

}  // namespace fastcpp
