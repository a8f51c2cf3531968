/// \file
/// Training on mixtures of two items.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <memory>

#include "fastcpp/export.hpp"
#include "fastcpp/train/callback.hpp"
#include "fastcpp/train/learner.hpp"
#include "fastcpp/train/metrics/loss.hpp"

namespace fastcpp::inline v0 {

/// Who is mixed with whom, and how much of it stays.
struct MixUpDraw {
  torch::Tensor lambda;  ///< n, 0..1; the larger of lambda and 1 - lambda is used
  torch::Tensor perm;    ///< n, int64: the partner of each item
};

/// Options of MixUpCallback.
struct MixUpOptions {
  double alpha = 0.4;  ///< lambda comes from Beta(alpha, alpha), > 0
  /// The network mixes: it gets three tensors, the items, their partners and lambda, one per item. In validation it gets the
  /// items alone.
  bool stack_x = false;
  bool stack_y = true;  ///< mix the losses; false: mix the targets
  /// Makes the draw for a batch of n; absent: drawn from the data's seed.
  std::function<MixUpDraw(std::int64_t n)> draw = {};
};

/// The targets of a batch of mixtures.
struct MixedTargets {
  torch::Tensor first;   ///< n x ..., as the data give them
  torch::Tensor second;  ///< those of the partners, alike
  torch::Tensor lambda;  ///< n, how much of the first there is, 0..1
};

/// The loss of mixed targets (fastai: `MixUpLoss`): lambda times the loss of the first targets and 1 - lambda times
/// that of the second, one value per item.
/// \param output n x ..., raw model outputs
/// \throws ValueError as the loss
FASTCPP_API torch::Tensor mixup_loss(const Loss& loss, const torch::Tensor& output,
                                     const MixedTargets& targets);

/// Mix-up (fastai: `MixUpCallback`; Zhang et al. 2017, arXiv:1710.09412). Validation is untouched. Belongs to one
/// learner at a time; called from the thread that trains.
///
/// With `stack_y` the learner has a loss during the fit that knows a mixed batch by the tensor this callback made for
/// it, whatever its shape; any loss with one value per item and any targets can be mixed. The former loss always comes
/// back. As in fastai the targets of a mixed batch look like n x 3 (first class, second class, lambda) where there is
/// one number per item.
class FASTCPP_API MixUpCallback : public Callback {
 public:
  /// \throws ValueError `value.mixup` on an alpha that is not a finite number > 0
  explicit MixUpCallback(const MixUpOptions& options = {});
  bool in_lr_find() const override { return true; }
  /// \throws ValueError `value.mixup` when another mix-up takes part in the fit
  void on_train_begin(TrainState&) override;
  /// \throws ValueError `value.mixup` on inputs that are whole numbers, or a draw that does not fit the batch
  void on_batch_begin(TrainState&) override;
  void on_train_end(TrainState&) override;
  Value state() const override;
  void load_state(const Value& state) override;

 private:
  struct Batch;
  MixUpDraw draw(std::int64_t n);

  MixUpOptions options_;
  Loss old_loss_;                 // of the learner, while a loss of this callback is in its place
  std::shared_ptr<Batch> batch_;  // the mixed batch on its way; the loss in place reads it
  std::uint64_t seed_ = 0, batches_ = 0;
};

/// For `callback_fns`: makes a MixUpCallback for every fit. Every fit of a learner draws other mixtures, which depend on
/// its data's seed and the number of its fits alone.
/// \throws ValueError `value.mixup`, at once
FASTCPP_API CallbackFn mixup(const MixUpOptions& options = {});

}  // namespace fastcpp
