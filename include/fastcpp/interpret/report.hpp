/// \file
/// What a learner's report shows.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>

#include "fastcpp/data/data_bunch.hpp"

namespace fastcpp::inline v0 {

/// Options of `Learner::report`.
///
/// ```cpp
/// learn.fit_one_cycle(4);
/// learn.report("report.html", {.title = "Cats and dogs", .top_losses = 24});
/// ```
struct ReportOptions {
  DatasetType ds_type =
      DatasetType::Valid;                 ///< whose predictions are shown; `Fix` for training items
  std::string title = "Training report";  ///< of the page
  std::int64_t top_losses = 12;           ///< items with the largest losses, 0..200
  std::int64_t pair_pictures = 6;         ///< pictures for each cell of the confusion matrix, 0..50
  int picture_size = 192;                 ///< longest side of a picture, in pixels, 16..1024
  bool heatmaps = true;                   ///< where the network looked, beside the top losses
  int importance_repeats = 3;  ///< shuffles of each column of a table, 0..100; 0: no importances
  std::stop_token stop = {};   ///< ends it between two batches or pictures
};

}  // namespace fastcpp
