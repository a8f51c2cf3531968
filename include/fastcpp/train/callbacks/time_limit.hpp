/// \file
/// A training that ends in time, and one that validates before it begins.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

#include "fastcpp/export.hpp"
#include "fastcpp/train/callback.hpp"
#include "fastcpp/train/learner.hpp"

namespace fastcpp::inline v0 {

/// Options of TimeLimit.
struct TimeLimitOptions {
  std::chrono::duration<double> after = std::chrono::hours(1);  ///< since the fit began, > 0
  /// What time it is, from any start; absent: the system's steady clock. For tests
  std::function<std::chrono::duration<double>()> clock = {};
};

/// Ends the fit after a time, between two batches (fastai has none; Lightning: `max_time`). The epoch under way is validated
/// and gets its row, and every callback its end, so leave time for that: what is saved is whole. Lifetime and threads as
/// Callback.
class FASTCPP_API TimeLimit : public Callback {
 public:
  /// \throws ValueError `value.time_limit` on a time that is not > 0
  explicit TimeLimit(const TimeLimitOptions& options = {});
  /// Before TrackEpochCallback, which does not write an epoch down that was cut short.
  int order() const override { return -25; }
  void on_train_begin(TrainState&) override;
  void on_batch_end(TrainState&) override;
  void on_epoch_end(TrainState&) override;

 private:
  bool over(int epoch);

  TimeLimitOptions options_;
  std::chrono::duration<double> end_{};
  bool told_ = false, cut_ = false;  // that it is over; in the middle of an epoch
};

/// Validates a few batches before the first epoch, so that a metric that throws, a broken validation picture or a shortage of
/// memory ends the fit at once and not after an hour of training (Lightning: `num_sanity_val_steps`). The figures go nowhere,
/// the order of later passes stays the same. Without a validation set it does nothing. Lifetime and threads as Callback.
class FASTCPP_API ValidateFirst : public Callback {
 public:
  /// \param n_batches validation batches, >= 1
  /// \throws ValueError `value.n_batches`
  explicit ValidateFirst(int n_batches = 2);
  /// \throws as `Learner::validate`
  void on_train_begin(TrainState&) override;

 private:
  int n_batches_;
};

/// \name For `callback_fns`: each makes the callback of its name for every fit.
/// \throws ValueError as the callback's constructor, at once
/// @{
/// `TimeLimit`.
FASTCPP_API CallbackFn time_limit(const TimeLimitOptions& options = {});
/// `ValidateFirst`.
FASTCPP_API CallbackFn validate_first(int n_batches = 2);
/// @}

}  // namespace fastcpp
