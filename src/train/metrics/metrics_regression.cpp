// Metrics of numbers: functions of a batch and the same over an epoch.
#include <torch/types.h>

#include <utility>
#include <vector>

#include "fastcpp/train/metrics/metrics.hpp"
#include "train/metrics/collect_state.hpp"
#include "train/metrics/metric_input.hpp"

namespace fastcpp::inline v0 {
using torch::Tensor;

namespace {

// Half precision would lose the figure, and whole numbers know no logarithm.
Tensor flat(const Tensor& x) {
  return x.reshape(-1).to(x.scalar_type() == torch::kDouble ? torch::kDouble : torch::kFloat32);
}

struct Flat {
  Tensor output, target;
  Flat(const char* metric, const Tensor& output_, const Tensor& target_) {
    expect_same_count(metric, output_, target_);
    output = flat(output_);
    target = flat(target_);
  }
  Tensor difference() const { return target - output; }
};

Metric over_epoch(std::string name, const NamedMetric& metric) {
  return {std::move(name), Metric::Factory([function = metric.function] {
            return std::make_unique<CollectState>(function);
          })};
}

}  // namespace

Tensor detail::mean_squared_error(const Tensor& output, const Tensor& target) {
  return Flat("mean_squared_error", output, target).difference().square().mean();
}

Tensor detail::mean_absolute_error(const Tensor& output, const Tensor& target) {
  return Flat("mean_absolute_error", output, target).difference().abs().mean();
}

Tensor detail::root_mean_squared_error(const Tensor& output, const Tensor& target) {
  return Flat("root_mean_squared_error", output, target).difference().square().mean().sqrt();
}

Tensor detail::mean_squared_logarithmic_error(const Tensor& output, const Tensor& target) {
  const Flat x("mean_squared_logarithmic_error", output, target);
  return (x.target.log1p() - x.output.log1p()).square().mean();
}

Tensor detail::exp_rmspe(const Tensor& output, const Tensor& target) {
  const Flat x("exp_rmspe", output, target);
  const auto truth = x.target.exp();
  return ((truth - x.output.exp()) / truth).square().mean().sqrt();
}

Tensor detail::explained_variance(const Tensor& output, const Tensor& target) {
  const Flat x("explained_variance", output, target);
  return 1 - x.difference().var() / x.target.var();
}

Tensor detail::r2_score(const Tensor& output, const Tensor& target) {
  const Flat x("r2_score", output, target);
  return 1 - x.difference().square().sum() / (x.target - x.target.mean()).square().sum();
}

Tensor detail::psnr(const Tensor& output, const Tensor& target) {
  return 10 * Flat("psnr", output, target).difference().square().mean().reciprocal().log10();
}

Metric R2Score() {
  return over_epoch("r2_score", r2_score);
}

Metric ExplainedVariance() {
  return over_epoch("explained_variance", explained_variance);
}

Metric RMSE() {
  return over_epoch("rmse", root_mean_squared_error);
}

Metric ExpRMSPE() {
  return over_epoch("exp_rmspe", exp_rmspe);
}

}  // namespace fastcpp
