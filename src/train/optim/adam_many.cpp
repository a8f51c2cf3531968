#include "train/optim/adam_many.hpp"

#include <torch/types.h>

#include <cmath>

namespace fastcpp::inline v0 {

void adam_many(std::vector<torch::Tensor>& params, const std::vector<torch::Tensor>& gradients,
               std::vector<torch::Tensor>& means, std::vector<torch::Tensor>& squares,
               const compat::AdamStep& by, double l2) {
  if (params.empty()) return;
  if (l2 == 0 && params.front().is_cuda() && compat::has_fused_adamw(params.front(), by.lr)) {
    return compat::fused_adamw(params, gradients, means, squares, by);
  }
  if (by.decay != 1) at::_foreach_mul_(params, by.decay);
  const auto g = l2 == 0 ? gradients : at::_foreach_add(gradients, params, l2);
  at::_foreach_mul_(means, by.beta1);
  at::_foreach_add_(means, g, 1 - by.beta1);
  at::_foreach_mul_(squares, by.beta2);
  at::_foreach_addcmul_(squares, g, g, 1 - by.beta2);
  const auto t = static_cast<double>(by.step);
  auto divisor = at::_foreach_sqrt(squares);
  at::_foreach_div_(divisor, std::sqrt(1 - std::pow(by.beta2, t)));
  at::_foreach_add_(divisor, by.eps);
  at::_foreach_addcdiv_(params, means, divisor, -by.lr / (1 - std::pow(by.beta1, t)));
}

}  // namespace fastcpp
