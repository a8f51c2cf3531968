/// \file
/// Figures that are reported beside the loss. Names, defaults and columns are fastai's.
///
/// Outputs are raw model outputs, before softmax or sigmoid. Shapes: N items, C classes or labels. Outputs and targets
/// that do not fit each other are a ValueError `value.metric_shape`; what LibTorch refuses is a TrainError
/// `train.failed`. Metrics are values: copies share their functions, not their state, and may be used from several
/// threads. A state belongs to one thread at a time.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// A metric that keeps state over the validation set (fastai: a callback-style metric). Belongs to whoever called
/// `Metric::start`, for one epoch. Threads: one at a time.
class FASTCPP_API MetricState {
 public:
  virtual ~MetricState() = default;
  /// One validation batch: raw model outputs and targets, both on the same device.
  virtual void update(const torch::Tensor& output, const torch::Tensor& target) = 0;
  /// The figure for everything seen since the object was made; what the table shows. NaN where the result is not a
  /// single number.
  virtual double value() const = 0;
  /// The whole result, also where it is a vector (`MetricAverage::kNone`) or a matrix (`ConfusionMatrix`); else value()
  /// as a scalar tensor. On the CPU.
  virtual torch::Tensor result() const;
};

/// A plain metric function with its column name; callable like the function. A value: copies share nothing. Threads:
/// const calls by any number at once, as far as the function allows.
struct NamedMetric {
  const char* name;  ///< the column name
  /// raw outputs and targets to a scalar
  torch::Tensor (*function)(const torch::Tensor& output, const torch::Tensor& target);
  /// The figure of one batch, a scalar tensor.
  torch::Tensor operator()(const torch::Tensor& output, const torch::Tensor& target) const {
    return boundary([&] { return function(output, target); });
  }
};

/// A metric as `metrics` takes it: a name, and how to compute the figure of an epoch. A value: copies share nothing but
/// what the function refers to. Threads: const calls by any number at once, as far as the function allows.
class FASTCPP_API Metric {
 public:
  /// (raw outputs, targets) -> a scalar.
  using Function = std::function<torch::Tensor(const torch::Tensor&, const torch::Tensor&)>;
  /// Makes the state of an epoch.
  using Factory = std::function<std::unique_ptr<MetricState>()>;

  /// A function (raw outputs, targets) -> scalar, averaged over the validation set weighted by batch size.
  /// \throws ValueError `value.metric` when it is empty
  Metric(std::string name, Function function);
  /// State over the epoch.
  /// \throws ValueError `value.metric` when it is empty
  Metric(std::string name, Factory factory);
  /// One of the constants below.
  Metric(const NamedMetric& metric) : Metric(metric.name, Function(metric.function)) {}

  /// The column name.
  const std::string& name() const { return name_; }
  /// Fresh state for one epoch; what it throws is an Error.
  /// \throws ValueError `value.metric` when the factory makes none
  std::unique_ptr<MetricState> start() const;
  /// The figure of one batch alone; see MetricState::value.
  /// \throws ValueError `value.metric_shape`; `value.metric` when a function gives no single number
  double operator()(const torch::Tensor& output, const torch::Tensor& target) const;

 private:
  std::string name_;
  Factory factory_;
};

/// Arguments of accuracy_thresh.
struct AccuracyThreshOptions {
  double thresh = 0.5;  ///< a label counts as predicted above it; a finite number
  bool sigmoid = true;  ///< outputs pass through the sigmoid first
};

/// Arguments of fbeta.
struct FbetaOptions {
  double thresh = 0.2;  ///< a label counts as predicted above it; a finite number
  double beta = 2;      ///< how much recall outweighs precision, > 0
  double eps = 1e-9;    ///< keeps divisors from 0, >= 0
  bool sigmoid = true;  ///< outputs pass through the sigmoid first
};

/// Arguments of dice.
struct DiceOptions {
  bool iou = false;   ///< intersection over union instead
  double eps = 1e-8;  ///< keeps the divisor of iou from 0, >= 0
};

