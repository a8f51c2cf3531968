/// \file
/// The callbacks behind `fit_one_cycle` and `lr_find`.
#pragma once

#include <optional>
#include <vector>

#include "fastcpp/export.hpp"
#include "fastcpp/train/callback.hpp"
#include "fastcpp/train/learner.hpp"
#include "fastcpp/train/schedule.hpp"

namespace fastcpp {

/// The 1cycle policy (fastai: `OneCycleScheduler`): rate up and momentum down along half a cosine,
/// then back.
class FASTCPP_API OneCycleScheduler : public Callback {
 public:
  /// \throws ValueError `value.one_cycle` on factors that are not > 0 or a pct_start outside 0..1
  explicit OneCycleScheduler(const OneCycleOptions& options);
  void on_train_begin(TrainState&) override;
  void on_batch_end(TrainState&) override;
  void on_epoch_end(TrainState&) override;
  void jump_to_epoch(int epoch) override;

 private:
  void advance(TrainState& state);

  OneCycleOptions options_;
  int tot_epochs_ = 0;
  std::size_t phase_ = 0;
  std::vector<Scheduler> lrs_, moms_;
};

/// The learning-rate finder (fastai: `LRFinder`).
class FASTCPP_API LRFinder : public Callback {
 public:
  /// \throws ValueError `value.lr_find` on rates that are not > 0 or num_it < 1
  explicit LRFinder(const LrFindOptions& options);
  void on_train_begin(TrainState&) override;
  void on_batch_end(TrainState&) override;
  void on_train_end(TrainState&) override;

 private:
  LrFindOptions options_;
  std::optional<Scheduler> schedule_;
  double best_loss_ = 0;
  bool stopped_ = false;
};

}  // namespace fastcpp
