// Metrics from the counts or scores of an epoch.
#include <fmt/format.h>
#include <torch/types.h>

#include <cmath>
#include <limits>
#include <mutex>
#include <utility>

#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"
#include "fastcpp/train/metrics/loss.hpp"
#include "fastcpp/train/metrics/metrics.hpp"
#include "train/metrics/collect_state.hpp"
#include "train/metrics/metric_input.hpp"

namespace fastcpp::inline v0 {
using torch::Tensor;

namespace {

// (the counts as float64, rows true, columns predicted) -> the result
using FromMatrix = std::function<Tensor(const Tensor&)>;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// A state whose result may have several numbers.
class TensorState : public MetricState {
 public:
  double value() const final {
    const auto whole = result();
    return whole.numel() == 1 ? whole.item<double>() : kNaN;
  }
};

class MatrixState : public TensorState {
 public:
  MatrixState(std::string name, FromMatrix figure)
      : name_(std::move(name)), figure_(std::move(figure)) {}

  void update(const Tensor& output, const Tensor& target) override {
    expect_classes(name_, output, target);
    const auto classes = output.size(-1);
    if (!counts_.defined()) counts_ = torch::zeros({classes, classes}, torch::kLong);
    if (counts_.size(0) != classes) {
      metric_shape_error(name_, fmt::format("{} classes as in the first batch", counts_.size(0)),
                         output, target);
    }
    const auto predicted = output.detach().argmax(-1).reshape(-1).cpu();
    const auto truth = target.detach().reshape(-1).cpu().to(torch::kLong);
    const auto known = truth.ge(0).logical_and(truth.lt(classes));
    const auto cells = (truth * classes + predicted).masked_select(known);
    counts_ += cells.bincount({}, classes * classes).reshape({classes, classes});
  }

  Tensor result() const override {
    if (!counts_.defined()) return torch::tensor(kNaN, torch::kFloat64);
    return figure_(counts_.to(torch::kFloat64));
  }

 private:
  std::string name_;
  FromMatrix figure_;
  Tensor counts_;
};

Metric from_matrix(const std::string& name, FromMatrix figure) {
  return {name, Metric::Factory([name, figure = std::move(figure)] {
            return std::make_unique<MatrixState>(name, figure);
          })};
}

Tensor precision_of(const Tensor& counts) {
  return counts.diagonal() / counts.sum(0);
}

Tensor recall_of(const Tensor& counts) {
  return counts.diagonal() / counts.sum(1);
}

Tensor without_nan(const Tensor& values) {
  return values.masked_fill(values.isnan(), 0);
}

// A number that is none of the enumerators can be cast to one.
void expect_average(const char* metric, MetricAverage average, bool binary) {
  const auto number = static_cast<int>(average);
  if (number >= static_cast<int>(MetricAverage::kBinary) &&
      number <= static_cast<int>(MetricAverage::kNone) &&
      (binary || average != MetricAverage::kBinary)) {
    return;
  }
  throw ValueError(
      "value.average",
      fmt::format("average of {}: expected {}kMicro, kMacro, kWeighted or kNone, found {}", metric,
                  binary ? "kBinary, " : "",
                  average == MetricAverage::kBinary ? "kBinary" : std::to_string(number)));
}

// How the values of the classes become one.
class Averaging {
 public:
  template <typename Options>
  Averaging(const char* metric, const Options& options)
      : metric_(metric), kind_(options.average), pos_label_(options.pos_label) {
    expect_average(metric, kind_, true);
    expect_eps(options.eps);
    const int pos_label = pos_label_;
    if (pos_label != 0 && pos_label != 1) {
      throw ValueError("value.pos_label",
                       fmt::format("pos_label of {}: expected one of the two classes, 0 or 1, "
                                   "found {}; use MetricAverage::kNone for other classes",
                                   metric, pos_label));
    }
  }

  MetricAverage kind() const { return kind_; }

  // \param micro what `micro` weighs by: the predicted or the true counts of the classes
  Tensor operator()(const Tensor& values, const Tensor& counts, const Tensor& micro) const {
    if (kind_ == MetricAverage::kNone) return values;
    return (values * weights(counts, micro)).sum();
  }