namespace detail {
using torch::Tensor;
FASTCPP_API Tensor accuracy(const Tensor& output, const Tensor& target);
FASTCPP_API Tensor error_rate(const Tensor& output, const Tensor& target);
FASTCPP_API Tensor accuracy_thresh(const Tensor& output, const Tensor& target,
                                   const AccuracyThreshOptions& options);
FASTCPP_API Tensor fbeta(const Tensor& output, const Tensor& target, const FbetaOptions& options);
FASTCPP_API Tensor dice(const Tensor& output, const Tensor& target, const DiceOptions& options);
FASTCPP_API Tensor mean_squared_error(const Tensor& output, const Tensor& target);
FASTCPP_API Tensor mean_absolute_error(const Tensor& output, const Tensor& target);
FASTCPP_API Tensor root_mean_squared_error(const Tensor& output, const Tensor& target);
FASTCPP_API Tensor mean_squared_logarithmic_error(const Tensor& output, const Tensor& target);
FASTCPP_API Tensor exp_rmspe(const Tensor& output, const Tensor& target);
FASTCPP_API Tensor explained_variance(const Tensor& output, const Tensor& target);
FASTCPP_API Tensor r2_score(const Tensor& output, const Tensor& target);
FASTCPP_API Tensor psnr(const Tensor& output, const Tensor& target);
FASTCPP_API Tensor auc_roc_score(const Tensor& scores, const Tensor& target);
// Refuse arguments out of range: value.thresh, value.beta, value.metric_eps.
FASTCPP_API void check(const AccuracyThreshOptions& options);
FASTCPP_API void check(const FbetaOptions& options);
FASTCPP_API void check(const DiceOptions& options);
}  // namespace detail

/// A metric function with keyword arguments. As in Python it stands for itself (`fbeta`), takes its arguments
/// (`fbeta({.beta = 1})`, fastai: `partial(fbeta, beta=1)`), or is called. A value: copies share nothing. Threads:
/// const calls by any number at once, as far as the function allows.
template <typename Options>
struct OptionMetric {
  const char* name;  ///< the column name
  /// raw outputs, targets and arguments to a scalar
  torch::Tensor (*function)(const torch::Tensor& output, const torch::Tensor& target,
                            const Options& options);
  /// The metric with these arguments.
  /// \throws ValueError on an argument out of range
  Metric operator()(const Options& options = {}) const {
    detail::check(options);
    return {name, Metric::Function([function = function, options](const torch::Tensor& output,
                                                                  const torch::Tensor& target) {
              return function(output, target, options);
            })};
  }
  /// The figure of one batch, a scalar tensor.
  torch::Tensor operator()(const torch::Tensor& output, const torch::Tensor& target,
                           const Options& options = {}) const {
    detail::check(options);
    return boundary([&] { return function(output, target, options); });
  }
  /// The metric with the default arguments.
  operator Metric() const { return (*this)(); }
};

/// \name One class per item. Outputs N x ... x C, targets N x ... (class indices).
/// @{

/// Share of items whose largest output is the target (fastai: `accuracy`).
inline constexpr NamedMetric accuracy{"accuracy", detail::accuracy};
/// 1 - accuracy (fastai: `error_rate`).
inline constexpr NamedMetric error_rate{"error_rate", detail::error_rate};
/// Share of items whose target is among the k largest outputs (fastai: `top_k_accuracy`).
/// \param k 1 <= k; more than the number of classes counts as all
/// \throws ValueError `value.k`
FASTCPP_API Metric top_k_accuracy(int k = 5);

/// How the values of the classes become one.
enum class MetricAverage {
  kBinary,    ///< the class pos_label of two; with more classes it becomes kMacro with a warning
  kMicro,     ///< weighted by the predicted counts for precision, the true ones for recall
  kMacro,     ///< the mean
  kWeighted,  ///< weighted by the true counts
  kNone       ///< one value per class, for MetricState::result
};

