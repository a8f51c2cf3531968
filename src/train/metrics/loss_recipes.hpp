// Weights of classes as recipes hold them.
#pragma once

#include <torch/types.h>

#include "fastcpp/io/recipe.hpp"

namespace fastcpp::inline v0::losses {

// None where there are none.
Value value_of(const torch::Tensor& weights);

}  // namespace fastcpp::losses
