/// \file
/// What came out of a classifier: losses, confusion, heat maps.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fastcpp/export.hpp"
#include "fastcpp/interpret/grad_cam.hpp"
#include "fastcpp/plot/figure.hpp"
#include "fastcpp/train/learner.hpp"

namespace fastcpp {

/// A pair of classes that were taken for each other.
struct Confusion {
  std::string actual;
  std::string predicted;
  std::int64_t count = 0;
};

/// fastai's printed form: `[('Ragdoll', 'Birman', 5), ('Birman', 'Ragdoll', 3)]`.
FASTCPP_API std::string to_string(const std::vector<Confusion>& pairs);

/// The largest losses and whose they are.
struct TopLosses {
  torch::Tensor losses;               ///< k values, best first
  std::vector<std::int64_t> indices;  ///< k indices into the data set
};

/// Options of `plot_confusion_matrix`.
struct ConfusionPlotOptions {
  bool normalize = false;  ///< divide each row by its sum
  std::string title = "Confusion matrix";
  std::string cmap = "Blues";
  int norm_dec = 2;      ///< decimals when normalised
  bool plot_txt = true;  ///< write the numbers into the cells
  std::optional<std::pair<double, double>> figsize =
      {};  ///< inches; absent: large enough for the labels
  double dpi = 72;
};

/// Options of `plot_top_losses`.
struct TopLossesPlotOptions {
  bool largest = true;                           ///< the worst; false: the best
  std::pair<double, double> figsize = {12, 12};  ///< inches
  bool heatmap = false;                          ///< Grad-CAM over the pictures
  int heatmap_thresh = 16;  ///< none when the last feature map has fewer places
  double alpha = 0.6;       ///< opacity of the heat map
  std::string cmap = "magma";
  bool show_text = true;  ///< titles
};

/// Options of `GradCAM`.
struct GradCamOptions {
  std::optional<DatasetType> ds_type = {};  ///< absent: the set that was interpreted
  int heatmap_thresh = 16;  ///< no heat map when the last feature map has fewer places
  bool image = true;        ///< the picture below the heat map; false: the heat map alone
};

/// Options of `from_learner`.
struct InterpretationOptions {
  DatasetType ds_type = DatasetType::Valid;  ///< `Fix` for training items; `Train` is shuffled and
                                             ///< does not match indices
  Loss::Activation activ = {};               ///< absent: the one that goes with the loss
};

/// Predictions, targets and losses of a data set, and ways to look at them (fastai:
/// `ClassificationInterpretation`).
class FASTCPP_API ClassificationInterpretation {
 public:
  /// Predicts the whole data set.
  /// \throws as `Learner::get_preds`
  static ClassificationInterpretation from_learner(Learner learn,
                                                   const InterpretationOptions& options = {});

  /// \param preds  n x c, after the activation
  /// \param y_true n class indices
  /// \param losses n
  /// \throws ValueError `value.length` when n differs
  ClassificationInterpretation(Learner learn, torch::Tensor preds, torch::Tensor y_true,
                               torch::Tensor losses, DatasetType ds_type = DatasetType::Valid);

  const torch::Tensor& preds() const { return preds_; }
  const torch::Tensor& y_true() const { return y_true_; }
  const torch::Tensor& losses() const { return losses_; }
  /// Predicted class of each item.
  const torch::Tensor& pred_class() const { return pred_class_; }

  /// The k largest (or smallest) losses, sorted; all when k is absent (fastai: `top_losses`).
  TopLosses top_losses(std::optional<std::int64_t> k = {}, bool largest = true) const;

  /// Counts, c x c, int64: row = actual, column = predicted (fastai: `confusion_matrix`).
  torch::Tensor confusion_matrix() const;

  /// Pairs confused at least min_val times, most frequent first, ties in class order (fastai:
  /// `most_confused`).
  std::vector<Confusion> most_confused(std::int64_t min_val = 1) const;

  /// The confusion matrix as a picture (fastai: `plot_confusion_matrix`).
  Figure plot_confusion_matrix(const ConfusionPlotOptions& options = {}) const;

  /// The k worst pictures with prediction, truth, loss and probability of the truth (fastai:
  /// `plot_top_losses`). \param k >= 1, at most the number of items \throws DataError
  /// `data.no_pictures`; ValueError `value.k`; with a heat map TrainError `train.no_body`
  Figure plot_top_losses(std::int64_t k, const TopLossesPlotOptions& options = {}) const;

  /// One picture with the places that speak for its actual class (fastai: `GradCAM`). Title:
  /// `pred. class: P, actual class: A`. \param idx 0 .. items - 1 \throws DataError
  /// `data.no_pictures`; ValueError `value.index`; as `grad_cam`
  Figure GradCAM(std::int64_t idx, const GradCamOptions& options = {}) const;

 private:
  std::string class_name(std::int64_t cls) const;

  Learner learn_;
  torch::Tensor preds_, y_true_, losses_, pred_class_;
  DatasetType ds_type_;
};

}  // namespace fastcpp
