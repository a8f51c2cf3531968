#include "fastcpp/train/mixed_precision.hpp"

#include <fmt/format.h>
#include <torch/torch.h>

#include <cmath>

#include "fastcpp/core/error.hpp"
#include "fastcpp/train/learner.hpp"

namespace fastcpp {

MixedPrecision::MixedPrecision(const MixedPrecisionOptions& options) : options_(options) {
  const double scale = options.loss_scale.value_or(1);
  if (!(scale > 0) || !(options.max_scale > 0) || options.max_noskip < 1) {
    throw ValueError("value.precision",
                     fmt::format("loss_scale, max_scale and max_noskip must be > 0, found {}, {} "
                                 "and {}",
                                 scale, options.max_scale, options.max_noskip));
  }
}

void MixedPrecision::on_train_begin(TrainState&) {
  scale_ = options_.loss_scale.value_or(options_.dynamic ? 65536.0 : 512.0);
  noskip_ = 0;
  skipped_ = 0;
}

void MixedPrecision::on_loss_begin(TrainState& state) {
  if (options_.loss_fp32) state.last_output = state.last_output.to(torch::kFloat32);
}

void MixedPrecision::on_backward_begin(TrainState& state) {
  state.last_loss = state.last_loss * scale_;
}

void MixedPrecision::on_backward_end(TrainState& state) {
  const torch::NoGradGuard no_grad;
  state.last_loss = state.last_loss / scale_;
  std::vector<torch::Tensor> gradients;
  const auto learn = this->learn();
  for (const auto& group : learn.opt().groups()) {
    for (const auto& parameter : group.params) {
      if (parameter.grad().defined()) gradients.push_back(parameter.grad());
    }
  }
  if (gradients.empty()) return;
  if (options_.dynamic) {
    // Infinite and not-a-number survive a sum; one number comes back from the device, not one per
    // parameter.
    std::vector<torch::Tensor> sums;
    for (const auto& gradient : gradients) sums.push_back(gradient.sum(torch::kFloat64));
    if (!std::isfinite(torch::stack(sums).sum().item<double>())) {
      scale_ /= 2;
      noskip_ = 0;
      ++skipped_;
      state.skip_step = true;
      return;
    }
  }
  for (auto& gradient : gradients) gradient.div_(scale_);
  if (options_.clip) {
    torch::nn::utils::clip_grad_norm_(learn.model()->parameters(), *options_.clip);
  }
  if (options_.dynamic && ++noskip_ >= options_.max_noskip && scale_ * 2 <= options_.max_scale) {
    scale_ *= 2;
    noskip_ = 0;
  }
}

}  // namespace fastcpp
