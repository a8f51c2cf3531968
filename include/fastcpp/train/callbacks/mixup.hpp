/// \file
/// Training on mixtures of two items.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>

#include "fastcpp/export.hpp"
#include "fastcpp/train/callback.hpp"
#include "fastcpp/train/loss.hpp"

namespace fastcpp {

/// Who is mixed with whom, and how much of it stays.
struct MixUpDraw {
  torch::Tensor lambda;  ///< n, 0..1; the larger of lambda and 1 - lambda is used
  torch::Tensor perm;    ///< n, int64: the partner of each item
};

/// Options of MixUpCallback.
struct MixUpOptions {
  double alpha = 0.4;   ///< lambda comes from Beta(alpha, alpha), > 0
  bool stack_y = true;  ///< mix the losses; false: mix the targets
  /// Makes the draw for a batch of n; absent: drawn from the learner's seed.
  std::function<MixUpDraw(std::int64_t n)> draw = {};
};

/// Mix-up (fastai: `MixUpCallback`; Zhang et al. 2017, arXiv:1710.09412). Validation is untouched.
class FASTCPP_API MixUpCallback : public Callback {
 public:
  /// \throws ValueError `value.mixup` on an alpha that is not > 0
  explicit MixUpCallback(const MixUpOptions& options = {});
  void on_train_begin(TrainState&) override;
  void on_batch_begin(TrainState&) override;
  void on_train_end(TrainState&) override;

 private:
  MixUpDraw draw(std::int64_t n);

  MixUpOptions options_;
  Loss old_loss_;
  std::uint64_t seed_ = 0, batches_ = 0;
};

/// The loss of mixed targets (fastai: `MixUpLoss`). A target of shape n x 3 holds both classes and
/// lambda; any other goes to the loss itself.
FASTCPP_API Loss mixup_loss(const Loss& loss);

}  // namespace fastcpp
