/// \file
/// What happened during a training, and its plots.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fastcpp/core/progress.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/train/callback.hpp"

namespace fastcpp::inline v0 {

class Figure;

/// One row of the training table.
struct HistoryRow {
  int epoch = 0;                          ///< from 0
  double train_loss = 0;                  ///< smoothed loss at the last batch
  std::optional<double> valid_loss = {};  ///< absent when nothing was validated
  /// One per metric and added column, in the order of `Recorder::names`; not a number where nothing was measured.
  std::vector<double> metrics = {};
  double seconds = 0;  ///< duration of the epoch
};

/// Options of `Recorder::plot`.
struct RecorderPlotOptions {
  int skip_start = 10;       ///< batches left out at the start
  int skip_end = 5;          ///< batches left out at the end
  bool suggestion = false;   ///< mark the steepest descent
  double dpi = 100;          ///< pixels an inch; the figure has 6 by 4 inches
  bool suggestions = false;  ///< mark what `lr_find` returns: valley, slide, steep and minimum
  bool show_grid = false;    ///< thin lines through the ticks
};

/// Options of `Recorder::plot_losses` and `Recorder::plot_metrics`.
struct RecorderRangeOptions {
  int skip_start = 0;  ///< batches, or validated epochs, left out at the start
  int skip_end = 0;    ///< likewise at the end
  double dpi = 100;    ///< pixels an inch; a panel has 6 by 4 inches
};

/// Options of `Recorder::plot_lr`.
struct RecorderPlotLrOptions {
  bool show_moms = false;  ///< a second panel with the momentum
  int skip_start = 0;      ///< batches left out at the start
  int skip_end = 0;        ///< batches left out at the end
  double dpi = 100;        ///< pixels an inch; a panel has 6 by 4 inches
};

/// A learning rate read off an LR finder's curve.
struct LrSuggestion {
  std::size_t index = 0;      ///< position in the trimmed curve
  double min_grad_lr = 0;     ///< where the smoothed loss falls steepest
  double min_loss_lr_10 = 0;  ///< a tenth of the rate at the lowest loss
  /// Whether to doubt `min_grad_lr`: the loss falls nowhere, or steepest at an end of the curve, as happens with a network
  /// that is trained already. A warning says so.
  bool doubtful = false;
  bool falls = true;  ///< whether the loss falls at `min_grad_lr`
};

/// The learning rate that a curve suggests, as `Recorder::suggest` finds it; nothing with fewer than two points.
/// \param lrs    rates, > 0
/// \param losses as many
FASTCPP_API std::optional<LrSuggestion> suggest_lr(const std::vector<double>& lrs,
                                                   const std::vector<double>& losses);

/// How a fit ended.
enum class FitOutcome {
  kFinished,  ///< all epochs were trained
  kEnded,     ///< a callback asked for the end
  kStopped    ///< the stop token ended it, in the middle of an epoch
};

/// What `lr_find` suggests, and how it ended. Rates are absent where the curve has too few points or no such place.
struct SuggestedLRs {
  std::optional<double> valley = {};  ///< two thirds down the longest fall (fastai 2: `valley`)
  std::optional<double> slide = {};   ///< before the fall ends (fastai 2: `slide`)
  std::optional<double> steep =
      {};  ///< where the loss falls fastest by the rate's logarithm (fastai 2: `steep`)
  std::optional<double> minimum =
      {};  ///< a tenth of the rate at the lowest loss (fastai 2: `minimum`)
  FitOutcome outcome = FitOutcome::kFinished;  ///< kStopped: by the stop token
  /// Whether two are alike in all.
  bool operator==(const SuggestedLRs&) const = default;
};

/// The suggestions for a curve, as `lr_find` makes them.
/// \param lrs    rates, > 0, rising
/// \param losses as many
/// \returns without rates where there are fewer than two points or another number of losses
FASTCPP_API SuggestedLRs suggested_lrs(const std::vector<double>& lrs,
                                       const std::vector<double>& losses);

/// What was recorded of one fit, or of one search for a learning rate. A value.
struct FitRecord {
  bool lr_find = false;                        ///< a search, not a training
  std::vector<double> lrs = {};                ///< as in `Recorder`, as long as `losses`
  std::vector<double> moms = {};               ///< likewise
  std::vector<double> losses = {};             ///< smoothed loss, per training batch
  std::vector<std::int64_t> nb_batches = {};   ///< training batches, per epoch
  std::vector<std::string> metric_names = {};  ///< of `HistoryRow::metrics`
  std::vector<HistoryRow> history = {};        ///< the rows of the table
};

/// Keeps rates, losses and metrics of the last fit and shows the table (fastai: `Recorder`). A learner has one for its
/// life; every fit begins it anew. Columns, time and sink are the learner's. Used from the thread that trains.
class FASTCPP_API Recorder : public Callback {
 public:
  int order() const override { return -10; }
  bool in_lr_find() const override { return true; }
  void on_train_begin(TrainState&) override;
  void on_epoch_begin(TrainState&) override;
  void on_batch_begin(TrainState&) override;
  void on_batch_end(TrainState&) override;
  void on_epoch_end(TrainState&) override;
  Value state() const override;
  /// Also shows the rows of the epochs that were done.
  void load_state(const Value& state) override;

