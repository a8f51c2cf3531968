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
#include "fastcpp/plot/figure.hpp"
#include "fastcpp/train/learner.hpp"

namespace fastcpp {

/// A pair of classes that were taken for each other.
struct Confusion {
  std::string actual;
  std::string predicted;
  std::int64_t count = 0;
};

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

 private:
  Learner learn_;
  torch::Tensor preds_, y_true_, losses_, pred_class_;
  DatasetType ds_type_;
};

/// Class activation map of one input (Selvaraju et al. 2016, arXiv:1610.02391; fastai: `GradCAM`):
/// how much each place of the body's output speaks for a class. \param learn its model is
/// Sequential(body, head), as `cnn_learner` makes it \param x     one normalised input, 1 x C x H x
/// W \param cls   class whose raw output is traced back \returns h x w, >= 0; an undefined tensor
/// when h * w < thresh \throws TrainError `train.no_body` when the model is something else
FASTCPP_API torch::Tensor grad_cam(const Learner& learn, const torch::Tensor& x, std::int64_t cls,
                                   int thresh = 16);

}  // namespace fastcpp
