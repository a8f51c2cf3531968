#include "fastcpp/train/callbacks/mixed_precision.hpp"

#include <fmt/format.h>
#include <torch/nn/utils/clip_grad.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <vector>

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
  begin();
}

namespace {

// Divides by the scale; 1 when a gradient is not finite, which leaves them useless, else 0.
torch::Tensor unscale(std::vector<torch::Tensor>& gradients, const torch::Tensor& scale) {
  if (scale.is_cuda()) {
    auto overflow = torch::zeros_like(scale);
    at::_amp_foreach_non_finite_check_and_unscale_(gradients, overflow, scale.reciprocal());
    return overflow;
  }
  // Infinite and not-a-number survive a sum.
  std::vector<torch::Tensor> sums;
  for (const auto& gradient : gradients) sums.push_back(gradient.sum(torch::kFloat64));
  for (auto& gradient : gradients) gradient.div_(scale);
  return torch::isfinite(torch::stack(sums).sum()).logical_not().to(torch::kFloat32);
}

// Halves the scale after an overflow, and doubles it after so many steps without one.
void adapt(torch::Tensor& scale, torch::Tensor& noskip, const torch::Tensor& overflow,
           int max_noskip) {
  if (scale.is_cuda()) {
    at::_amp_update_scale_(scale, noskip, overflow, 2, 0.5, max_noskip);
    return;
  }
  const bool skip = overflow.item<float>() != 0;
  const bool grow = !skip && noskip.item<int>() + 1 >= max_noskip;
  scale.mul_(skip ? 0.5 : grow ? 2 : 1);
  skip || grow ? noskip.zero_() : noskip.add_(1);
}

}  // namespace

void MixedPrecision::set(double scale, int noskip, std::int64_t skipped) {
  largest_ = scale;
  while (largest_ * 2 <= options_.max_scale) largest_ *= 2;
  // They follow the first loss to its device.
  const auto number = torch::dtype(torch::kFloat32).device(torch::kCPU);
  scale_ = torch::full({}, scale, number);
  noskip_ = torch::full({}, std::min(noskip, options_.max_noskip - 1), number.dtype(torch::kInt32));
  skipped_ = torch::full({}, static_cast<double>(skipped), number);
}

void MixedPrecision::begin() {
  set(options_.loss_scale.value_or(options_.dynamic ? 65536.0 : 512.0), 0, 0);
}

void MixedPrecision::on_train_begin(TrainState&) {
  begin();
}

void MixedPrecision::on_loss_begin(TrainState& state) {
  if (options_.loss_fp32) state.last_output = state.last_output.to(torch::kFloat32);
}

void MixedPrecision::on_backward_begin(TrainState& state) {
  for (auto* number : {&scale_, &noskip_, &skipped_}) {
    *number = number->to(state.last_loss.device());
  }
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
  const auto overflow = unscale(gradients, scale_);
  if (options_.dynamic) {
    adapt(scale_, noskip_, overflow, options_.max_noskip);
    scale_.clamp_max_(largest_);
    skipped_.add_(overflow);
    state.overflow = overflow;
    // Without a device nobody waits, and clipping needs the norm here.
    if ((options_.clip || !overflow.is_cuda()) && state.skips_step()) return;
  }
  if (options_.clip) {
    torch::nn::utils::clip_grad_norm_(learn.model()->parameters(), *options_.clip);
  }
}

double MixedPrecision::loss_scale() const {
  return scale_.item<double>();
}

std::int64_t MixedPrecision::skipped() const {
  return static_cast<std::int64_t>(skipped_.item<double>());
}

Value MixedPrecision::state() const {
  return Value::dict(
      {{"scale", loss_scale()}, {"noskip", noskip_.item<int>()}, {"skipped", skipped()}});
}

void MixedPrecision::load_state(const Value& state) {
  set(state.at("scale").as_double(), static_cast<int>(state.at("noskip").as_int()),
      state.at("skipped").as_int());
}

CallbackFn mixed_precision(const MixedPrecisionOptions& options) {
  return factory_of<MixedPrecision>(options);
}

}  // namespace fastcpp
