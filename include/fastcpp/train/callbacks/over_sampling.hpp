/// \file
/// Training on classes in equal shares, however many items each has.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "fastcpp/data/data_bunch.hpp"
#include "fastcpp/data/sampler.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/train/callback.hpp"
#include "fastcpp/train/learner.hpp"

namespace fastcpp::inline v0 {

/// The weight of each training item that makes all classes equally likely: 1 / number of training items of its class. For
/// a WeightedRandomSampler: `DataBunchOptions::sampler` keeps it for good, OverSamplingCallback for one fit.
/// \throws ValueError `value.targets` unless each item has one class; DataError `data.no_targets` when the training set does
/// not tell its targets
FASTCPP_API std::vector<double> balanced_weights(const DataBunch& data);

/// Options of OverSamplingCallback and UnderSamplingCallback.
struct ClassSamplingOptions {
  /// How likely each training item is drawn, >= 0; empty: `balanced_weights`
  std::vector<double> weights = {};
};

/// What over- and under-sampling share: the learner's training loader is replaced during a fit by one that draws with
/// replacement by weights, of the same batch size; the former loader always comes back, after a failure too. Validation is
/// untouched. Features precomputed by `Learner::precompute` are of the former loader and are dropped, with a warning.
/// Belongs to one learner at a time; called from the thread that trains.
class FASTCPP_API ClassSamplingCallback : public Callback {
 public:
  /// Before schedules, which count the batches of an epoch.
  int order() const override { return -20; }
  /// \throws ValueError `value.targets` unless each item has one class, `value.weights` on other than one weight an item,
  /// `value.sampler` when another one takes part in the fit; DataError `data.no_targets`; TrainError `train.empty_loader`
  /// when the drawn items make no batch
  void on_train_begin(TrainState&) override;
  void on_train_end(TrainState&) override;

 protected:
  /// How many items an epoch draws of each class.
  enum class Count { kOfLargest, kOfSmallest };
  /// For the two below.
  ClassSamplingCallback(const ClassSamplingOptions& options, Count count);

 private:
  ClassSamplingOptions options_;
  Count count_;
  std::optional<DataBunch> old_;            // of the learner, while another one is in its place
  std::shared_ptr<const Sampler> sampler_;  // of the one in place
};

/// Draws small classes as often as the largest one (fastai: `OverSamplingCallback`): number of classes times items of the
/// largest class an epoch. Lifetime and threads as Callback.
class FASTCPP_API OverSamplingCallback : public ClassSamplingCallback {
 public:
  /// \throws ValueError `value.weights` on weights that nothing can be drawn by
  explicit OverSamplingCallback(const ClassSamplingOptions& options = {})
      : ClassSamplingCallback(options, Count::kOfLargest) {}
};

/// Draws large classes as seldom as the smallest one that occurs (fastai: `UnderSamplingCallback`): number of classes times
/// its items an epoch. Lifetime and threads as Callback.
class FASTCPP_API UnderSamplingCallback : public ClassSamplingCallback {
 public:
  /// \throws ValueError `value.weights` on weights that nothing can be drawn by
  explicit UnderSamplingCallback(const ClassSamplingOptions& options = {})
      : ClassSamplingCallback(options, Count::kOfSmallest) {}
};

/// \name For `callback_fns`: each makes the callback of its name for every fit.
/// \throws ValueError as the callback's constructor, at once
/// @{
/// `OverSamplingCallback`.
FASTCPP_API CallbackFn over_sampling(const ClassSamplingOptions& options = {});
/// `UnderSamplingCallback`.
FASTCPP_API CallbackFn under_sampling(const ClassSamplingOptions& options = {});
/// @}

}  // namespace fastcpp
