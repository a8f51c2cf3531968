/// \file
/// What came out of a classifier: losses, confusion, heat maps.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "fastcpp/data/table.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/interpret/grad_cam.hpp"
#include "fastcpp/plot/figure.hpp"
#include "fastcpp/train/learner.hpp"

namespace fastcpp::inline v0 {

/// A pair of classes that were taken for each other.
struct Confusion {
  std::string actual;      ///< the class it was
  std::string predicted;   ///< the class it was taken for
  std::int64_t count = 0;  ///< how often
};

/// fastai's printed form: `[('Ragdoll', 'Birman', 5), ('Birman', 'Ragdoll', 3)]`.
FASTCPP_API std::string to_string(const std::vector<Confusion>& pairs);

/// The largest losses and whose they are.
struct TopLosses {
  torch::Tensor losses;               ///< k values, best first
  std::vector<std::int64_t> indices;  ///< k indices into the dataset
};

/// Options of `top_losses`.
struct TopLossesOptions {
  bool largest = true;  ///< the worst; false: the best
};

/// Options of `plot_confusion_matrix`.
struct ConfusionPlotOptions {
  bool normalize = false;                  ///< divide each row by its sum
  std::string title = "Confusion matrix";  ///< above the matrix
  Colormap cmap = Colormap::kBlues;        ///< the colours of the cells
  int norm_dec = 2;                        ///< decimals when normalised, 0..15
  bool plot_txt = true;                    ///< write the numbers into the cells
  std::optional<std::pair<double, double>> figsize =
      {};            ///< inches; absent: large enough for the labels
  double dpi = 100;  ///< pixels an inch
};

/// Options of `plot_top_losses`.
struct TopLossesPlotOptions {
  bool largest = true;                           ///< the worst; false: the best
  std::pair<double, double> figsize = {12, 12};  ///< inches
  bool heatmap = false;                          ///< Grad-CAM over the pictures
  int heatmap_thresh = 16;           ///< none when the last feature map has fewer places
  double alpha = 0.6;                ///< opacity of the heat map, 0..1
  Colormap cmap = Colormap::kMagma;  ///< colours of the heat map
  bool show_text = true;             ///< titles
  bool show_names = false;  ///< the file's name in each title, to find and mend wrong labels
  double dpi = 100;         ///< pixels an inch
};

/// Options of `plot_multi_top_losses`.
struct MultiTopLossesOptions {
  std::pair<double, double> figsize = {8, 8};  ///< inches
  double dpi = 100;                            ///< pixels an inch
};

/// What `plot_multi_top_losses` found: items whose likeliest class is none of theirs. A value: copies share the
/// figures. Threads: const calls by any number at once.
struct MultiTopLosses {
  std::vector<std::int64_t>
      indices;  ///< of all such items in the dataset, largest loss of the likeliest class first
  std::int64_t items = 0;       ///< of the dataset
  std::vector<Figure> figures;  ///< of the first of them
  /// fastai's line: `3 misclassified samples over 40 samples in the validation set.`
  std::string str() const;
};

/// Options of `GradCAM`.
struct GradCamOptions {
  std::optional<DatasetType> ds_type = {};  ///< absent: the set that was interpreted
  int heatmap_thresh = 16;  ///< no heat map when the last feature map has fewer places
  bool image = true;        ///< the picture below the heat map; false: the heat map alone
  std::pair<double, double> figsize = {6.4, 4.8};  ///< inches
  double dpi = 100;                                ///< pixels an inch
};

/// Options of `from_learner`.
struct InterpretationOptions {
  DatasetType ds_type =
      DatasetType::Valid;  ///< `Fix` for training items; `Train` is shuffled: indices match nothing
  Loss::Activation activ = {};  ///< absent: the one that goes with the loss
  bool tta = false;             ///< by `Learner::TTA` instead of `get_preds`
  std::stop_token stop = {};    ///< ends it between two batches
};

/// Predictions, targets and losses of a dataset, and ways to look at them (fastai: `ClassificationInterpretation`).
///
/// `top_losses` and `plot_top_losses` serve classes, numbers and several labels an item; what is about a confusion of
/// classes needs one class an item and throws DataError `data.not_classes` otherwise. A copy shares the learner and the
/// tensors. Not to be used by several threads at once while one draws heat maps, which run the model.
class FASTCPP_API ClassificationInterpretation {
 public:
  /// Predicts the whole dataset. With `tta` losses are those of `TtaPredictions`.
  /// \throws TrainError `train.stopped`; DataError `data.left_out` when a loader's `on_error` left items out; as
  ///         `Learner::get_preds`, `Learner::TTA` and the constructor
  static ClassificationInterpretation from_learner(Learner learn,
                                                   const InterpretationOptions& options = {});

