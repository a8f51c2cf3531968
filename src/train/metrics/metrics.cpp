#include "fastcpp/train/metrics/metrics.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>

#include "fastcpp/core/error.hpp"
#include "train/metrics/metric_input.hpp"

namespace fastcpp::inline v0 {
using torch::Tensor;

namespace {

std::string shape(const Tensor& tensor) {
  if (!tensor.defined()) return "none";
  return fmt::format("[{}]", fmt::join(tensor.sizes().vec(), ", "));
}

[[noreturn]] void empty_metric(const std::string& name, const char* what) {
  throw ValueError("value.metric", fmt::format("the metric {} has {}", name, what));
}

class Average : public MetricState {
 public:
  Average(std::string name, Metric::Function function)
      : name_(std::move(name)), function_(std::move(function)) {}

  void update(const Tensor& output, const Tensor& target) override {
    if (!target.defined() || target.dim() == 0) {
      metric_shape_error(name_, "targets of one batch, N or N x ...", output, target);
    }
    const auto n = static_cast<double>(target.size(0));
    const auto figure = function_(output, target);
    if (!figure.defined() || figure.numel() != 1) {
      throw ValueError(
          "value.metric",
          fmt::format("the function of the metric {} must give one number for a batch, found {}",
                      name_, shape(figure)));
    }
    sum_ += figure.item<double>() * n;
    count_ += n;
  }

  double value() const override { return sum_ / count_; }

 private:
  std::string name_;
  Metric::Function function_;
  double sum_ = 0, count_ = 0;
};

// Lets out nothing but an Error, whatever a state of the user's own throws.
class Guarded : public MetricState {
 public:
  explicit Guarded(std::unique_ptr<MetricState> state) : state_(std::move(state)) {}

  void update(const Tensor& output, const Tensor& target) override {
    boundary([&] { state_->update(output, target); });
  }
  double value() const override {
    return boundary([&] { return state_->value(); });
  }
  Tensor result() const override {
    return boundary([&] { return state_->result(); });
  }

