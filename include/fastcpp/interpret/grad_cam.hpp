/// \file
/// Where a network looked (Selvaraju et al. 2016, arXiv:1610.02391).
#pragma once

#include <torch/types.h>

#include <cstdint>

#include "fastcpp/export.hpp"
#include "fastcpp/train/model.hpp"

namespace fastcpp::inline v0 {

/// What `grad_cam` finds for one input, on the CPU and in the model's floating-point type. A value: copies share the
/// tensors. Threads: const calls by any number at once.
struct GradCam {
  torch::Tensor output;   ///< c raw outputs
  torch::Tensor acts;     ///< C x h x w, output of the body
  torch::Tensor weights;  ///< C, mean over all places of d output[cls] / d acts
  torch::Tensor map;      ///< h x w, >= 0: relu of the sum of weights * acts over the channels
  /// h * w; a map of few places says little.
  std::int64_t places() const { return map.numel(); }
};

/// Class activation map of one input: how much each place of the body's output speaks for a class
/// (fastai: the heat maps of `plot_top_losses` and `GradCAM`). Puts the model into evaluation mode;
/// gradients of its parameters stay as they are.
/// \param model Sequential(body, head), as `cnn_learner` makes it
/// \param x     one normalised input, 1 x channels x H x W, of the model's type and device
/// \param cls   class whose raw output is traced back, 0 .. c - 1
/// \throws TrainError `train.no_body` when the model is something else or its body gives no maps,
///         `train.failed` when LibTorch refuses; ValueError `value.class_index`;
///         MemoryError `train.out_of_memory`
FASTCPP_API GradCam grad_cam(const Model& model, const torch::Tensor& x, std::int64_t cls);

}  // namespace fastcpp