  /// \param learn   whose data name the classes, and whose model draws heat maps
  /// \param preds   n x c, after the activation; n for one number an item
  /// \param y_true  n class indices (int64, 0 .. c - 1), or the shape of preds for numbers and several labels
  /// \param losses  n; more an item are averaged
  /// \param ds_type the set that they belong to
  /// \throws ValueError `value.length` when n differs; `value.class_index` for a class that preds do not have;
  ///         `value.undefined_tensor`
  ClassificationInterpretation(Learner learn, torch::Tensor preds, torch::Tensor y_true,
                               torch::Tensor losses, DatasetType ds_type = DatasetType::Valid);

  /// The learner whose predictions these are; a handle (fastai: `interp.learn`).
  const Learner& learn() const { return learn_; }
  /// The set that they belong to (fastai: `interp.ds_type`).
  DatasetType ds_type() const { return ds_type_; }
  /// Predictions, n x c, on the CPU.
  const torch::Tensor& preds() const { return preds_; }
  /// Targets, on the CPU.
  const torch::Tensor& y_true() const { return y_true_; }
  /// One loss an item, n, on the CPU.
  const torch::Tensor& losses() const { return losses_; }
  /// Predicted class of each item, n, int64; undefined for numbers and several labels.
  const torch::Tensor& pred_class() const { return pred_class_; }

  /// The k largest (or smallest) losses, sorted; all when k is absent (fastai: `top_losses`).
  TopLosses top_losses(std::optional<std::int64_t> k = {},
                       const TopLossesOptions& options = {}) const;

  /// Counts, c x c, int64: row = actual, column = predicted (fastai: `confusion_matrix`).
  /// \throws DataError `data.not_classes`
  torch::Tensor confusion_matrix() const;

  /// Pairs confused at least min_val times, most frequent first, ties in class order (fastai: `most_confused`).
  /// \throws DataError `data.not_classes`
  std::vector<Confusion> most_confused(std::int64_t min_val = 1) const;

  /// The confusion matrix as a picture (fastai: `plot_confusion_matrix`).
  /// \throws DataError `data.not_classes`; ValueError `value.plot_option`, `value.figure_size`
  Figure plot_confusion_matrix(const ConfusionPlotOptions& options = {}) const;

  /// The k worst pictures with prediction, truth, loss and, for classes, the probability of the truth (fastai:
  /// `plot_top_losses`).
  /// \param k       >= 1; all items when there are fewer
  /// \param options look of the figure
  /// \throws DataError `data.no_pictures`, `data.empty` without items; ValueError `value.k`; with a heat map DataError
  ///         `data.not_classes` and what `grad_cam` throws
  Figure plot_top_losses(std::int64_t k, const TopLossesPlotOptions& options = {}) const;

  /// The k worst rows of a table: prediction, truth, loss and, for classes, the probability of the truth, then the cells
  /// (fastai: `plot_tab_top_losses`). Print it, write it as CSV, or draw it by `table_figure`.
  /// \param k >= 1; all rows when there are fewer
  /// \throws DataError `data.no_table` when the items are no rows; ValueError `value.k`
  Table plot_tab_top_losses(std::int64_t k, const TopLossesOptions& options = {}) const;

  /// Of items with several classes, those whose likeliest class is none of theirs, and pictures of the worst (fastai:
  /// `plot_multi_top_losses`).
  /// \param samples pictures, 1..20
  /// \throws DataError `data.not_classes` when the items have no classes 0/1 each, `data.no_pictures`; ValueError
  ///         `value.samples`
  MultiTopLosses plot_multi_top_losses(std::int64_t samples = 3,
                                       const MultiTopLossesOptions& options = {}) const;

  /// One picture with the places that speak for its actual class (fastai: `GradCAM`). Title:
  /// `pred. class: P, actual class: A`.
  /// \param idx     0 .. items - 1
  /// \param options look of the figure
  /// \throws DataError `data.no_pictures`, `data.not_classes`; ValueError `value.index`; as `grad_cam`
  Figure GradCAM(std::int64_t idx, const GradCamOptions& options = {}) const;

 private:
  void need_classes(const char* what) const;
  std::string class_name(std::int64_t cls) const;
  std::string title_of(std::int64_t index) const;

  Learner learn_;
  torch::Tensor preds_, y_true_, losses_, pred_class_;
  torch::Tensor number_losses_;  // of each number of an item, where there are several
  DatasetType ds_type_;
};

}  // namespace fastcpp
