// A network rearranged for prediction.
#pragma once

#include <torch/nn/module.h>

#include "fastcpp/export.hpp"

namespace fastcpp::models {

// Multiplies every batch norm that directly follows a convolution into it, in all of the module's
// descendants that run their children in order (`Stack` and the blocks of the architectures); the
// batch norm is passed over from then on. For evaluation only: statistics and names are lost.
// Children of the module itself stay, because who runs them is not known.
void fold_batchnorm(torch::nn::Module& module);

// Packs the convolutions of the architectures, as their weights are now.
void pack_convolutions(torch::nn::Module& module);

}  // namespace fastcpp::models
