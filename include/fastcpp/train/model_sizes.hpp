/// \file
/// What sizes a network's layers give, by a batch of random numbers.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "fastcpp/export.hpp"
#include "fastcpp/train/model.hpp"

namespace fastcpp::inline v0 {

/// A batch of one picture for a network: numbers between -1 and 1, always the same, on the network's device, with as many
/// channels as its first layer with a weight takes (fastai: `dummy_batch`).
/// \param model a network that takes pictures
/// \param size  height and width, >= 1
/// \returns 1 x channels x height x width
/// \throws ValueError `value.model` without a module or a layer that has a weight of two dimensions or more; `value.size`
FASTCPP_API torch::Tensor dummy_batch(const Model& model,
                                      std::pair<std::int64_t, std::int64_t> size = {64, 64});

/// What the network gives for `dummy_batch`, in evaluation mode, without graph; modules keep the mode they had (fastai:
/// `dummy_eval`).
/// \throws as `dummy_batch`; TrainError `train.failed` when LibTorch refuses; MemoryError `train.out_of_memory`
FASTCPP_API Tensors dummy_eval(const Model& model,
                               std::pair<std::int64_t, std::int64_t> size = {64, 64});

/// The sizes of what the children of a network give for `dummy_batch`, batch dimension included (fastai: `model_sizes`).
/// \param model a sequence, such as a body: children that are not run one after the other may not be seen (hooks/hook.hpp)
/// \param size  height and width, >= 1
/// \returns one for each child; empty where nothing was seen
/// \throws as `dummy_eval`
FASTCPP_API std::vector<std::vector<std::int64_t>> model_sizes(
    const Model& model, std::pair<std::int64_t, std::int64_t> size = {256, 256});

/// Whether a module, with all below it, has parameters (fastai: `has_params`).
FASTCPP_API bool has_params(const torch::nn::Module& module);

}  // namespace fastcpp
