#include "train/callbacks/mixing.hpp"

#include <torch/types.h>

#include <cmath>
#include <cstdint>
#include <vector>

namespace fastcpp::inline v0::detail {
namespace {

// The logarithm of a Gamma(shape, 1) number (Marsaglia and Tsang 2000). Small shapes give numbers
// that underflow, their logarithms do not.
double log_gamma_draw(double shape, Rng& rng) {
  if (shape < 1) {
    return log_gamma_draw(shape + 1, rng) + std::log(1 - rng.uniform()) / shape;
  }
  const double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = rng.normal(), v = std::pow(1 + c * x, 3);
    if (v <= 0) continue;
    if (std::log(1 - rng.uniform()) < 0.5 * x * x + d - d * v + d * std::log(v))
      return std::log(d * v);
  }
}

// lambda, shaped to scale the items of `like`.
torch::Tensor per_item(const torch::Tensor& lambda, const torch::Tensor& like) {
  std::vector<std::int64_t> shape(static_cast<std::size_t>(like.dim()), 1);
  shape[0] = -1;
  return lambda.reshape(shape);
}

}  // namespace

double beta_draw(double alpha, Rng& rng) {
  const double a = log_gamma_draw(alpha, rng), b = log_gamma_draw(alpha, rng);
  return 1 / (1 + std::exp(b - a));
}

torch::Tensor mixed(const torch::Tensor& values, const torch::Tensor& lambda,
                    const torch::Tensor& perm) {
  const auto share = per_item(lambda, values);
  return values * share + values.index_select(0, perm) * (1 - share);
}

torch::Tensor shown_targets(const MixedTargets& targets, torch::Dtype dtype) {
  if (targets.first.dim() != 1) return targets.first.clone();
  return torch::stack({targets.first.to(dtype), targets.second.to(dtype), targets.lambda}, 1);
}

Loss mixed_loss(const Loss& loss, const std::shared_ptr<const MixedBatch>& batch) {
  const auto is_mixed = [batch](const Tensors& target) {
    return batch->shown.defined() && batch->shown.is_same(target);
  };
  const auto unreduced = [loss, is_mixed, batch](const Tensors& output, const Tensors& target) {
    return is_mixed(target) ? mixup_loss(loss, output, batch->targets)
                            : loss.unreduced(output, target);
  };
  return Loss(
      kMixedLoss, unreduced, [loss](const torch::Tensor& output) { return loss.activate(output); },
      [loss, is_mixed, unreduced](const Tensors& output, const Tensors& target) {
        // The validation loss is the loss's own, also where that is no plain mean.
        return is_mixed(target) ? unreduced(output, target).mean() : loss(output, target);
      });
}

}  // namespace fastcpp::detail
