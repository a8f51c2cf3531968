// A metric that needs all outputs and targets of the epoch at once.
#pragma once

#include <torch/types.h>

#include <limits>
#include <utility>
#include <vector>

#include "fastcpp/train/metrics/metrics.hpp"
#include "train/metrics/metric_input.hpp"

namespace fastcpp::inline v0 {

class CollectState : public MetricState {
 public:
  // `function` gets two vectors of the same length.
  explicit CollectState(Metric::Function function) : function_(std::move(function)) {}

  void update(const torch::Tensor& output, const torch::Tensor& target) override {
    expect_same_count("metric over the epoch", output, target);
    // On the CPU: a whole validation set must not fill the memory of an accelerator.
    outputs_.push_back(output.detach().reshape(-1).cpu());
    targets_.push_back(target.detach().reshape(-1).cpu());
  }

  double value() const override {
    if (outputs_.empty()) return std::numeric_limits<double>::quiet_NaN();
    return function_(torch::cat(outputs_), torch::cat(targets_)).item<double>();
  }

 private:
  Metric::Function function_;
  std::vector<torch::Tensor> outputs_, targets_;
};

}  // namespace fastcpp
