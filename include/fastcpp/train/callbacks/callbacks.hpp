/// \file
/// The callbacks behind `fit_one_cycle`, `lr_find` and `clip_grad`, and small ones of general use.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fastcpp/core/path.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/train/callback.hpp"
#include "fastcpp/train/learner.hpp"
#include "fastcpp/train/optim/schedule.hpp"

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

/// Limits the 2-norm of all gradients together (fastai: `GradientClipping`).
class FASTCPP_API GradientClipping : public Callback {
 public:
  /// \param clip largest norm; 0: no limit
  explicit GradientClipping(double clip = 0) : clip_(clip) {}
  void on_backward_end(TrainState&) override;

 private:
  double clip_;
};

/// Keeps batch-norm layers whose parameters are frozen in evaluation mode (fastai: `BnFreeze`); for
/// learners with `train_bn = false`.
class FASTCPP_API BnFreeze : public Callback {
 public:
  void on_epoch_begin(TrainState&) override;
};

/// Ends the fit, without validation, after some batches (fastai: `StopAfterNBatches`).
class FASTCPP_API StopAfterNBatches : public Callback {
 public:
  explicit StopAfterNBatches(int n_batches = 2) : n_batches_(n_batches) {}
  void on_train_begin(TrainState&) override;
  void on_batch_end(TrainState&) override;

 private:
  int n_batches_;
};

/// Writes the table into `<path>/<filename>.csv`, row by row (fastai: `CSVLogger`).
class FASTCPP_API CSVLogger : public Callback {
 public:
  /// \param append keep what the file holds
  explicit CSVLogger(std::string filename = "history", bool append = false)
      : filename_(std::move(filename)), append_(append) {}
  /// \throws IoError `io.cannot_create`
  void on_train_begin(TrainState&) override;
  /// \throws IoError `io.cannot_write`
  void on_epoch_end(TrainState&) override;

 private:
  std::string filename_;
  bool append_;
  Path file_;
};

}  // namespace fastcpp
