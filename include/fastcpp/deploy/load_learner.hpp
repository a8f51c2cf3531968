/// \file
/// A learner out of a file.
#pragma once

#include <optional>

#include <torch/types.h>

#include "fastcpp/core/path.hpp"
#include "fastcpp/data/paths.hpp"
#include "fastcpp/data/table.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/train/learner.hpp"

namespace fastcpp::inline v0 {

/// Options of `load_learner`.
struct LoadLearnerOptions {
  std::optional<Paths> test =
      {};  ///< pictures to predict by `get_preds(DatasetType::Test)` (fastai: `test`)
  /// Rows to predict likewise, of a model that learnt from a table; they need no target
  std::optional<Table> test_df = {};
  LearnerOptions learner =
      {};  ///< what no file can hold: metrics, optimizer, callbacks; its `loss_func` replaces the file's
  std::optional<torch::Device> device = {};  ///< absent: CUDA if there is a device, else CPU
  std::int64_t bs = 64;                      ///< items a batch
};

/// The learner that `Learner::export_model` wrote, without training items: it predicts, and trains on when it is given data
/// (`set_data`). All layers are one group, and nothing is frozen (fastai: `load_learner`).
/// \param file what `export_model` wrote; its folder becomes the learner's `path()`
/// \throws as Predictor's constructor; DataError `data.no_pictures` on test pictures for a model of other items, `data.no_table`
/// on a test table for one of other items
FASTCPP_API Learner load_learner(const Path& file, const LoadLearnerOptions& options = {});

}  // namespace fastcpp