 private:
  Tensor weights(const Tensor& counts, const Tensor& micro) const {
    const auto classes = counts.size(0);
    switch (kind_) {
      case MetricAverage::kMicro:
        return micro / micro.sum();
      case MetricAverage::kWeighted:
        return counts.sum(1) / counts.sum();
      case MetricAverage::kBinary:
        // A sum with weights 0 and 1 and no choice of one value: NaN of the other class shall show.
        if (classes == 2) return torch::arange(2).eq(pos_label_).to(torch::kFloat64);
        warn(classes);
        break;
      case MetricAverage::kMacro:
      case MetricAverage::kNone:
        break;
    }
    return torch::full({classes}, 1.0 / static_cast<double>(classes), torch::kFloat64);
  }

  void warn(std::int64_t classes) const {
    std::call_once(*warned_, [&] {
      log_warning(
          fmt::format("{}: average kBinary needs 2 classes, found {}; taking kMacro instead",
                      metric_, classes));
    });
  }

  const char* metric_;
  MetricAverage kind_;
  int pos_label_;
  // Shared by the copies of a metric: once, not once an epoch.
  std::shared_ptr<std::once_flag> warned_ = std::make_shared<std::once_flag>();
};

double squared(double x) {
  return x * x;
}

Tensor f_beta(const Tensor& precision, const Tensor& recall, double b2, double eps) {
  return (1 + b2) * precision * recall / (b2 * precision + recall + eps);
}

}  // namespace

Metric ConfusionMatrix() {
  return from_matrix("confusion_matrix",
                     [](const Tensor& counts) { return counts.to(torch::kLong); });
}

Metric Precision(const CMScoresOptions& options) {
  const Averaging averaged("Precision", options);
  return from_matrix("precision", [averaged](const Tensor& counts) {
    return averaged(precision_of(counts), counts, counts.sum(0));
  });
}

Metric Recall(const CMScoresOptions& options) {
  const Averaging averaged("Recall", options);
  return from_matrix("recall", [averaged](const Tensor& counts) {
    return averaged(recall_of(counts), counts, counts.sum(1));
  });
}

Metric FBeta(const FBetaOptions& options) {
  const Averaging averaged("FBeta", options);
  expect_beta(options.beta);
  const double b2 = squared(options.beta), eps = options.eps;
  return from_matrix("f_beta", [=](const Tensor& counts) {
    auto precision = precision_of(counts), recall = recall_of(counts);
    if (averaged.kind() == MetricAverage::kMicro) {
      // Averages first: one class without a value empties the figure, as in the reference.
      precision = averaged(precision, counts, counts.sum(0));
      recall = averaged(recall, counts, counts.sum(1));
      return without_nan(f_beta(precision, recall, b2, eps));
    }
    return averaged(without_nan(f_beta(precision, recall, b2, eps)), counts, {});
  });
}

Metric KappaScore(const KappaScoreOptions& options) {
  const auto kind = options.weights;
  if (kind != KappaWeights::kNone && kind != KappaWeights::kLinear &&
      kind != KappaWeights::kQuadratic) {
    throw ValueError(
        "value.weights",
        fmt::format("weights of KappaScore: expected kNone, kLinear or kQuadratic, found {}",
                    static_cast<int>(kind)));
  }
  return from_matrix("kappa_score", [kind](const Tensor& counts) {
    const auto index = torch::arange(counts.size(0), torch::kFloat64);
    const auto distance = (index.unsqueeze(1) - index.unsqueeze(0)).abs();
    const auto weights = kind == KappaWeights::kNone     ? distance.ne(0).to(torch::kFloat64)
                         : kind == KappaWeights::kLinear ? distance
                                                         : distance.square();
    const auto chance = torch::outer(counts.sum(1), counts.sum(0)) / counts.sum();
    return 1 - (weights * counts).sum() / (weights * chance).sum();
  });
}

Metric MatthewsCorreff() {
  return from_matrix("matthews_correff", [](const Tensor& counts) {
    const auto truth = counts.sum(1), predicted = counts.sum(0);
    const auto all = counts.sum().square();
    const auto together = counts.trace() * counts.sum() - truth.dot(predicted);
    return together / ((all - predicted.square().sum()) * (all - truth.square().sum())).sqrt();
  });
}

namespace {

class PerplexityState : public MetricState {
 public:
  void update(const Tensor& output, const Tensor& target) override {
    expect_classes("perplexity", output, target);
    const auto n = static_cast<double>(target.numel());
    sum_ += loss_(output, target).item<double>() * n;
    tokens_ += n;
  }
  double value() const override { return std::exp(sum_ / tokens_); }

