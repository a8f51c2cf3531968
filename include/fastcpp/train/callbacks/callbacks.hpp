/// \file
/// The callbacks behind `fit_one_cycle`, `lr_find` and `clip_grad`, and small ones of general use.
///
/// A callback belongs to one learner at a time and is called from the thread that trains. Factories (`csv_logger`, …)
/// make a new one for every fit; they are what `LearnerOptions::callback_fns` takes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fastcpp/core/path.hpp"
#include "fastcpp/data/table.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/train/callback.hpp"
#include "fastcpp/train/learner.hpp"
#include "fastcpp/train/optim/schedule.hpp"

namespace fastcpp::inline v0 {

/// The 1cycle policy (fastai: `OneCycleScheduler`): rate up and momentum down along half a cosine, then back. Of the
/// options it takes no notice of wd, callbacks and stop, which are `fit_one_cycle`'s. Lifetime and threads as Callback.
class FASTCPP_API OneCycleScheduler : public Callback {
 public:
  /// \throws ValueError `value.one_cycle` on factors that are not > 0, a pct_start outside 0..1, a momentum outside
  /// 0..1 (1 left out) or tot_epochs < 1; `value.start_epoch` on a negative start_epoch
  explicit OneCycleScheduler(const OneCycleOptions& options);
  /// \throws ValueError `value.start_epoch` when no epoch of the fit is left
  void on_train_begin(TrainState&) override;
  void on_batch_end(TrainState&) override;
  void on_epoch_end(TrainState&) override;
  void jump_to_epoch(int epoch) override;
  Value state() const override;
  void load_state(const Value& state) override;

 private:
  void advance(TrainState& state);

  OneCycleOptions options_;
  std::int64_t steps_ = 0, all_steps_ = 0;
  int tot_epochs_ = 0;
  std::size_t phase_ = 0;
  std::vector<Scheduler> lrs_, moms_;
};

/// The learning-rate finder (fastai: `LRFinder`). Lifetime and threads as Callback.
class FASTCPP_API LRFinder : public Callback {
 public:
  /// \throws ValueError `value.lr_find` on rates that are not > 0 or num_it < 1
  explicit LRFinder(const LrFindOptions& options);
  void on_train_begin(TrainState&) override;
  void on_batch_end(TrainState&) override;

 private:
  LrFindOptions options_;
  std::optional<Scheduler> schedule_;
  double best_loss_ = 0;
};

/// Limits the 2-norm of all gradients together (fastai: `GradientClipping`). Lifetime and threads as Callback.
class FASTCPP_API GradientClipping : public Callback {
 public:
  /// \param clip largest norm, >= 0; 0: no limit
  /// \throws ValueError `value.clip` on any other number
  explicit GradientClipping(double clip = 0);
  bool in_lr_find() const override { return true; }
  void on_backward_end(TrainState&) override;

 private:
  double clip_;
};

/// Keeps batch-norm layers whose parameters are frozen in evaluation mode (fastai: `BnFreeze`); for learners with
/// `train_bn = false`. Lifetime and threads as Callback.
class FASTCPP_API BnFreeze : public Callback {
 public:
  bool in_lr_find() const override { return true; }
  void on_epoch_begin(TrainState&) override;
};

/// Ends the fit, without validation, after some batches (fastai: `StopAfterNBatches`). Lifetime and threads as
/// Callback.
class FASTCPP_API StopAfterNBatches : public Callback {
 public:
  /// \param n_batches training batches, >= 1
  /// \throws ValueError `value.n_batches`
  explicit StopAfterNBatches(int n_batches = 2);
  void on_train_begin(TrainState&) override;
  void on_batch_end(TrainState&) override;

 private:
  int n_batches_;
};

/// Options of CSVLogger.
struct CSVLoggerOptions {
  std::string filename = "history";  ///< below the learner's path, without `.csv`; not empty
  bool append = false;               ///< keep what the file holds and add rows
};

/// Writes the table into `<path>/<filename>.csv`, row by row (fastai: `CSVLogger`). A file that is appended to keeps
/// its one header.
///
/// A row that cannot be written ends the training with `io.cannot_write`, and the file keeps its rows without a part of
/// the new one. Lifetime and threads as Callback.
class FASTCPP_API CSVLogger : public Callback {
 public:
  /// \throws ValueError `value.callback_file` without a filename
  explicit CSVLogger(const CSVLoggerOptions& options = {});
  bool first_process_only() const override { return true; }
  /// \throws IoError `io.cannot_create`, `io.cannot_read`, `io.cannot_write`; ValueError `value.csv_columns` when the
  /// file to append to has other columns
  void on_train_begin(TrainState&) override;
  /// \throws IoError `io.cannot_write`
  void on_epoch_end(TrainState&) override;
  Value state() const override;
  /// Takes rows back that were written after the checkpoint; where rows are missing, those of the fit are written anew.
  /// \throws IoError `io.cannot_write`
  void load_state(const Value& state) override;
  /// What the file holds, once a fit has begun (fastai: `read_logged_file`).
  /// \throws IoError `io.cannot_read`, also before; FormatError as Table::read_csv
  Table read_logged_file() const;

 private:
  void add(const std::string& text) const;

  CSVLoggerOptions options_;
  Path file_;
  std::uintmax_t start_ = 0;  // its length when the fit began
};

/// \name For `callback_fns`: each makes the callback of its name for every fit.
/// \throws ValueError as the callback's constructor, at once
/// @{
/// `OneCycleScheduler`.
FASTCPP_API CallbackFn one_cycle(const OneCycleOptions& options = {});
/// `GradientClipping`.
FASTCPP_API CallbackFn gradient_clipping(double clip = 0);
/// `BnFreeze`.
FASTCPP_API CallbackFn bn_freeze();
/// `StopAfterNBatches`.
FASTCPP_API CallbackFn stop_after_n_batches(int n_batches = 2);
/// `CSVLogger`.
FASTCPP_API CallbackFn csv_logger(const CSVLoggerOptions& options = {});
/// @}

}  // namespace fastcpp
