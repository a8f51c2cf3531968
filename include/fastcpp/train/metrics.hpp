/// \file
/// Figures that are reported beside the loss.
#pragma once

#include <torch/types.h>

#include <functional>
#include <memory>
#include <string>

#include "fastcpp/export.hpp"

namespace fastcpp {

/// A metric that keeps state over the validation set (fastai: a callback-style metric).
class FASTCPP_API MetricState {
 public:
  virtual ~MetricState() = default;
  /// One validation batch: raw model outputs and targets, both on the same device.
  virtual void update(const torch::Tensor& output, const torch::Tensor& target) = 0;
  /// The figure for everything seen since the object was made.
  virtual double value() const = 0;
};

/// A plain metric function with its column name; callable like the function.
struct NamedMetric {
  const char* name;
  torch::Tensor (*function)(const torch::Tensor& output, const torch::Tensor& target);
  torch::Tensor operator()(const torch::Tensor& output, const torch::Tensor& target) const {
    return function(output, target);
  }
};

/// A metric as `metrics` takes it: a name, and how to compute the figure of an epoch.
class FASTCPP_API Metric {
 public:
  using Function = std::function<torch::Tensor(const torch::Tensor&, const torch::Tensor&)>;
  using Factory = std::function<std::unique_ptr<MetricState>()>;

  /// A function (raw outputs, targets) -> scalar, averaged over the validation set weighted by
  /// batch size.
  Metric(std::string name, Function function);
  /// State over the epoch.
  Metric(std::string name, Factory factory);
  /// One of the constants below.
  Metric(const NamedMetric& metric) : Metric(metric.name, Function(metric.function)) {}

  /// The column name.
  const std::string& name() const { return name_; }
  /// Fresh state for one epoch.
  std::unique_ptr<MetricState> start() const { return factory_(); }
  /// The figure of one batch alone.
  double operator()(const torch::Tensor& output, const torch::Tensor& target) const;

 private:
  std::string name_;
  Factory factory_;
};

namespace detail {
FASTCPP_API torch::Tensor accuracy(const torch::Tensor& output, const torch::Tensor& target);
FASTCPP_API torch::Tensor error_rate(const torch::Tensor& output, const torch::Tensor& target);
}  // namespace detail

/// Share of items whose largest output is the target (fastai: `accuracy`).
/// Outputs N x ... x C, targets N x ...
inline constexpr NamedMetric accuracy{"accuracy", detail::accuracy};
/// 1 - accuracy (fastai: `error_rate`).
inline constexpr NamedMetric error_rate{"error_rate", detail::error_rate};
/// Share of items whose target is among the k largest outputs (fastai: `top_k_accuracy`).
/// \param k 1 <= k; more than the number of classes counts as all
FASTCPP_API Metric top_k_accuracy(int k = 5);

}  // namespace fastcpp
