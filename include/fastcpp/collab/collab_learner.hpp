/// \file
/// A learner for ratings, and what it learnt of users and items.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fastcpp/data/table.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/plot/figure.hpp"
#include "fastcpp/tabular/processor.hpp"
#include "fastcpp/train/learner.hpp"

namespace fastcpp::inline v0 {

/// Whether names are those of items or of users.
enum class CollabSide { kItem, kUser };

/// Options of `CollabLearner::plot_components`.
struct ComponentsPlotOptions {
  CollabSide side = CollabSide::kItem;  ///< items, or users
  std::int64_t n = 50;                  ///< how many, those with the most training ratings; >= 1
  std::vector<Cell> names = {};         ///< instead: these
  std::int64_t x = 0;         ///< component along the x axis, 0 differs the most; < n_factors
  std::int64_t y = 1;         ///< component along the y axis, likewise
  std::int64_t among = 1000;  ///< components are those of so many with the most ratings; >= 1
  double width = 12;          ///< inches, > 0 (fastai: `figsize`)
  double height = 9;          ///< inches, > 0
  double dpi = 100;           ///< pixels an inch of the PNG, > 0
};

/// A learner over ratings (fastai: `CollabLearner`). A handle as Learner, and made of any learner of such data, for example one
/// that `load_learner` gave. Reading what was learnt leaves the model as it is. Threads as Learner.
class FASTCPP_API CollabLearner : public Learner {
 public:
  /// \throws ValueError `value.collab_data` when its data are no ratings
  explicit CollabLearner(const Learner& learn);

  /// Codes of users or items by their names or numbers (fastai: `get_idx`); `#na#` is a name.
  /// \throws DataError `data.not_trained` naming the first that the training data do not have
  std::vector<std::int64_t> get_idx(const std::vector<Cell>& arr,
                                    CollabSide side = CollabSide::kItem) const;
  /// The bias of each, n (fastai: `bias`): how much better than its factors say it is rated.
  /// \throws as `get_idx`; ValueError `value.collab_data` for a network, which has none
  torch::Tensor bias(const std::vector<Cell>& arr, CollabSide side = CollabSide::kItem) const;
  /// The factors of each, n x n_factors (fastai: `weight`).
  /// \throws as `get_idx`
  torch::Tensor weight(const std::vector<Cell>& arr, CollabSide side = CollabSide::kItem) const;
  /// Names of all items or users that were trained, in the order of their codes from 1 on.
  std::vector<std::string> names(CollabSide side = CollabSide::kItem) const;
  /// The n lowest and the n highest biases, lowest first: a table with the columns `name` and `bias`.
  /// \param n >= 1
  /// \throws ValueError `value.rows`; as `bias`
  Table extremes(std::int64_t n = 10, CollabSide side = CollabSide::kItem) const;
  /// The n items whose factors point the most like those of one: a table with the columns `name` and `similarity` (cosine).
  /// \throws ValueError `value.rows`; as `weight`
  Table nearest(const Cell& name, std::int64_t n = 10, CollabSide side = CollabSide::kItem) const;
  /// Names of the items or users with the most training ratings, the most first; of equals, and without training data, in the
  /// order of their codes.
  /// \param n >= 1; all when there are fewer
  /// \throws ValueError `value.rows`
  std::vector<std::string> most_rated(std::int64_t n = 50,
                                      CollabSide side = CollabSide::kItem) const;
  /// Items as points of a plane, by two principal components of their factors, with their names beside them (the last figure of
  /// fastai's lesson). Near ones are liked by the same people. Names do not overlap; see `Axes::annotate`. Of a component the
  /// item that is the farthest out has a positive figure.
  /// \throws ValueError `value.rows`, `value.pca` on a component that is not there, `value.figure_size`; as `weight`
  Figure plot_components(const ComponentsPlotOptions& options = {}) const;

 private:
  std::shared_ptr<const TabularProcessor> processor_;
};

/// Options of `collab_learner`, in fastai's order; those from `opt_func` on belong to the learner.
struct CollabLearnerOptions {
  std::optional<std::int64_t> n_factors = {};  ///< numbers for each user and item; not of a network
  bool use_nn = false;                         ///< a network instead of a product
  std::map<std::string, std::int64_t> emb_szs =
      {};                                 ///< widths of a network's embeddings, by column
  std::vector<std::int64_t> layers = {};  ///< of a network, as the next ones
  std::vector<double> ps = {};
  double emb_drop = 0;
  std::optional<std::pair<double, double>> y_range = {};  ///< ratings lie between these
  bool use_bn = true;
  bool bn_final = false;
  OptFunc opt_func = adam();  ///< as in LearnerOptions, from here on
  Loss loss_func = {};
  std::vector<Metric> metrics = {};
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

/// A learner over EmbeddingDotBias, or EmbeddingNN with `use_nn` (fastai: `collab_learner`).
/// \param data a CollabDataBunch, or what a learner keeps of one
/// \throws ValueError `value.collab_data` when they are no ratings, `value.collab_model` without n_factors,
///   `value.tabular_model`; as Learner's constructor
FASTCPP_API CollabLearner collab_learner(const DataBunch& data,
                                         const CollabLearnerOptions& options = {});

}  // namespace fastcpp
