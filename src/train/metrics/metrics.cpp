#include "fastcpp/train/metrics/metrics.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/torch.h>

#include <algorithm>

#include "fastcpp/core/error.hpp"
#include "train/metrics/metric_input.hpp"

namespace fastcpp {
using torch::Tensor;

namespace {

class Average : public MetricState {
 public:
  explicit Average(Metric::Function function) : function_(std::move(function)) {}

  void update(const Tensor& output, const Tensor& target) override {
    const auto n = static_cast<double>(target.size(0));
    sum_ += function_(output, target).item<double>() * n;
    count_ += n;
  }

  double value() const override { return sum_ / count_; }

 private:
  Metric::Function function_;
  double sum_ = 0, count_ = 0;
};

std::string shape(const Tensor& tensor) {
  if (!tensor.defined()) return "none";
  return fmt::format("[{}]", fmt::join(tensor.sizes().vec(), ", "));
}

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
    : Metric(std::move(name), Factory([function] { return std::make_unique<Average>(function); })) {
}

Metric::Metric(std::string name, Factory factory)
    : name_(std::move(name)), factory_(std::move(factory)) {}

double Metric::operator()(const Tensor& output, const Tensor& target) const {
  auto state = start();
  state->update(output, target);
  return state->value();
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
