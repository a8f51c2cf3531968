/// \file
/// Callbacks that add columns to the table, and one that writes it as JSON.
///
/// A callback belongs to one learner at a time and is called from the thread that trains. Factories (`json_logger`, …)
/// make a new one for every fit; they are what `LearnerOptions::callback_fns` takes.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fastcpp/core/path.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/train/callback.hpp"
#include "fastcpp/train/learner.hpp"

namespace fastcpp::inline v0 {

/// What a loss was made of, by name: scalars that the loss's function puts there for each batch (fastai:
/// `loss_func.metrics`).
using LossParts = std::map<std::string, torch::Tensor>;

/// Adds the parts of a loss as columns: means over the validation items (fastai: `LossMetrics`). Lifetime and threads as
/// Callback.
/// \code
/// auto parts = std::make_shared<LossParts>();
/// Loss loss("pixel + feature", [parts](const Tensors& output, const Tensors& target) { …; (*parts)["pixel"] = pixel; … });
/// learn.callback_fns().push_back(loss_metrics({"pixel", "feature"}, parts));
/// \endcode
class FASTCPP_API LossMetrics : public Callback {
 public:
  /// \param names columns (fastai: `loss_func.metric_names`)
  /// \param parts what the loss fills; shared
  /// \throws ValueError `value.loss_metrics` without names or without parts
  LossMetrics(std::vector<std::string> names, std::shared_ptr<LossParts> parts);
  int order() const override { return -20; }
  /// \throws ValueError `value.column` when the table has such a column
  void on_train_begin(TrainState&) override;
  void on_epoch_begin(TrainState&) override;
  /// \throws ValueError `value.loss_metrics` when the loss left a part out, or it is no single number
  void on_batch_end(TrainState&) override;
  void on_epoch_end(TrainState&) override;

 private:
  void forget();

  std::vector<std::string> names_;
  std::shared_ptr<LossParts> parts_;
  std::vector<double> sums_;
  double items_ = 0;
};

/// Adds two columns with the memory of the process, in MB of 2^20 bytes (fastai: `CpuPeakMemMetric`): `cpu used`, what is
/// resident when the epoch ends, and `cpu peak`, the most that was resident at any moment since the process started, which
/// never falls. Both are of the whole process, with LibTorch's code and what was there before the fit; neither is what the
/// epoch added. What it added to `cpu used` is the difference to the row above. fastai's figures are of Python's own objects
/// made since the epoch began, and have no counterpart here. Lifetime and threads as Callback.
class FASTCPP_API CpuPeakMemMetric : public Callback {
 public:
  int order() const override { return -20; }
  /// \throws ValueError `value.column` when the table has such a column
  void on_train_begin(TrainState&) override;
  void on_epoch_end(TrainState&) override;
};

/// The columns of CpuPeakMemMetric and, where the data are on a CUDA device, two more with that device's memory (fastai:
/// `PeakMemMetric`): `gpu used`, what all processes together have of it when the epoch ends, and `gpu peak`, the most after
/// a batch of the epoch, training or validation, and never less than `gpu used`. What is taken within a batch only shows as
/// far as LibTorch's cache keeps it. fastai's are differences instead: what the epoch added, and how far it went beyond that
/// for a time. Not a number where CUDA does not tell. Lifetime and threads as Callback.
class FASTCPP_API PeakMemMetric : public CpuPeakMemMetric {
 public:
  void on_train_begin(TrainState&) override;
  void on_epoch_begin(TrainState&) override;
  void on_batch_end(TrainState&) override;
  void on_epoch_end(TrainState&) override;

 private:
  double peak_ = 0;
};

/// Options of JSONLogger.
struct JSONLoggerOptions {
  std::string filename = "history";  ///< below the learner's path, without `.jsonl`; not empty
  bool append = false;               ///< keep the lines that the file holds
};

/// Writes the table into `<path>/<filename>.jsonl`: a line for each epoch, an object with a key for each column, numbers in
/// full precision, seconds as `time`, null for what is not known or no finite number.
///
/// A line is written at once and flushed to the disk: a process that is killed leaves whole lines. Should a power failure
/// leave half a line, it is cut off when the file is appended to. A line that cannot be written ends the training, and no
/// part of it stays. Lifetime and threads as Callback.
class FASTCPP_API JSONLogger : public Callback {
 public:
  /// \throws ValueError `value.callback_file` without a filename
  explicit JSONLogger(const JSONLoggerOptions& options = {});
  bool first_process_only() const override { return true; }
  /// \throws IoError `io.cannot_create`, `io.cannot_read`, `io.cannot_write`
  void on_train_begin(TrainState&) override;
  /// \throws IoError `io.cannot_write`
  void on_epoch_end(TrainState&) override;
  Value state() const override;
  /// Takes lines back that were written after the checkpoint; where lines are missing, those of the fit are written anew.
  /// \throws IoError `io.cannot_write`
  void load_state(const Value& state) override;

 private:
  JSONLoggerOptions options_;
  Path file_;
  std::uintmax_t start_ = 0;  // its length when the fit began
};

/// \name For `callback_fns`: each makes the callback of its name for every fit.
/// \throws ValueError as the callback's constructor, at once
/// @{
/// `LossMetrics`.
FASTCPP_API CallbackFn loss_metrics(std::vector<std::string> names,
                                    std::shared_ptr<LossParts> parts);
/// `CpuPeakMemMetric`.
FASTCPP_API CallbackFn cpu_peak_mem_metric();
/// `PeakMemMetric`.
FASTCPP_API CallbackFn peak_mem_metric();
/// `JSONLogger`.
FASTCPP_API CallbackFn json_logger(const JSONLoggerOptions& options = {});
/// @}

}  // namespace fastcpp
