/// \file
/// Loss functions with what belongs to them: reduction and final activation.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <string>

#include "fastcpp/export.hpp"

namespace fastcpp {

/// A loss on raw model outputs (fastai: the "flattened" losses). A value; cheap to copy.
class FASTCPP_API Loss {
 public:
  /// (outputs, targets) -> one loss per item, shape [items].
  using Unreduced = std::function<torch::Tensor(const torch::Tensor&, const torch::Tensor&)>;
  /// Raw outputs -> probabilities, or the outputs themselves.
  using Activation = std::function<torch::Tensor(const torch::Tensor&)>;

  Loss() = default;
  /// (outputs, targets) -> a scalar.
  using Reduced = std::function<torch::Tensor(const torch::Tensor&, const torch::Tensor&)>;

  /// \param name       for printing
  /// \param unreduced  see Unreduced
  /// \param activation applied by get_preds and predict; empty: none
  /// \param mean       the loss of a batch; empty: the mean of `unreduced`
  Loss(std::string name, Unreduced unreduced, Activation activation = {}, Reduced mean = {});

  /// The mean over the items; a scalar tensor with a graph.
  torch::Tensor operator()(const torch::Tensor& output, const torch::Tensor& target) const;
  /// One value per item.
  torch::Tensor unreduced(const torch::Tensor& output, const torch::Tensor& target) const;
  /// The activation that goes with this loss.
  torch::Tensor activate(const torch::Tensor& output) const;
  const std::string& name() const { return name_; }
  explicit operator bool() const { return static_cast<bool>(unreduced_); }

 private:
  std::string name_;
  Unreduced unreduced_;
  Activation activation_;
  Reduced mean_;
};

/// Arguments of cross_entropy.
struct CrossEntropyOptions {
  torch::Tensor weight = {};  ///< C, how much each class counts; undefined: all the same
  std::int64_t axis = -1;     ///< of the classes; 1 for images N x C x H x W
};

/// Cross-entropy over class indices (fastai: `CrossEntropyFlat`); activation softmax. An item with
/// several targets (pixels, tokens) gets their mean. With weights the loss of a batch is the sum of
/// the weighted losses over the sum of the weights of the targets.
FASTCPP_API Loss cross_entropy(const CrossEntropyOptions& options = {});
/// Cross-entropy with smoothed labels (fastai: `LabelSmoothingCrossEntropy`): eps/c of the weight
/// on every class. \param eps 0 <= eps < 1, else `value.eps`
FASTCPP_API Loss label_smoothing_cross_entropy(double eps = 0.1);
/// Binary cross-entropy with logits over 0/1 vectors (fastai: `BCEWithLogitsFlat`); activation
/// sigmoid.
FASTCPP_API Loss bce_with_logits();
/// Mean squared error (fastai: `MSELossFlat`); no activation.
FASTCPP_API Loss mse_loss();

}  // namespace fastcpp
