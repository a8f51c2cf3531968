/// \file
/// Looking into a network: leaf layers and layer groups.
#pragma once

#include <torch/nn/module.h>

#include <memory>
#include <vector>

#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// A module, shared with the network it belongs to.
using Layer = std::shared_ptr<torch::nn::Module>;
/// Leaf layers that share a learning rate (fastai: one entry of `layer_groups`).
using LayerGroup = std::vector<Layer>;

/// Modules without children, depth-first in registration order (fastai: `flatten_model`). Parameters that stand on a
/// module with children follow its children as a leaf of their own, which shares them (fastai: `ParameterModule`).
/// \throws ValueError `value.model` on null
FASTCPP_API std::vector<Layer> flatten_model(const Layer& model);

/// Cuts the leaf layers before the first leaf of each boundary (fastai: `split_model`); a cut at the start is implied.
/// \throws ValueError `value.split` when a boundary is null or not inside the model
FASTCPP_API std::vector<LayerGroup> split_model(const Layer& model,
                                                const std::vector<Layer>& boundaries);

/// Whether a layer is a batch normalisation of any dimension (fastai: `bn_types`).
FASTCPP_API bool is_batchnorm(const torch::nn::Module& layer);

/// Whether all parameters of a layer belong to the optimizer's second parameter group (fastai: `split_no_wd_params`):
/// batch and layer normalisation.
FASTCPP_API bool is_normalisation(const torch::nn::Module& layer);

/// Whether the bias of a layer belongs to the optimizer's second parameter group: linear and convolution layers.
FASTCPP_API bool has_plain_bias(const torch::nn::Module& layer);

/// Sets requires_grad of a layer's parameters (fastai: `requires_grad`).
FASTCPP_API void requires_grad(const torch::nn::Module& layer, bool value);

}  // namespace fastcpp
