/// \file
/// Rows of a table beside what a model says of them.
#pragma once

#include <cstdint>
#include <optional>

#include "fastcpp/data/table.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/train/learner.hpp"

namespace fastcpp::inline v0 {

/// Options of `result_rows`.
struct ResultRowsOptions {
  std::int64_t rows = 5;                     ///< at most so many, cut to a batch, >= 1
  DatasetType ds_type = DatasetType::Valid;  ///< of which set
  std::optional<double> thresh = {};  ///< of several classes: those with at least this; absent: 0.5
};

/// The first rows of a batch in words: a column for each of the table's, then `target` and `prediction` (fastai:
/// `learn.show_results` of a table, which prints them). Print it, or write it as CSV; `Learner::show_results`
/// draws it.
/// \param learn over a table or ratings; nothing of it changes
/// \throws DataError `data.no_table` when the items are no rows; ValueError `value.rows`; as `Learner::pred_batch`
FASTCPP_API Table result_rows(Learner learn, const ResultRowsOptions& options = {});

}  // namespace fastcpp