 private:
  std::unique_ptr<MetricState> state_;
};

// Which labels count as predicted.
Tensor above(const Tensor& output, double thresh, bool sigmoid) {
  return (sigmoid ? output.sigmoid() : output).gt(thresh);
}

}  // namespace

void metric_shape_error(const std::string& metric, const std::string& expected,
                        const Tensor& output, const Tensor& target) {
  throw ValueError("value.metric_shape",
                   fmt::format("{}: expected {}, found outputs of shape {} and targets of shape "
                               "{}; use a metric that fits the labels",
                               metric, expected, shape(output), shape(target)));
}

void expect_classes(const std::string& metric, const Tensor& output, const Tensor& target,
                    std::int64_t axis) {
  const bool fits = output.defined() && target.defined() && output.dim() >= 2 &&
                    target.dim() >= 1 && target.numel() > 0 && output.size(0) == target.size(0) &&
                    output.numel() == target.numel() * output.size(axis);
  if (fits) return;
  metric_shape_error(metric,
                     axis == 1 ? "outputs N x classes x ... and a class index for every position"
                               : "outputs N x ... x classes and targets N x ... of class indices",
                     output, target);
}

void expect_labels(const std::string& metric, const Tensor& output, const Tensor& target) {
  if (output.defined() && target.defined() && output.dim() == 2 && output.numel() > 0 &&
      output.sizes() == target.sizes()) {
    return;
  }
  metric_shape_error(metric, "outputs and 0/1 targets of one shape N x labels", output, target);
}

void expect_same_count(const std::string& metric, const Tensor& output, const Tensor& target) {
  if (output.defined() && target.defined() && output.numel() > 0 &&
      output.numel() == target.numel()) {
    return;
  }
  metric_shape_error(metric, "the same number of elements in both", output, target);
}

Tensor MetricState::result() const {
  return torch::tensor(value(), torch::kFloat64);
}

Metric::Metric(std::string name, Function function)
    : Metric(name,
             Factory([name, function] { return std::make_unique<Average>(name, function); })) {
  if (!function) empty_metric(name_, "an empty function: give one (outputs, targets) -> a number");
}

Metric::Metric(std::string name, Factory factory)
    : name_(std::move(name)), factory_(std::move(factory)) {
  if (!factory_) empty_metric(name_, "an empty factory: give one that makes a MetricState");
}

std::unique_ptr<MetricState> Metric::start() const {
  auto state = boundary([&] { return factory_(); });
  if (!state) empty_metric(name_, "a factory that made no MetricState");
  return std::make_unique<Guarded>(std::move(state));
}

double Metric::operator()(const Tensor& output, const Tensor& target) const {
  auto state = start();
  state->update(output, target);
  return state->value();
}

void expect_thresh(double thresh) {
  if (std::isfinite(thresh)) return;
  throw ValueError("value.thresh",
                   fmt::format("thresh: expected a finite number, found {}", thresh));
}

void expect_beta(double beta) {
  if (std::isfinite(beta) && beta > 0) return;
  throw ValueError("value.beta", fmt::format("beta: expected a finite number > 0, found {}", beta));
}

void expect_eps(double eps) {
  if (std::isfinite(eps) && eps >= 0) return;
  throw ValueError("value.metric_eps",
                   fmt::format("eps: expected a finite number >= 0, found {}", eps));
}

void detail::check(const AccuracyThreshOptions& options) {
  expect_thresh(options.thresh);
}

void detail::check(const FbetaOptions& options) {
  expect_thresh(options.thresh);
  expect_beta(options.beta);
  expect_eps(options.eps);
}

void detail::check(const DiceOptions& options) {
  expect_eps(options.eps);
}

Tensor detail::accuracy(const Tensor& output, const Tensor& target) {
  expect_classes("accuracy", output, target);
  const auto n = target.size(0);
  const auto predicted = output.argmax(-1).reshape({n, -1});
  return predicted.eq(target.reshape({n, -1})).to(torch::kFloat32).mean();
}

Tensor detail::error_rate(const Tensor& output, const Tensor& target) {
  return 1 - detail::accuracy(output, target);
}

Metric top_k_accuracy(int k) {
  if (k < 1) throw ValueError("value.k", fmt::format("k must be at least 1, found {}", k));
  return {"top_k_accuracy", Metric::Function([k](const Tensor& output, const Tensor& target) {
            expect_classes("top_k_accuracy", output, target);
            const auto best =
                std::get<1>(output.topk(std::min<std::int64_t>(k, output.size(-1)), -1));
            const auto wanted = target.reshape(output.sizes().slice(0, output.dim() - 1));
            return best.eq(wanted.unsqueeze(-1)).any(-1).to(torch::kFloat32).mean();
          })};
}

Tensor detail::accuracy_thresh(const Tensor& output, const Tensor& target,
                               const AccuracyThreshOptions& options) {
  expect_labels("accuracy_thresh", output, target);
  const auto predicted = above(output, options.thresh, options.sigmoid);
  return predicted.eq(target.to(torch::kBool)).to(torch::kFloat32).mean();
}

Tensor detail::fbeta(const Tensor& output, const Tensor& target, const FbetaOptions& options) {
  expect_labels("fbeta", output, target);
  const auto predicted = above(output, options.thresh, options.sigmoid).to(torch::kFloat32);
  const auto truth = target.to(torch::kFloat32);
  const auto hits = (predicted * truth).sum(1);
  const auto precision = hits / (predicted.sum(1) + options.eps);
  const auto recall = hits / (truth.sum(1) + options.eps);
  const double b2 = options.beta * options.beta;
  return ((1 + b2) * precision * recall / (b2 * precision + recall + options.eps)).mean();
}

Tensor detail::dice(const Tensor& output, const Tensor& target, const DiceOptions& options) {
  expect_classes("dice", output, target, 1);
  const auto n = target.size(0);
  const auto predicted = output.argmax(1).reshape({n, -1});
  const auto truth = target.reshape({n, -1}).to(predicted.dtype());
  const auto both = (predicted * truth).sum(1).to(torch::kFloat32);
  const auto sum = (predicted + truth).sum(1).to(torch::kFloat32);
  const auto overlap = options.iou ? both / (sum - both + options.eps) : 2 * both / sum;
  // Nothing to find and nothing found is a perfect answer, not 0/0.
  return overlap.masked_fill(sum.eq(0), 1).mean();
}

Metric foreground_acc(std::int64_t void_code) {
  return {"foreground_acc",
          Metric::Function([void_code](const Tensor& output, const Tensor& target) {
            expect_classes("foreground_acc", output, target, 1);
            const auto truth = target.reshape({target.size(0), -1});
            const auto hits = output.argmax(1).reshape_as(truth).eq(truth);
            return hits.masked_select(truth.ne(void_code)).to(torch::kFloat32).mean();
          })};
}

}  // namespace fastcpp
