// LibTorch's fused step of Adam with decoupled decay, where there is one.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/version.h>

#include <vector>

#if TORCH_VERSION_MAJOR >= 2
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/full.h>
#endif

namespace fastcpp::inline v0::compat {

struct AdamStep {
  double lr, beta1, beta2, eps;
  double decay;       // factor on the parameters
  std::int64_t step;  // 1 for the first
};

// All parameters in one kernel; false, and nothing done, where LibTorch has none (before 2.0, and
// off CUDA).
inline bool fused_adamw([[maybe_unused]] std::vector<at::Tensor>& params,
                        [[maybe_unused]] const std::vector<at::Tensor>& gradients,
                        [[maybe_unused]] std::vector<at::Tensor>& means,
                        [[maybe_unused]] std::vector<at::Tensor>& squares,
                        [[maybe_unused]] const AdamStep& by) {
#if TORCH_VERSION_MAJOR >= 2
  if (!params.front().is_cuda() || by.lr == 0) return false;
  const auto step =
      at::full({}, static_cast<double>(by.step), params.front().options().dtype(at::kFloat));
  const std::vector<at::Tensor> steps(params.size(), step);
  at::_fused_adamw_(params, gradients, means, squares, {}, steps, by.lr, by.beta1, by.beta2,
                    (1 - by.decay) / by.lr, by.eps, /*amsgrad=*/false, /*maximize=*/false);
  return true;
#else
  return false;
#endif
}

}  // namespace fastcpp::compat