  /// The last figure of a column: `train_loss`, `valid_loss` or a metric's; nothing where the last epoch has none.
  std::optional<double> last_value(const std::string& column) const;

  std::vector<double> lrs;                   ///< rate of the last layer group, per training batch
  std::vector<double> moms;                  ///< momentum likewise
  std::vector<double> losses;                ///< smoothed loss, per training batch
  std::vector<double> val_losses;            ///< per epoch
  std::vector<std::vector<double>> metrics;  ///< per epoch
  std::vector<std::int64_t> nb_batches;      ///< training batches, per epoch
  std::vector<std::string> names;            ///< column names
  std::vector<HistoryRow> history;           ///< the rows of the table
  std::optional<double> min_grad_lr;         ///< set by `suggest` and by `plot` with a suggestion

  // The four plots are defined in the room `interpret`, as fastai adds methods to a class from a module above it:
  // training needs no figures. To use them, include <fastcpp/vision.hpp> or <fastcpp/plot/figure.hpp>.

  /// Loss against learning rate on a logarithmic axis (fastai: `recorder.plot`).
  /// A suggestion is a red dot, a doubtful one a grey dot that says so.
  /// \throws TrainError `train.nothing_recorded` before the first fit
  Figure plot(const RecorderPlotOptions& options = {});
  /// Learning rate per batch, with momentum two panels (fastai: `plot_lr`).
  /// \throws TrainError `train.nothing_recorded`
  Figure plot_lr(const RecorderPlotLrOptions& options = {}) const;
  /// Training loss per batch and validation loss per validated epoch (fastai: `plot_losses`).
  /// \throws TrainError `train.nothing_recorded`
  Figure plot_losses(const RecorderRangeOptions& options = {}) const;
  /// One panel per metric, a point per validated epoch (fastai: `plot_metrics`).
  /// \throws TrainError `train.no_metrics` when there are none, or no epoch was validated
  Figure plot_metrics(const RecorderRangeOptions& options = {}) const;
  /// The rate where the curve falls steepest, and a tenth of the rate at its minimum; nothing when there are too few
  /// points. Tells them to the log as fastai prints them.
  /// \throws TrainError `train.nothing_recorded`
  std::optional<LrSuggestion> suggest(const RecorderPlotOptions& options = {});

  /// The rates that the curve of the last fit suggests, as `lr_find` gives them: without the first tenth of the points and
  /// the last five. Nothing is told or drawn.
  SuggestedLRs suggested_lrs() const;

  /// Adds columns behind the metrics to the table of the fit that begins (fastai: `add_metric_names`). Called in
  /// `on_train_begin` by a callback that runs before the recorder: its `order()` is below -10.
  /// \throws ValueError `value.column` when the table has such a column, or later in a fit
  void add_metric_names(const std::vector<std::string>& columns);
  /// Figures of added columns for the epoch under way (fastai: `add_metrics`). Called before the recorder writes the row: at
  /// the latest in `on_epoch_end` of such a callback. A column without a figure is not a number in that row.
  /// \param figures name and value
  /// \throws ValueError `value.column` on a name that was not added
  void add_metrics(const std::vector<std::pair<std::string, double>>& figures);

  /// All fits and searches of the learner that trained a batch, the last one included (fastai keeps the last one only).
  std::vector<FitRecord> fits() const;

  /// The history as CSV: a header line and the table's cells.
  std::string csv() const;

 private:
  friend class Learner;
  FitRecord record() const;
  // From now on until it begins, columns are added.
  void expect_names();
  TableRow table_row(const HistoryRow& row) const;
  void need_losses() const;
  // Rates of the batches whose loss is known: a fit may end in the middle of a batch.
  std::vector<double> rates() const;
  // [skip_start, size - skip_end), as the reference trims its curves.
  static std::vector<double> trimmed(const std::vector<double>& values, int skip_start,
                                     int skip_end);

  std::vector<std::string> metric_names_;  // the added ones last
  std::vector<std::string> added_names_;
  std::vector<double> added_;   // of this epoch
  bool expects_names_ = false;  // a fit begins, and the recorder has not begun
  bool add_time_ = true;
  std::shared_ptr<ProgressSink> sink_;
  double epoch_start_ = 0;
  std::vector<FitRecord> earlier_;
  bool lr_find_ = false, next_lr_find_ = false;  // of this fit; of the one that begins
};

}  // namespace fastcpp
