/// \file
/// Which columns of a table a model's predictions rest on.
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "fastcpp/data/table.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/plot/figure.hpp"
#include "fastcpp/train/learner.hpp"

namespace fastcpp::inline v0 {

/// Options of `FeatureImportance::from_learner`.
struct FeatureImportanceOptions {
  DatasetType ds_type = DatasetType::Valid;  ///< whose rows; `Train` means `Fix`
  int repeats = 1;                           ///< shuffles of each column, 1..1000
  std::optional<std::uint64_t> seed = {};    ///< of the shuffles; absent: `set_seed`'s
  std::optional<std::int64_t> rows = {};     ///< at most so many, drawn by the seed; absent: all
  /// One of the learner's metrics by its name, whose fall counts; absent: the loss, whose growth counts
  std::optional<std::string> metric = {};
  bool lower_is_better = false;  ///< of the metric, as of `error_rate`: its growth counts
  std::stop_token stop = {};     ///< ends it between two batches
};

/// How much a model's predictions rest on one column.
struct ColumnImportance {
  std::string column;     ///< its name
  double importance = 0;  ///< how much worse loss or metric are without it, mean of the repeats
  double deviation = 0;   ///< of the repeats, n - 1 in the denominator; 0 of a single one
};

/// Options of `FeatureImportance::plot`.
struct FeatureImportancePlotOptions {
  std::int64_t k = 20;  ///< at most so many columns, most important first, >= 1
  std::optional<std::pair<double, double>> figsize =
      {};            ///< inches; absent: wide enough for the names
  double dpi = 100;  ///< pixels an inch
};

/// Permutation importance (Breiman 2001; Fisher, Rudin, Dominici 2018, arXiv:1801.01489): the cells of one column change
/// places among the rows, and what the model loses by that is the column's importance. About 0: the model does not need
/// it, or has the same from another column; below 0: it is misled. Nothing is said of causes.
///
/// A column of holes that FillMissing adds (`age_na`) goes with its `age`: they are one column of the table that was given.
/// Ratings have two, users and items. A value: copies share nothing. Threads: const calls by any number at once.
class FASTCPP_API FeatureImportance {
 public:
  /// Predicts the rows once, and once more for each column and repeat. The learner is not changed, nor its data, nor any state
  /// of random numbers; needs the matrices of the rows once more. The same seed gives the same figures.
  /// \throws DataError `data.no_table` when the items are no rows, `data.empty` without any, `data.no_labels` when they have no
  ///   targets; ValueError `value.repeats`, `value.rows`, `value.metric`; TrainError `train.stopped`; as `Learner::get_preds`, with a metric `Learner::validate`
  static FeatureImportance from_learner(Learner learn,
                                        const FeatureImportanceOptions& options = {});

  /// A column each, most important first, equal ones in the table's order.
  const std::vector<ColumnImportance>& columns() const { return columns_; }
  /// Mean loss or metric of the rows as they are.
  double baseline() const { return baseline_; }
  /// What is measured: `loss`, or the metric's name.
  const std::string& measure() const { return measure_; }
  /// The columns `column` and `importance`, with several repeats `deviation` too; most important first.
  Table table() const;
  /// A bar for each column, most important first; with several repeats a stroke one deviation up and down. Names are cut
  /// behind 24 letters.
  /// \throws ValueError `value.k`, `value.figure_size`
  Figure plot(const FeatureImportancePlotOptions& options = {}) const;

 private:
  std::vector<ColumnImportance> columns_;
  std::string measure_;
  double baseline_ = 0;
  bool falls_ = false;  // what the columns hold up falls without them, as accuracy does
  int repeats_ = 1;
};

}  // namespace fastcpp
