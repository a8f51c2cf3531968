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
  double lr = 0, beta1 = 0, beta2 = 0, eps = 0;
  double decay = 1;       // factor on the parameters
  std::int64_t step = 1;  // 1 for the first
};

// Whether LibTorch has it for parameters like that: on CUDA since 2.0, on the CPU since 2.4. It takes the decay as a
// multiple of the rate, so that there must be one.
inline bool has_fused_adamw([[maybe_unused]] const at::Tensor& param, [[maybe_unused]] double lr) {
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
  return lr != 0 && (param.is_cuda() || param.device().is_cpu());
#elif TORCH_VERSION_MAJOR == 2
  return lr != 0 && param.is_cuda();
#else
  return false;
#endif
}

// All parameters in one kernel, where `has_fused_adamw`; elsewhere nothing happens.
// \param overflow one number on the device: nothing changes where it is 1; undefined for 0
// \param skipped  likewise: how many of the `step` steps were left out so; undefined for 0
inline void fused_adamw([[maybe_unused]] std::vector<at::Tensor>& params,
                        [[maybe_unused]] const std::vector<at::Tensor>& gradients,
                        [[maybe_unused]] std::vector<at::Tensor>& means,
                        [[maybe_unused]] std::vector<at::Tensor>& squares,
                        [[maybe_unused]] const AdamStep& by,
                        [[maybe_unused]] const at::Tensor& overflow = {},
                        [[maybe_unused]] const at::Tensor& skipped = {}) {
#if TORCH_VERSION_MAJOR >= 2
  auto step =
      at::full({}, static_cast<double>(by.step), params.front().options().dtype(at::kFloat));
  if (skipped.defined()) step.sub_(skipped);
  const std::vector<at::Tensor> steps(params.size(), step);
  const auto run = [&](const auto&... unless) {
    at::_fused_adamw_(params, gradients, means, squares, {}, steps, by.lr, by.beta1, by.beta2,
                      (1 - by.decay) / by.lr, by.eps, /*amsgrad=*/false, /*maximize=*/false,
                      /*grad_scale=*/{}, unless...);
  };
  overflow.defined() ? run(overflow) : run();
#endif
}

}  // namespace fastcpp::compat
