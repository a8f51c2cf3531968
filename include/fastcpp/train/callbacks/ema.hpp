/// \file
/// A moving average of the weights.
#pragma once

#include <cstdint>

#include "fastcpp/export.hpp"
#include "fastcpp/io/state_dict.hpp"
#include "fastcpp/io/value.hpp"
#include "fastcpp/train/callback.hpp"
#include "fastcpp/train/learner.hpp"

namespace fastcpp::inline v0 {

/// What the model holds after a fit with EMACallback.
enum class EmaEnd {
  kAverage,  ///< the averaged weights, whose figures the table shows
  kTrained   ///< the weights of the last step
};

/// Options of EMACallback.
struct EmaOptions {
  double decay = 0.999;  ///< how much of the average stays at each step, 0 <= decay < 1
  /// For short trainings: the decay of step n (from 0) is (1 + n) / (10 + n) until that reaches `decay`
  bool warm_up = false;
  EmaEnd at_end = EmaEnd::kAverage;  ///< what the model holds after the fit
};

/// Keeps an exponential moving average of the weights, which often predicts better than they do (Polyak, Juditsky 1992; Szegedy
/// et al. 2015, arXiv:1512.00567; timm: `ModelEma`; fastai has none). After each step of the optimizer the average moves by
/// 1 - decay towards parameters and floating-point buffers (batch norms' statistics); counters are copied. It begins with the
/// weights at the start of the fit.
///
/// The model holds the average while an epoch is validated and until the next one begins: what callbacks save in
/// `on_epoch_end` are the averaged weights. Then parameters and buffers are the training's again, bit by bit. After a fit that
/// failed the model holds the trained weights. The optimizer's state is always the training's.
///
/// Needs memory for the weights once more, twice while it validates. Belongs to one learner at a time; called from the thread
/// that trains.
class FASTCPP_API EMACallback : public Callback {
 public:
  /// \throws ValueError `value.ema` on a decay outside 0..1 (1 left out)
  explicit EMACallback(const EmaOptions& options = {});
  /// Before all others: they see the weights that belong to the event.
  int order() const override { return -40; }
  void on_train_begin(TrainState&) override;
  void on_epoch_begin(TrainState&) override;
  void on_batch_begin(TrainState&) override;
  void on_step_end(TrainState&) override;
  void on_epoch_end(TrainState&) override;
  void on_train_end(TrainState&) override;
  /// Average, number of steps and, while the model holds the average, the weights of the training.
  Value state() const override;
  /// Takes it over.
  /// \throws ValueError `value.wrong_kind`, `value.missing_key` on anything else
  void load_state(const Value& value) override;

  /// The averaged parameters and buffers by their names in the model; empty before the first fit. Lives as long as the
  /// callback, until the next step.
  const StateDict& average() const { return average_; }
  /// Steps that the average has seen.
  std::int64_t steps() const { return steps_; }

 private:
  void show_average();
  void show_trained();

  EmaOptions options_;
  StateDict average_;
  StateDict trained_;  // of the training, while the model holds the average; else empty
  std::int64_t steps_ = 0;
  bool resumed_ = false;
};

/// For `callback_fns`: makes an EMACallback for every fit, whose average begins with the weights of then.
/// \throws ValueError `value.ema`, at once
FASTCPP_API CallbackFn ema(const EmaOptions& options = {});

}  // namespace fastcpp
