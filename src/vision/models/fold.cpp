#include "fastcpp/vision/models/fold.hpp"

#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/utils.h>

#include <map>
#include <memory>
#include <set>
#include <typeinfo>
#include <utility>
#include <vector>

#include "vision/models/layers.hpp"

namespace fastcpp::inline v0::models {
namespace nn = torch::nn;
namespace {

// Exact classes: what a derived one computes is not known.
nn::Conv2dImpl* conv_of(nn::Module& layer) {
  const bool known = typeid(layer) == typeid(Conv2dImpl) || typeid(layer) == typeid(nn::Conv2dImpl);
  return known ? layer.as<nn::Conv2dImpl>() : nullptr;
}

nn::BatchNorm2dImpl* norm_of(nn::Module& layer, const nn::Conv2dImpl& conv) {
  if (typeid(layer) != typeid(nn::BatchNorm2dImpl)) return nullptr;
  auto* norm = layer.as<nn::BatchNorm2dImpl>();
  const bool fits = norm->options.track_running_stats() && !is_folded(*norm) &&
                    norm->running_mean.defined() &&
                    norm->running_mean.numel() == conv.options.out_channels();
  return fits ? norm : nullptr;
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
  // Whoever runs the norm himself gets what he gives.
  norm.running_mean.set_data(torch::zeros_like(norm.running_mean));
  norm.running_var.set_data(torch::full_like(norm.running_var, 1 - norm.options.eps()));
  if (norm.options.affine()) {
    norm.weight.set_data(torch::ones_like(norm.weight));
    norm.bias.set_data(torch::zeros_like(norm.bias));
  }
  norm.num_batches_tracked.reset();
}

using Layers = std::vector<std::shared_ptr<nn::Module>>;

// The layers that a module runs one after the other, in parts between which something else happens; none where that is not
// known.
std::vector<Layers> chains_of(nn::Module& module) {
  if (typeid(module) == typeid(Network)) return NetworkLayers::chains(*module.as<Network>());
  if (typeid(module) == typeid(Stack) || dynamic_cast<Foldable*>(&module))
    return {module.children()};
  return {};
}

}  // namespace

void fold_batchnorm(nn::Module& root) {
  const torch::NoGradGuard no_grad;
  std::vector<Layers> chains;
  std::set<const nn::Module*> seen;
  for (const auto& module : root.modules()) {
    if (!seen.insert(module.get()).second) continue;
    for (auto& chain : chains_of(*module)) chains.push_back(std::move(chain));
  }
  // A layer that runs in several places may have another behind it in each.
  std::map<const nn::Module*, int> uses;
  for (const auto& chain : chains) {
    for (const auto& layer : chain) ++uses[layer.get()];
  }
  for (const auto& chain : chains) {
    nn::Conv2dImpl* conv = nullptr;
    for (const auto& layer : chain) {
      auto* const norm = conv ? norm_of(*layer, *conv) : nullptr;
      if (norm && uses[conv] == 1 && uses[norm] == 1) fold(*conv, *norm);
      conv = conv_of(*layer);
    }
  }
}

void pack_convolutions(nn::Module& root) {
  for (const auto& module : root.modules()) {
    if (auto* layer = dynamic_cast<Packable*>(module.get())) layer->pack();
  }
}

void set_training_conv(nn::Module& root, TrainingConv which) {
  for (const auto& module : root.modules()) {
    if (auto* conv = module->as<Conv2dImpl>()) conv->set_training_conv(which);
  }
}

}  // namespace fastcpp::models
