/// \file
/// Training in half precision.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <optional>

#include "fastcpp/export.hpp"
#include "fastcpp/train/callback.hpp"
#include "fastcpp/train/learner.hpp"

namespace fastcpp::inline v0 {

/// Options of `to_fp16`, in fastai's order.
struct MixedPrecisionOptions {
  /// What the loss is multiplied by, > 0; absent: 2^16 when dynamic, else 512.
  std::optional<double> loss_scale = {};
  int max_noskip = 1000;  ///< steps without overflow before the scale doubles, >= 1
  bool dynamic = true;    ///< halve the scale and skip the step on overflow
  std::optional<double> clip =
      {};  ///< largest 2-norm of all gradients together after unscaling, > 0
  /// Without effect: the parameters are single-precision masters themselves.
  bool flat_master = false;
  double max_scale = 16777216;  ///< 2^24, the scale does not grow beyond it, or `loss_scale`; > 0
  bool loss_fp32 = true;        ///< outputs are single precision before the loss
};

/// Multiplies the loss so that small gradients survive half precision, and divides the gradients before the step
/// (fastai: `MixedPrecision`; Micikevicius et al. 2017, arXiv:1710.03740). `Learner::to_fp16` adds it. Belongs to one
/// learner at a time; called from the thread that trains.
///
/// The scale lies where the loss is, and so does the decision to skip a step: with Adam on CUDA, LibTorch 2 and no `clip`
/// the processor waits for neither. The step is then left out by `TrainState::overflow`, not by `skip_step`.
class FASTCPP_API MixedPrecision : public Callback {
 public:
  /// \throws ValueError `value.precision` on a scale, norm or number of steps that is not > 0
  explicit MixedPrecision(const MixedPrecisionOptions& options = {});
  /// Before all others: they see gradients as they are without a scale.
  int order() const override { return -30; }
  bool in_lr_find() const override { return true; }
  void on_train_begin(TrainState&) override;
  void on_loss_begin(TrainState&) override;
  void on_backward_begin(TrainState&) override;
  void on_backward_end(TrainState&) override;
  Value state() const override;
  void load_state(const Value& state) override;

  /// The factor in use. Waits for the device, as the next does.
  double loss_scale() const;
  /// Steps that were skipped in this fit because a gradient was not finite.
  std::int64_t skipped() const;

 private:
  void begin();
  void set(double scale, int noskip, std::int64_t skipped);

  MixedPrecisionOptions options_;
  double largest_ = 0;  // that the scale grows to
  // Single numbers: the scale, good steps since it changed last (int32), skipped steps.
  torch::Tensor scale_, noskip_, skipped_;
};

/// For `callback_fns`: makes a MixedPrecision for every fit. It scales the loss only; `Learner::to_fp16` also makes the
/// model compute in half precision.
/// \throws ValueError `value.precision`, at once
FASTCPP_API CallbackFn mixed_precision(const MixedPrecisionOptions& options = {});

}  // namespace fastcpp
