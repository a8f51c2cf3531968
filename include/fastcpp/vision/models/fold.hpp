// A network rearranged for prediction.
#pragma once

#include <torch/nn/module.h>

#include "fastcpp/export.hpp"
#include "fastcpp/vision/models/models.hpp"

namespace fastcpp::inline v0::models {

// Multiplies every batch norm that directly follows a convolution into it, in the module and all of its descendants that run
// their children in order (exactly `Network` and `Stack`; the blocks of the architectures); the batch norm does nothing from
// then on, and is passed over by these. Layers of classes derived from LibTorch's, and those that run in several places, stay.
// For evaluation only: statistics and names are lost, and the module is to be neither cloned nor moved afterwards.
void fold_batchnorm(torch::nn::Module& module);

// Packs the convolutions of the architectures, as their weights are now. Whoever changes the options of a convolution
// afterwards gets LibTorch's own.
void pack_convolutions(torch::nn::Module& module);

// Sets for all convolutions of the architectures below a module what computes them in training mode.
void set_training_conv(torch::nn::Module& module, TrainingConv which);

}  // namespace fastcpp::models
