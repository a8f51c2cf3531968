/// \file
/// Callbacks that watch a figure from epoch to epoch.
///
/// A callback belongs to one learner at a time and is called from the thread that trains. Factories (`save_model`, …)
/// make a new one for every fit; they are what `LearnerOptions::callback_fns` takes.
#pragma once

#include <optional>
#include <string>

#include "fastcpp/core/path.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/train/callback.hpp"
#include "fastcpp/train/learner.hpp"

namespace fastcpp::inline v0 {

/// What counts as better.
enum class TrackerMode {
  kAuto,  ///< lower when the name contains `loss` or `error`, else higher
  kMin,   ///< lower
  kMax    ///< higher
};

/// Options of every tracker.
struct TrackerOptions {
  std::string monitor = "valid_loss";     ///< train_loss, valid_loss or a metric's column name
  TrackerMode mode = TrackerMode::kAuto;  ///< what counts as better
};

/// Base of callbacks that watch one column of the table (fastai: `TrackerCallback`). In several processes the first one's
/// figure counts for all, also where only that one has the column. Lifetime and threads as Callback.
class FASTCPP_API TrackerCallback : public Callback {
 public:
  /// \throws ValueError `value.tracker` without a monitor
  explicit TrackerCallback(const TrackerOptions& options = {});
  void on_train_begin(TrainState&) override;
  Value state() const override;
  void load_state(const Value& state) override;

 protected:
  /// The figure of the last epoch; of several processes, which call it together, the first one's. When the table has no
  /// such column: nothing, and a warning that names the columns there are.
  /// \throws DistributedError `distributed.lost`, `distributed.ended`
  std::optional<double> get_monitor_value() const;
  /// Whether value is better than the best so far by more than min_delta; then it is the best. A figure that is not a
  /// number is never better.
  bool improved(double value, double min_delta = 0);
  /// The column that is watched.
  const std::string& monitor() const { return options_.monitor; }

 private:
  TrackerOptions options_;
  bool lower_is_better_;
  double best_ = 0;
};

/// Options of EarlyStoppingCallback.
struct EarlyStoppingOptions {
  std::string monitor = "valid_loss";
  TrackerMode mode = TrackerMode::kAuto;
  double min_delta = 0;  ///< how much better counts, >= 0
  int patience = 0;      ///< epochs without improvement that are forgiven, >= 0
};

/// Ends the fit when a figure no longer improves (fastai: `EarlyStoppingCallback`). Lifetime and threads as Callback.
class FASTCPP_API EarlyStoppingCallback : public TrackerCallback {
 public:
  /// \throws ValueError `value.tracker` on an option out of range
  explicit EarlyStoppingCallback(const EarlyStoppingOptions& options = {});
  void on_train_begin(TrainState&) override;
  void on_epoch_end(TrainState&) override;
  Value state() const override;
  void load_state(const Value& state) override;

 private:
  EarlyStoppingOptions options_;
  int wait_ = 0;
};

/// When SaveModelCallback saves.
enum class SaveEvery {
  kImprovement,  ///< as `name`, when the figure improves; the best of this fit is loaded at its end
  kEpoch         ///< as `name_<epoch>`
};

/// Options of SaveModelCallback.
struct SaveModelOptions {
  std::string monitor = "valid_loss";
  TrackerMode mode = TrackerMode::kAuto;
  SaveEvery every = SaveEvery::kImprovement;  ///< when it saves
  std::string name = "bestmodel";  ///< file in the model folder, without `.pth`; not empty
};

/// Keeps the best model, or one per epoch (fastai: `SaveModelCallback`). Only what this fit wrote is ever loaded at its
/// end: where no epoch improved, the model keeps its weights and a warning says so. Lifetime and threads as Callback.
class FASTCPP_API SaveModelCallback : public TrackerCallback {
 public:
  /// \throws ValueError `value.tracker` without a monitor, `value.callback_file` without a name
  explicit SaveModelCallback(const SaveModelOptions& options = {});
  void on_train_begin(TrainState&) override;
  /// With `kEpoch`: continues from the file of the epoch before. With `kImprovement` there is no such file: a warning
  /// says that the training goes on from the weights the learner has.
  /// \throws IoError `io.cannot_read` when the file is not there
  void jump_to_epoch(int epoch) override;
  /// \throws IoError `io.cannot_create`, `io.cannot_write`
  void on_epoch_end(TrainState&) override;
  /// \throws as `Learner::load`
  void on_train_end(TrainState&) override;
  Value state() const override;
  void load_state(const Value& state) override;

