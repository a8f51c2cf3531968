// What the metrics ask of their input before LibTorch sees it.
#pragma once

#include <torch/types.h>

#include <string>

namespace fastcpp::inline v0 {

// Throws value.metric_shape. `expected` continues "expected ".
[[noreturn]] void metric_shape_error(const std::string& metric, const std::string& expected,
                                     const torch::Tensor& output, const torch::Tensor& target);

// One class index in `target` for every item of `output`, whose classes lie on `axis` (-1 or 1).
void expect_classes(const std::string& metric, const torch::Tensor& output,
                    const torch::Tensor& target, std::int64_t axis = -1);
// Outputs and targets of the same shape N x C.
void expect_labels(const std::string& metric, const torch::Tensor& output,
                   const torch::Tensor& target);
// The same number of elements, at least one.
void expect_same_count(const std::string& metric, const torch::Tensor& output,
                       const torch::Tensor& target);

// Arguments that several metrics have; value.thresh, value.beta, value.metric_eps.
void expect_thresh(double thresh);
void expect_beta(double beta);
void expect_eps(double eps);

}  // namespace fastcpp