/// Arguments of Precision and Recall (fastai: `CMScores`).
struct CMScoresOptions {
  MetricAverage average = MetricAverage::kBinary;  ///< how classes are put together
  int pos_label = 1;                               ///< 0 or 1
  double eps = 1e-9;                               ///< keeps the divisor of FBeta from 0, >= 0
};
/// Arguments of FBeta.
struct FBetaOptions {
  MetricAverage average = MetricAverage::kBinary;  ///< how classes are put together
  int pos_label = 1;                               ///< 0 or 1
  double eps = 1e-9;                               ///< keeps the divisor from 0, >= 0
  double beta = 2;                                 ///< how much recall outweighs precision, > 0
};
/// What a confusion of class i with class j weighs.
enum class KappaWeights {
  kNone,      ///< 1
  kLinear,    ///< |i - j|
  kQuadratic  ///< (i - j)^2
};
/// Arguments of KappaScore.
struct KappaScoreOptions {
  KappaWeights weights = KappaWeights::kNone;  ///< of a confusion
};

/// Counts of the epoch, rows true, columns predicted (fastai: `ConfusionMatrix`). A matrix fits no table: the column is
/// NaN, MetricState::result holds C x C of int64. A target that is no class is not counted, here and in the five
/// metrics below.
FASTCPP_API Metric ConfusionMatrix();
/// True among predicted (fastai: `Precision`). NaN for a class that was never predicted, and then for every average.
/// \throws ValueError `value.average`, `value.pos_label`, `value.metric_eps`
FASTCPP_API Metric Precision(const CMScoresOptions& options = {});
/// Found among true (fastai: `Recall`). NaN for a class that never occurs, and then for every average.
/// \throws ValueError `value.average`, `value.pos_label`, `value.metric_eps`
FASTCPP_API Metric Recall(const CMScoresOptions& options = {});
/// (1 + beta^2) p r / (beta^2 p + r) of precision p and recall r (fastai: `FBeta`); 0 where that is NaN. `kMicro` takes
/// the averaged p and r and is therefore 0 as soon as one class is missing.
/// \throws ValueError `value.average`, `value.pos_label`, `value.metric_eps`, `value.beta`
FASTCPP_API Metric FBeta(const FBetaOptions& options = {});
/// Agreement beyond chance, Cohen's kappa (fastai: `KappaScore`).
/// \throws ValueError `value.weights`
FASTCPP_API Metric KappaScore(const KappaScoreOptions& options = {});
/// Matthews correlation coefficient (fastai: `MatthewsCorreff`). NaN where only one class is predicted or occurs.
FASTCPP_API Metric MatthewsCorreff();
/// exp of the cross-entropy per target (fastai: `Perplexity`), for language models.
FASTCPP_API Metric Perplexity();
/// @}

/// \name Two classes, by their scores
/// @{

/// Points of a ROC curve from (0, 0) to (1, 1); both float64 on the CPU, one point per distinct score and one more.
struct RocCurve {
  torch::Tensor fpr;  ///< share of the others above the score; NaN where there are none
  torch::Tensor tpr;  ///< share of class 1 above the score; NaN where there is none
};
/// The curve (fastai: `roc_curve`).
/// \param scores N, larger for class 1
/// \param target N, 1 or other
/// \throws ValueError `value.metric_shape`
FASTCPP_API RocCurve roc_curve(const torch::Tensor& scores, const torch::Tensor& target);
/// Area under it by the trapezoid rule (fastai: `auc_roc_score`); scores N, not model outputs.
inline constexpr NamedMetric auc_roc_score{"auc_roc_score", detail::auc_roc_score};
/// The area over the epoch, by the softmax of the last class (fastai: `AUROC`). Outputs N x C.
FASTCPP_API Metric AUROC();
/// @}

/// \name Several labels per item. Outputs and targets N x C, targets 0 or 1.
/// @{

/// Share of entries that are predicted rightly (fastai: `accuracy_thresh`).
inline constexpr OptionMetric<AccuracyThreshOptions> accuracy_thresh{"accuracy_thresh",
                                                                     detail::accuracy_thresh};
/// F-beta of every item, and their mean (fastai: `fbeta`).
inline constexpr OptionMetric<FbetaOptions> fbeta{"fbeta", detail::fbeta};

