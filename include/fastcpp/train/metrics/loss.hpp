/// \file
/// Loss functions with what belongs to them: reduction and final activation.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "fastcpp/data/tensors.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

class Value;    // io/value.hpp
struct Recipe;  // io/recipe.hpp

/// A loss on raw model outputs (fastai: the "flattened" losses). A value; copies share the functions, which may be
/// called from several threads when they may themselves. Its functions take tensors, or `Tensors` where a model gives
/// several or is compared with several. An empty one (`Loss{}`) stands for "what the labels ask for".
class FASTCPP_API Loss {
 public:
  /// (outputs, targets) -> the loss of each item [n], or of each of its numbers [n x ...].
  using Unreduced = std::function<torch::Tensor(const Tensors&, const Tensors&)>;
  /// Raw outputs -> probabilities, or the outputs themselves.
  using Activation = std::function<torch::Tensor(const torch::Tensor&)>;
  /// (outputs, targets) -> a scalar.
  using Reduced = std::function<torch::Tensor(const Tensors&, const Tensors&)>;

  Loss() = default;
  /// \param name       for printing
  /// \param unreduced  see Unreduced; not empty
  /// \param activation applied by get_preds and predict; empty: none
  /// \param mean       the loss of a batch; empty: the mean of `unreduced`
  /// \throws ValueError `value.loss` when `unreduced` is empty
  Loss(std::string name, Unreduced unreduced, Activation activation = {}, Reduced mean = {});

  /// The mean over the items; a scalar tensor with a graph.
  /// \param output n x ..., raw model outputs
  /// \param target as the loss asks for
  /// \throws ValueError `value.loss_input` when both do not fit each other, `value.loss` when this is empty; TrainError
  /// `train.failed` when LibTorch refuses, for example a class index outside the classes
  torch::Tensor operator()(const Tensors& output, const Tensors& target) const;
  /// The loss of each item, or of each of its numbers; throws likewise.
  torch::Tensor unreduced(const Tensors& output, const Tensors& target) const;
  /// The activation that goes with this loss.
  /// \throws TrainError `train.failed` when LibTorch refuses
  torch::Tensor activate(const torch::Tensor& output) const;
  /// For printing.
  const std::string& name() const { return name_; }
  /// How a file can make it again (`export_model`); null when it does not say. Lives as long as any copy.
  const Recipe* recipe() const { return recipe_.get(); }
  /// Says how: by a maker that `register_loss` made known. Copies made before do not know. Returns the loss.
  /// \throws ValueError `value.recipe` without a name
  Loss& set_recipe(Recipe recipe);
  /// Whether it is a loss: an empty one stands for what the labels ask for.
  explicit operator bool() const { return static_cast<bool>(unreduced_); }

 private:
  template <typename F>
  torch::Tensor run(const F& f, const Tensors& output, const Tensors& target) const;

  std::string name_;
  Unreduced unreduced_;
  Activation activation_;
  Reduced mean_;
  std::shared_ptr<const Recipe> recipe_;
};

/// Arguments of cross_entropy.
struct CrossEntropyOptions {
  torch::Tensor weight = {};  ///< C, how much each class counts; undefined: all the same
  std::int64_t axis = -1;     ///< of the classes; 1 for images N x C x H x W
};

/// Cross-entropy over class indices (fastai: `CrossEntropyFlat`); activation softmax. An item with several targets
/// (pixels, tokens) gets their mean. With weights the loss of a batch is the sum of the weighted losses over the sum of
/// the weights of the targets. Targets are whole numbers of any type, one for every place of the outputs.
/// \throws ValueError `value.loss` on weights that are no vector of floating-point numbers
FASTCPP_API Loss cross_entropy(const CrossEntropyOptions& options = {});
/// Cross-entropy with smoothed labels (fastai: `LabelSmoothingCrossEntropy`): eps/c of the weight on every class.
/// Outputs n x c, targets n whole numbers.
/// \param eps 0 <= eps < 1
/// \throws ValueError `value.eps`
FASTCPP_API Loss label_smoothing_cross_entropy(double eps = 0.1);
/// Arguments of bce_with_logits: C floating-point numbers each, along the last dimension of the outputs.
struct BceWithLogitsOptions {
  torch::Tensor weight = {};  ///< how much each class counts; undefined: all the same
  torch::Tensor pos_weight =
      {};          ///< how much more a 1 counts than a 0, for rare classes; undefined: the same
  double eps = 0;  ///< smoothed labels: a 1 becomes 1 - eps / 2, a 0 becomes eps / 2; 0 <= eps < 1
};

/// Binary cross-entropy with logits over 0/1 vectors (fastai: `BCEWithLogitsFlat`); activation sigmoid. Outputs and
/// targets have the same number of elements.
/// \throws ValueError `value.loss` on weights that are no vector of floating-point numbers, `value.eps`
FASTCPP_API Loss bce_with_logits(const BceWithLogitsOptions& options = {});
/// Mean squared error (fastai: `MSELossFlat`); no activation. Outputs and targets have the same number of elements.
FASTCPP_API Loss mse_loss();
/// Negative log-likelihood of class indices (fastai: `F.nll_loss`, the loss of items without labels); activation exp. Outputs
/// n x c logarithms of probabilities, targets n whole numbers.
FASTCPP_API Loss nll_loss();

/// Makes a loss out of the options of its recipe.
using LossMaker = std::function<Loss(const Value& options)>;
/// Makes a loss of one's own known to files, for the life of the process. Thread-safe.
/// \code
/// register_loss("focal", [](const Value& o) { return focal(o.at("gamma").as_double()); });
/// learn.set_loss_func(focal(2).set_recipe({"focal", Value::dict({{"gamma", 2.0}})}));
/// \endcode
/// \throws ValueError `value.recipe` without a name or a maker, or when the name is taken
FASTCPP_API void register_loss(std::string name, LossMaker make);
/// The loss of a recipe: one of the above, or one that was registered.
/// \throws ValueError `value.unknown_recipe`, or what its maker throws
FASTCPP_API Loss make_loss(const Recipe& recipe);

}  // namespace fastcpp
