/// \file
/// Callbacks that watch a figure from epoch to epoch.
#pragma once

#include <optional>
#include <string>

#include "fastcpp/core/path.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/train/callback.hpp"

namespace fastcpp {

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

/// Base of callbacks that watch one column of the table (fastai: `TrackerCallback`).
class FASTCPP_API TrackerCallback : public Callback {
 public:
  explicit TrackerCallback(const TrackerOptions& options = {});
  void on_train_begin(TrainState&) override;

 protected:
  /// The figure of the last epoch. When the table has no such column: nothing, and a warning.
  std::optional<double> get_monitor_value() const;
  /// Whether value is better than the best so far by more than min_delta; then it is the best.
  bool improved(double value, double min_delta = 0);
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
  int patience = 0;      ///< epochs without improvement that are forgiven
};

/// Ends the fit when a figure no longer improves (fastai: `EarlyStoppingCallback`).
class FASTCPP_API EarlyStoppingCallback : public TrackerCallback {
 public:
  explicit EarlyStoppingCallback(const EarlyStoppingOptions& options = {});
  void on_train_begin(TrainState&) override;
  void on_epoch_end(TrainState&) override;

 private:
  double min_delta_;
  int patience_, wait_ = 0;
};

/// When SaveModelCallback saves.
enum class SaveEvery {
  kImprovement,  ///< as `name`, when the figure improves; the best is loaded at the end
  kEpoch         ///< as `name_<epoch>`
};

/// Options of SaveModelCallback.
struct SaveModelOptions {
  std::string monitor = "valid_loss";
  TrackerMode mode = TrackerMode::kAuto;
  SaveEvery every = SaveEvery::kImprovement;
  std::string name = "bestmodel";  ///< file in the model folder, without `.pth`
};

/// Keeps the best model, or one per epoch (fastai: `SaveModelCallback`).
class FASTCPP_API SaveModelCallback : public TrackerCallback {
 public:
  explicit SaveModelCallback(const SaveModelOptions& options = {});
  /// Continues from the file of the epoch before.
  void jump_to_epoch(int epoch) override;
  void on_epoch_end(TrainState&) override;
  void on_train_end(TrainState&) override;

 private:
  SaveEvery every_;
  std::string name_;
};

/// Options of ReduceLROnPlateauCallback.
struct ReduceLrOnPlateauOptions {
  std::string monitor = "valid_loss";
  TrackerMode mode = TrackerMode::kAuto;
  int patience = 0;       ///< epochs without improvement that are forgiven
  double factor = 0.2;    ///< the new rate is the old one times this, 0 < factor < 1
  double min_delta = 0;   ///< how much better counts, >= 0
  double min_lr = 0.001;  ///< rates at or below it stay
};

/// Lowers the rate when a figure no longer improves (fastai: `ReduceLROnPlateauCallback`). As
/// there, every layer group then has the last group's rate.
class FASTCPP_API ReduceLROnPlateauCallback : public TrackerCallback {
 public:
  explicit ReduceLROnPlateauCallback(const ReduceLrOnPlateauOptions& options = {});
  void on_train_begin(TrainState&) override;
  void on_epoch_end(TrainState&) override;

 private:
  ReduceLrOnPlateauOptions options_;
  int wait_ = 0;
};

/// Ends the fit at the first loss that is not a number (fastai: `TerminateOnNaNCallback`).
class FASTCPP_API TerminateOnNaNCallback : public Callback {
 public:
  void on_batch_end(TrainState&) override;
};

/// Writes down which epoch was finished, so that the next fit goes on after it (fastai:
/// `TrackEpochCallback`).
class FASTCPP_API TrackEpochCallback : public Callback {
 public:
  /// \param name         file in the model folder
  /// \param epoch_offset the epoch to begin with; absent: the one after the epoch in the file
  explicit TrackEpochCallback(std::string name = "epoch", std::optional<int> epoch_offset = {});
  int order() const override { return -20; }  // before schedules, which follow its epoch
  void on_train_begin(TrainState&) override;
  void on_epoch_end(TrainState&) override;

  /// The finished epoch in the file, if there is one.
  std::optional<int> get_completed() const;
  /// Forgets it.
  void restart() const;

 private:
  Path file() const;
  std::string name_;
  std::optional<int> epoch_offset_;
};

}  // namespace fastcpp