 private:
  SaveModelOptions options_;
  bool saved_ = false;  // something of this fit is in the file
  bool watched_ = false;
};

/// Options of ReduceLROnPlateauCallback.
struct ReduceLrOnPlateauOptions {
  std::string monitor = "valid_loss";
  TrackerMode mode = TrackerMode::kAuto;
  int patience = 0;       ///< epochs without improvement that are forgiven, >= 0
  double factor = 0.2;    ///< the new rate is the old one times this, 0 < factor < 1
  double min_delta = 0;   ///< how much better counts, >= 0
  double min_lr = 0.001;  ///< rates at or below it stay, >= 0
};

/// Lowers the rate when a figure no longer improves (fastai: `ReduceLROnPlateauCallback`). As there, every layer group
/// then has the last group's rate. Lifetime and threads as Callback.
class FASTCPP_API ReduceLROnPlateauCallback : public TrackerCallback {
 public:
  /// \throws ValueError `value.tracker` on an option out of range
  explicit ReduceLROnPlateauCallback(const ReduceLrOnPlateauOptions& options = {});
  void on_train_begin(TrainState&) override;
  void on_epoch_end(TrainState&) override;
  Value state() const override;
  void load_state(const Value& state) override;

 private:
  ReduceLrOnPlateauOptions options_;
  int wait_ = 0;
};

/// Ends the fit at the first loss that is not a number (fastai: `TerminateOnNaNCallback`). Lifetime and threads as
/// Callback.
class FASTCPP_API TerminateOnNaNCallback : public Callback {
 public:
  void on_batch_end(TrainState&) override;
};

/// Options of TrackEpochCallback.
struct TrackEpochOptions {
  std::string name = "epoch";  ///< file in the model folder, not empty
  std::optional<int> epoch_offset =
      {};  ///< the epoch to begin with, >= 0; absent: the one after the epoch in the file
};

/// Writes down which epoch was finished, so that the next fit goes on after it (fastai: `TrackEpochCallback`). It keeps
/// the number only: take `save_model({.every = SaveEvery::kEpoch})` beside it, which then loads that epoch's model.
///
/// An epoch is written down last, after every callback has done its part of the epoch without an exception. A training
/// that is killed at any moment therefore finds the model that belongs to the number. An epoch that was cut short is
/// not written down. Lifetime and threads as Callback.
class FASTCPP_API TrackEpochCallback : public Callback {
 public:
  /// \throws ValueError `value.callback_file` without a name, `value.start_epoch` on a negative offset
  explicit TrackEpochCallback(const TrackEpochOptions& options = {});
  int order() const override { return -20; }  // before schedules, which follow its epoch
  /// \throws FormatError `train.epoch_file` when the file holds something else than an epoch
  void on_train_begin(TrainState&) override;
  /// \throws IoError `io.cannot_create`, `io.cannot_write`
  void on_epoch_begin(TrainState&) override;
  void on_epoch_end(TrainState&) override;
  /// \throws IoError `io.cannot_create`, `io.cannot_write`
  void on_train_end(TrainState&) override;

  /// The finished epoch in the file, if there is one. The file is the one of the last fit's learner.
  /// \throws FormatError `train.epoch_file`; TrainError `train.no_learner` before the first fit
  std::optional<int> get_completed() const;
  /// Forgets it.
  /// \throws IoError `io.failed` when the file cannot be removed; TrainError `train.no_learner` before the first fit
  void restart() const;
  Value state() const override;
  void load_state(const Value& state) override;

 private:
  Path file() const;
  void write_down();

  TrackEpochOptions options_;
  Path file_;
  std::optional<int> finished_;  // not yet written down
};

/// \name For `callback_fns`: each makes the callback of its name for every fit.
/// \throws ValueError as the callback's constructor, at once
/// @{
/// `EarlyStoppingCallback`.
FASTCPP_API CallbackFn early_stopping(const EarlyStoppingOptions& options = {});
/// `SaveModelCallback`.
FASTCPP_API CallbackFn save_model(const SaveModelOptions& options = {});
/// `ReduceLROnPlateauCallback`.
FASTCPP_API CallbackFn reduce_lr_on_plateau(const ReduceLrOnPlateauOptions& options = {});
/// `TerminateOnNaNCallback`.
FASTCPP_API CallbackFn terminate_on_nan();
/// `TrackEpochCallback`.
FASTCPP_API CallbackFn track_epoch(const TrackEpochOptions& options = {});
/// @}

}  // namespace fastcpp
