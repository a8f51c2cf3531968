/// \file
/// A learner for tables.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fastcpp/data/data_bunch.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/train/learner.hpp"

namespace fastcpp::inline v0 {

/// Options of `tabular_learner`, in fastai's order; those from `opt_func` on belong to the learner.
struct TabularLearnerOptions {
  std::vector<std::int64_t> layers = {};  ///< widths of the hidden layers
  /// Widths of embeddings that are not those of `emb_sz_rule`, by column
  std::map<std::string, std::int64_t> emb_szs = {};
  std::vector<Metric> metrics = {};  ///< columns of the table
  std::vector<double> ps = {};       ///< as in TabularModelOptions, as the next ones
  double emb_drop = 0;
  std::optional<std::pair<double, double>> y_range = {};
  bool use_bn = true;
  OptFunc opt_func = adam();  ///< as in LearnerOptions, from here on
  Loss loss_func = {};
  bool true_wd = true;
  bool bn_wd = true;
  double wd = 1e-2;
  bool train_bn = true;
  std::optional<Path> path = {};
  Path model_dir = "models";
  std::vector<CallbackFn> callback_fns = {};
  std::vector<std::shared_ptr<Callback>> callbacks = {};
  bool add_time = true;
  bool silent = false;
  std::shared_ptr<ProgressSink> progress = {};
  std::optional<std::uint64_t> seed = {};  ///< of the initial weights; absent: the data's
};

/// A learner over a TabularModel that fits the data (fastai: `tabular_learner`). One layer group, nothing frozen.
/// \param data a TabularDataBunch, or what a learner keeps of one
/// \throws ValueError `value.tabular_data` when they are no table; as TabularModelImpl and Learner's constructor
FASTCPP_API Learner tabular_learner(const DataBunch& data,
                                    const TabularLearnerOptions& options = {});

}  // namespace fastcpp
