/// \file
/// Printed forms of a learner: its layers as a table, and all that it is made of.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "fastcpp/export.hpp"
#include "fastcpp/train/learner.hpp"
#include "fastcpp/train/model.hpp"

namespace fastcpp::inline v0 {

/// One leaf layer of a model.
struct LayerInfo {
  std::string name;                      ///< kind of layer, for example `Conv2d`
  std::vector<std::int64_t> shape = {};  ///< of its last output, without the batch dimension
  std::int64_t params = 0;               ///< elements of weight and bias
  bool trainable = false;                ///< its weight requires a gradient
};

/// The leaf layers in the order of registration (fastai: `layers_info`). Runs the model once in
/// evaluation mode. A layer that takes no part, or whose output cannot be told, is left out: a
/// layer without weight is found by the kind of LibTorch's own layers only.
/// \param model  any network
/// \param inputs a batch for it, on its device; one item is enough
/// \throws TrainError `train.failed` when LibTorch refuses; MemoryError `train.out_of_memory`
FASTCPP_API std::vector<LayerInfo> layers_info(const Model& model, const Tensors& inputs);

/// The table of layers with totals, optimizer, loss and callbacks (fastai: `model_summary`,
/// `learn.summary()`). Shows the model one training item.
/// \throws as `layers_info`; DataError `data.empty` without a training item; whatever loading it
///         throws
FASTCPP_API std::string model_summary(const Learner& learn);

}  // namespace fastcpp