/// Arguments of MultiLabelFbeta.
struct MultiLabelFbetaOptions {
  double beta = 2;      ///< how much recall outweighs precision, > 0
  double eps = 1e-15;   ///< keeps divisors from 0, >= 0
  double thresh = 0.3;  ///< a label counts as predicted above it; a finite number
  bool sigmoid = true;  ///< outputs pass through the sigmoid first
  MetricAverage average = MetricAverage::kMicro;  ///< not kBinary
};
/// F-beta from the counts of the epoch (fastai: `MultiLabelFbeta`); 0 for a label that never occurs or is never
/// predicted.
/// \throws ValueError `value.average`, `value.beta`, `value.metric_eps`, `value.thresh`
FASTCPP_API Metric MultiLabelFbeta(const MultiLabelFbetaOptions& options = {});
/// @}

/// \name A class per pixel. Outputs N x C x ..., targets N x 1 x ... or N x ...
/// @{

/// Overlap 2 I / (P + T) of predicted and true foreground of two classes, or I over the union; 1 for an image where
/// neither has any (fastai: `dice`).
inline constexpr OptionMetric<DiceOptions> dice{"dice", detail::dice};
/// Accuracy over the pixels that are not void_code (fastai: `foreground_acc`); NaN where all are.
FASTCPP_API Metric foreground_acc(std::int64_t void_code);
/// @}

/// \name Numbers. Outputs and targets of any shape with the same number of elements.
/// @{

/// Mean of (target - output)^2 (fastai: `mean_squared_error`, `mse`).
inline constexpr NamedMetric mean_squared_error{"mean_squared_error", detail::mean_squared_error};
/// Mean of |target - output| (fastai: `mean_absolute_error`, `mae`).
inline constexpr NamedMetric mean_absolute_error{"mean_absolute_error",
                                                 detail::mean_absolute_error};
/// Root of mean_squared_error (fastai: `root_mean_squared_error`, `rmse`).
inline constexpr NamedMetric root_mean_squared_error{"root_mean_squared_error",
                                                     detail::root_mean_squared_error};
/// mean_squared_error of log(1 + x) (fastai: `mean_squared_logarithmic_error`, `msle`); x > -1.
inline constexpr NamedMetric mean_squared_logarithmic_error{"mean_squared_logarithmic_error",
                                                            detail::mean_squared_logarithmic_error};
/// Short names; the columns carry the long ones (fastai: `mse`, `mae`, `rmse`, `msle`).
inline constexpr NamedMetric mse = mean_squared_error;
inline constexpr NamedMetric mae = mean_absolute_error;              ///< see mse
inline constexpr NamedMetric rmse = root_mean_squared_error;         ///< see mse
inline constexpr NamedMetric msle = mean_squared_logarithmic_error;  ///< see mse
/// Root of the mean squared relative error of exp(x) (fastai: `exp_rmspe`).
inline constexpr NamedMetric exp_rmspe{"exp_rmspe", detail::exp_rmspe};
/// 1 - var(target - output) / var(target) (fastai: `explained_variance`); at most 1, -inf for targets without variance.
inline constexpr NamedMetric explained_variance{"explained_variance", detail::explained_variance};
/// 1 - squared error / squared deviation of the targets (fastai: `r2_score`); at most 1, -inf for targets without
/// variance.
inline constexpr NamedMetric r2_score{"r2_score", detail::r2_score};
/// 10 log10(1 / mean_squared_error), in dB for values in 0..1 (fastai: `psnr`).
inline constexpr NamedMetric psnr{"psnr", detail::psnr};

/// r2_score over the epoch (fastai: `R2Score`).
FASTCPP_API Metric R2Score();
/// explained_variance over the epoch (fastai: `ExplainedVariance`).
FASTCPP_API Metric ExplainedVariance();
/// root_mean_squared_error over the epoch (fastai: `RMSE`).
FASTCPP_API Metric RMSE();
/// exp_rmspe over the epoch (fastai: `ExpRMSPE`).
FASTCPP_API Metric ExpRMSPE();
/// @}

}  // namespace fastcpp
