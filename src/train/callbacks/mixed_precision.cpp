#include "fastcpp/train/callbacks/mixed_precision.hpp"

#include <fmt/format.h>
#include <torch/nn/utils/clip_grad.h>
#include <torch/utils.h>

#include <cmath>

#include "fastcpp/train/learner.hpp"
#include "train/callbacks/expect.hpp"
#include "train/callbacks/factory.hpp"

namespace fastcpp::inline v0 {

MixedPrecision::MixedPrecision(const MixedPrecisionOptions& options) : options_(options) {
  constexpr const char* kCode = "value.precision";
  const double scale = options.loss_scale.value_or(1), clip = options.clip.value_or(1);
  expect(positive(scale), kCode, "loss_scale", "a finite number > 0", scale);
  expect(options.max_noskip >= 1, kCode, "max_noskip", "a number of steps >= 1",
         options.max_noskip);
  expect(positive(clip), kCode, "clip", "a finite number > 0", clip);
  expect(positive(options.max_scale), kCode, "max_scale", "a finite number > 0", options.max_scale);
}

namespace {

// Divides by the scale; false when a gradient is not finite, which leaves them useless. One number
// comes back from the device, not one per parameter.
bool unscale(std::vector<torch::Tensor>& gradients, double scale) {
  const auto options = gradients.front().options().dtype(torch::kFloat32);
  if (gradients.front().is_cuda()) {
    auto overflow = torch::zeros({1}, options);
    at::_amp_foreach_non_finite_check_and_unscale_(gradients, overflow,
                                                   torch::full({1}, 1 / scale, options));
    return overflow.item<float>() == 0;
  }
  // Infinite and not-a-number survive a sum.
  std::vector<torch::Tensor> sums;
  for (const auto& gradient : gradients) sums.push_back(gradient.sum(torch::kFloat64));
  if (!std::isfinite(torch::stack(sums).sum().item<double>())) return false;
  at::_foreach_div_(gradients, scale);
  return true;
}

}  // namespace

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
  auto learn = this->learn();
  for (const auto& group : learn.opt().groups()) {
    for (const auto& parameter : group.params) {
      if (parameter.grad().defined()) gradients.push_back(parameter.grad());
    }
  }
  if (gradients.empty()) return;
  if (options_.dynamic) {
    if (!unscale(gradients, scale_)) {
      scale_ /= 2;
      noskip_ = 0;
      ++skipped_;
      state.skip_step = true;
      return;
    }
  }
  if (!options_.dynamic) at::_foreach_div_(gradients, scale_);
  if (options_.clip) {
    torch::nn::utils::clip_grad_norm_(learn.model()->parameters(), *options_.clip);
  }
  if (options_.dynamic && ++noskip_ >= options_.max_noskip && scale_ * 2 <= options_.max_scale) {
    scale_ *= 2;
    noskip_ = 0;
  }
}

Value MixedPrecision::state() const {
  return Value::dict({{"scale", scale_}, {"noskip", noskip_}, {"skipped", skipped_}});
}

void MixedPrecision::load_state(const Value& state) {
  scale_ = state.at("scale").as_double();
  noskip_ = static_cast<int>(state.at("noskip").as_int());
  skipped_ = state.at("skipped").as_int();
}

CallbackFn mixed_precision(const MixedPrecisionOptions& options) {
  return factory_of<MixedPrecision>(options);
}

}  // namespace fastcpp
