#include "fastcpp/vision/models/fold.hpp"

#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/utils.h>

#include <cstddef>
#include <typeinfo>

#include "vision/models/layers.hpp"

namespace fastcpp::inline v0::models {
namespace nn = torch::nn;
namespace {

bool fits(const nn::Conv2dImpl& conv, const nn::BatchNorm2dImpl& norm) {
  return norm.options.track_running_stats() && norm.running_mean.defined() &&
         norm.running_mean.numel() == conv.options.out_channels();
}

// norm(conv(x)) = w x * f + (b - mean) * f + shift with f = scale / sqrt(var + eps); in double
// precision, so that only one rounding is added.
void fold(nn::Conv2dImpl& conv, nn::BatchNorm2dImpl& norm) {
  auto factor = (norm.running_var.to(torch::kFloat64) + norm.options.eps()).rsqrt();
  if (norm.options.affine()) factor = factor * norm.weight.to(torch::kFloat64);
  auto bias = -norm.running_mean.to(torch::kFloat64);
  if (conv.bias.defined()) bias = bias + conv.bias.to(torch::kFloat64);
  bias = bias * factor;
  if (norm.options.affine()) bias = bias + norm.bias.to(torch::kFloat64);
  const auto type = conv.weight.scalar_type();
  conv.weight.set_data(
      (conv.weight.to(torch::kFloat64) * factor.view({-1, 1, 1, 1})).to(type).contiguous());
  if (conv.bias.defined()) {
    conv.bias.set_data(bias.to(type));
  } else {
    // Not registered under a name: the slot of a convolution without bias is an undefined
    // parameter.
    conv.bias = bias.to(type);
  }
  norm.running_mean.reset();
  norm.running_var.reset();
}

}  // namespace

void fold_batchnorm(nn::Module& root) {
  const torch::NoGradGuard no_grad;
  for (const auto& module : root.modules()) {
    const auto& one = *module;
    const auto* network = typeid(one) == typeid(Network) ? module->as<Network>() : nullptr;
    const bool in_order = network || module->as<Stack>() || dynamic_cast<Foldable*>(module.get());
    if (!in_order) continue;
    nn::Conv2dImpl* conv = nullptr;
    std::size_t i = 0;
    for (const auto& child : module->children()) {
      auto* norm = child->as<nn::BatchNorm2dImpl>();
      if (conv && norm && fits(*conv, *norm)) fold(*conv, *norm);
      conv = network && network->has_step(i) ? nullptr : child->as<nn::Conv2dImpl>();
      ++i;
    }
  }
}

void pack_convolutions(nn::Module& root) {
  for (const auto& module : root.modules()) {
    if (auto* layer = dynamic_cast<Packable*>(module.get())) layer->pack();
  }
}

void set_frozen_conv(nn::Module& root, FrozenConv which) {
  for (const auto& module : root.modules()) {
    if (auto* conv = module->as<Conv2dImpl>()) conv->set_frozen_conv(which);
  }
}

}  // namespace fastcpp::models
