/// \file
/// A training written down for TensorBoard.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "fastcpp/core/path.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/train/callback.hpp"
#include "fastcpp/train/learner.hpp"

namespace fastcpp::inline v0 {

class SummaryWriter;

/// Options of LearnerTensorboardWriter, in fastai's order.
struct LearnerTensorboardWriterOptions {
  Path base_dir = "tensorboard";  ///< folder of all runs: below the learner's path, or absolute
  std::string name = {};  ///< folder of this run in it, as TensorBoard shows it; empty: base_dir
  int loss_iters = 25;    ///< training batches from one loss to the next, >= 1
  int hist_iters = 500;   ///< likewise from one set of histograms of the weights to the next
  int stats_iters = 100;  ///< likewise from one set of figures of the gradients to the next
};

/// Writes a fit for TensorBoard: `tensorboard --logdir <base_dir>` (fastai: `LearnerTensorboardWriter`).
///
/// | tag | what | when |
/// | --- | --- | --- |
/// | `metrics/train_loss` | loss of the batch, not smoothed | every `loss_iters` |
/// | `metrics/valid_loss`, `metrics/<metric>` | the columns of the table | every epoch |
/// | `model/weights/<parameter>` | histogram | every `hist_iters` |
/// | `model_stats/gradients/…` | norms, means, medians, extremes, number of zeros of the gradients | every `stats_iters` |
/// | `batch/train` | the first pictures that reach the model, where its input is pictures | once |
/// | graph | the tree of layers (`SummaryWriter::add_graph`) | once |
///
/// Steps count training batches of the fit, from 0; as in fastai nothing is written at step 0 but pictures and graph. A
/// fit that goes on at a later epoch or batch counts from there, and TensorBoard forgets what a killed one wrote beyond.
/// Another fit into the same folder is drawn over the first: give it a name of its own. Lifetime and threads as Callback.
class FASTCPP_API LearnerTensorboardWriter : public Callback {
 public:
  /// \throws ValueError `value.summary` on a number of batches < 1
  explicit LearnerTensorboardWriter(const LearnerTensorboardWriterOptions& options = {});
  bool first_process_only() const override { return true; }
  /// After what changes batches and gradients.
  int order() const override { return 50; }
  void on_train_begin(TrainState&) override;
  /// \throws IoError `io.cannot_create`, `io.cannot_write`; likewise those that follow
  void on_epoch_begin(TrainState&) override;
  void on_batch_begin(TrainState&) override;
  void on_backward_end(TrainState&) override;
  void on_batch_end(TrainState&) override;
  void on_epoch_end(TrainState&) override;
  void on_train_end(TrainState&) override;
  /// How steps are counted, and whether the pictures are written.
  Value state() const override;
  void load_state(const Value& state) override;

 private:
  void open(const TrainState& state);
  std::int64_t step(const TrainState& state) const { return offset_ + state.iteration; }
  bool due(const TrainState& state, int every) const;
  void write_gradients(std::int64_t at) const;
  void write_pictures(const TrainState& state) const;

  LearnerTensorboardWriterOptions options_;
  std::shared_ptr<SummaryWriter> writer_;
  std::int64_t offset_ = 0;  // batches of the epochs before, where the fit does not count them
  bool drawn_ = false, counted_ = false;  // counted_: offset_ is known
};

/// For `callback_fns`: makes a LearnerTensorboardWriter for every fit.
/// \throws ValueError `value.summary` as its constructor, at once
FASTCPP_API CallbackFn
learner_tensorboard_writer(const LearnerTensorboardWriterOptions& options = {});

}  // namespace fastcpp