 private:
  Loss loss_ = cross_entropy();
  double sum_ = 0, tokens_ = 0;
};

class AurocState : public CollectState {
 public:
  AurocState() : CollectState(detail::auc_roc_score) {}

  void update(const Tensor& output, const Tensor& target) override {
    expect_classes("auroc", output, target);
    CollectState::update(output.softmax(-1).select(-1, -1), target);
  }
};

class MultiLabelFbetaState : public TensorState {
 public:
  MultiLabelFbetaState(const MultiLabelFbetaOptions& options, MetricAverage average)
      : options_(options), average_(average) {}

  void update(const Tensor& output, const Tensor& target) override {
    expect_labels("multi_label_fbeta", output, target);
    const auto x = output.detach();
    const auto predicted = (options_.sigmoid ? x.sigmoid() : x).gt(options_.thresh).cpu();
    const auto truth = target.detach().to(torch::kBool).cpu();
    add(hits_, predicted.logical_and(truth));
    add(predicted_, predicted);
    add(true_, truth);
  }

  Tensor result() const override {
    if (!hits_.defined()) return torch::tensor(kNaN, torch::kFloat64);
    const auto truth = true_ + options_.eps, predicted = predicted_ + options_.eps;
    const auto score = [this](const Tensor& precision, const Tensor& recall) {
      return f_beta(precision, recall, squared(options_.beta), options_.eps);
    };
    if (average_ == MetricAverage::kMicro) {
      return score(hits_.sum() / predicted.sum(), hits_.sum() / truth.sum());
    }
    const auto scores = score(hits_ / predicted, hits_ / truth);
    if (average_ == MetricAverage::kMacro) return scores.mean();
    if (average_ == MetricAverage::kWeighted) return (scores * truth).sum() / truth.sum();
    return scores;
  }

 private:
  static void add(Tensor& sum, const Tensor& flags) {
    const auto counts = flags.sum(0).to(torch::kFloat64);
    sum = sum.defined() ? sum + counts : counts;
  }

  MultiLabelFbetaOptions options_;
  MetricAverage average_;
  Tensor hits_, predicted_, true_;
};

}  // namespace

Metric Perplexity() {
  return {"perplexity", Metric::Factory([] { return std::make_unique<PerplexityState>(); })};
}

Metric AUROC() {
  return {"auroc", Metric::Factory([] { return std::make_unique<AurocState>(); })};
}

Metric MultiLabelFbeta(const MultiLabelFbetaOptions& options) {
  const auto average = options.average;
  expect_average("MultiLabelFbeta", average, false);
  expect_beta(options.beta);
  expect_eps(options.eps);
  expect_thresh(options.thresh);
  return {"multi_label_fbeta", Metric::Factory([options, average] {
            return std::make_unique<MultiLabelFbetaState>(options, average);
          })};
}

RocCurve roc_curve(const Tensor& scores, const Tensor& target) {
  return boundary([&]() -> RocCurve {
    expect_same_count("roc_curve", scores, target);
    const auto flat = scores.detach().reshape(-1).cpu();
    const auto order = flat.argsort(-1, /*descending=*/true);
    const auto sorted = flat.index_select(0, order);
    const auto positive =
        target.detach().reshape(-1).cpu().eq(1).to(torch::kFloat64).index_select(0, order);
    // Equal scores cannot be told apart by a threshold: only the last of them is a point.
    const auto last =
        torch::cat({sorted.slice(0, 1).ne(sorted.slice(0, 0, -1)), torch::ones({1}, torch::kBool)});
    const auto share = [&](const Tensor& flags) {
      const auto counts = flags.cumsum(0).masked_select(last);
      return torch::cat({torch::zeros({1}, torch::kFloat64), counts}) / flags.sum();
    };
    return {share(1 - positive), share(positive)};
  });
}

Tensor detail::auc_roc_score(const Tensor& scores, const Tensor& target) {
  const auto [fpr, tpr] = roc_curve(scores, target);
  return torch::trapz(tpr, fpr);
}

}  // namespace fastcpp
