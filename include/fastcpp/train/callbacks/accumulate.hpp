/// \file
/// Batches larger than the memory: the gradients of several are added up before the optimizer steps.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include <torch/types.h>

#include "fastcpp/export.hpp"
#include "fastcpp/io/value.hpp"
#include "fastcpp/train/callback.hpp"
#include "fastcpp/train/learner.hpp"

namespace fastcpp::inline v0 {

/// Options of AccumulateScheduler, in fastai's order.
struct AccumulateOptions {
  int n_step = 1;          ///< batches a step of the optimizer, >= 1
  bool drop_last = false;  ///< no step on the batches that are left at the end of an epoch
};

/// Steps once every `n_step` batches, on the mean of their gradients by items (fastai: `AccumulateScheduler`). The loss stays
/// a mean over a batch: a step is the one that a batch of all their items would give, as far as the loss is a mean over
/// items (one with weights by class is weighted by items across batches) and batch norms, which see single batches, allow.
/// With as many batches left at the end of an epoch as make no whole group, the step is taken on those; where an epoch ends
/// earlier than its loader promised, they join the next one.
///
/// Schedules still move at every batch. A batch whose step another callback skips (`TrainState::skip_step`, as MixedPrecision
/// does when a gradient overflows) counts as a batch of the group without being added. Clipping sees the gradients of the
/// whole group; that of `to_fp16` itself those of each batch. Needs memory for the gradients once more. Belongs to one
/// learner at a time; called from the thread that trains.
class FASTCPP_API AccumulateScheduler : public Callback {
 public:
  /// \throws ValueError `value.n_batches` with n_step < 1
  explicit AccumulateScheduler(const AccumulateOptions& options = {});
  /// After MixedPrecision, which divides each batch's gradients by its scale; before what looks at gradients.
  int order() const override { return -25; }
  bool in_lr_find() const override { return true; }
  void on_train_begin(TrainState&) override;
  void on_epoch_begin(TrainState&) override;
  void on_backward_end(TrainState&) override;
  void on_train_end(TrainState&) override;
  /// What was added up since the last step.
  Value state() const override;
  /// Takes it over.
  /// \throws ValueError `value.wrong_kind`, `value.missing_key` on anything else
  void load_state(const Value& value) override;

  /// Batches that were added up since the last step.
  int batches() const { return batches_; }

 private:
  void add(double items);
  void give();
  void forget();

  AccumulateOptions options_;
  std::map<std::string, torch::Tensor> sums_;  // of gradients times items, by parameter
  double items_ = 0;                           // that these are of
  int batches_ = 0;
  std::int64_t epoch_batches_ = 0;  // of the epoch under way, as its loader says
  bool resumed_ = false;
};

/// For `callback_fns`: makes an AccumulateScheduler for every fit.
/// \throws ValueError `value.n_batches`, at once
FASTCPP_API CallbackFn accumulate_scheduler(const AccumulateOptions& options = {});

}  // namespace fastcpp
