#include "vision/models/layers.hpp"

#include <ATen/CPUGeneratorImpl.h>

#include <cmath>

#include "compat/autocast.hpp"

namespace fastcpp::models {
namespace nn = torch::nn;

// LibTorch draws random weights in the constructor. So the layer is made with one channel, then
// gets its size.
Conv2dImpl::Conv2dImpl(std::int64_t in, std::int64_t out, std::int64_t kernel, const ConvOptions& o)
    : nn::Conv2dImpl(nn::Conv2dOptions(1, 1, 1).stride(o.stride).padding(o.padding).bias(o.bias)),
      own_options_(o) {
  options.in_channels(in).out_channels(out).kernel_size(kernel).groups(o.groups);
  weight.set_data(torch::empty({out, in / o.groups, kernel, kernel}));
  if (o.bias) bias.set_data(torch::empty({out}));
}

Tensor Conv2dImpl::forward(const Tensor& x) {
  if (packed_) return packed_->run(x);
  if (!is_training()) return nn::Conv2dImpl::forward(x);  // maybe in several threads
  const auto* fixed = frozen(x);
  return fixed ? fixed->run(x) : nn::Conv2dImpl::forward(x);
}

// Null where somebody needs a gradient, or LibTorch's own convolution is the better choice.
const PackedConv* Conv2dImpl::frozen(const Tensor& x) {
  // The pictures are copied with a border; larger copies than this are not worth it.
  constexpr std::int64_t kMostValues = std::int64_t{1} << 26;
  const auto still = [](const Tensor& t) {
    return !t.defined() || (!t.requires_grad() && !t.is_inference());
  };
  if (!still(weight) || !still(bias) || (x.requires_grad() && torch::GradMode::is_enabled()) ||
      own_options_.groups != 1 || x.dim() != 4 || x.scalar_type() != torch::kFloat32 ||
      x.numel() > kMostValues || !x.device().is_cpu() || compat::is_autocast_enabled(torch::kCPU) ||
      !PackedConv::suits_winograd(weight, own_options_.stride)) {
    frozen_ = {};
    return nullptr;
  }
  const auto same = [](const Tensor& kept, const Tensor& now) {
    return kept.defined() == now.defined() &&
           (!now.defined() ||
            (kept.data_ptr() == now.data_ptr() && kept.strides() == now.strides()));
  };
  const auto version = weight._version() + (bias.defined() ? bias._version() : 0);
  if (!same(frozen_.weight, weight) || !same(frozen_.bias, bias) || frozen_.version != version) {
    frozen_ = {PackedConv::make(weight, bias, own_options_.stride, own_options_.padding),
               weight.detach(), bias.defined() ? bias.detach() : Tensor(), version};
  }
  return frozen_.packed.get();
}

// Once an epoch: so memory is free during validation, and weights that were written behind
// LibTorch's back between two epochs are noticed.
void Conv2dImpl::train(bool on) {
  frozen_ = {};
  nn::Conv2dImpl::train(on);
}

std::shared_ptr<nn::Module> Conv2dImpl::clone(const torch::optional<torch::Device>& device) const {
  auto copy = std::make_shared<Conv2dImpl>(options.in_channels(), options.out_channels(),
                                           options.kernel_size()->at(0), own_options_);
  const auto copied = [&](const Tensor& t) {
    return device ? t.detach().to(*device, /*non_blocking=*/false, /*copy=*/true)
                  : t.detach().clone();
  };
  copy->weight.set_data(copied(weight));
  if (own_options_.bias) copy->bias.set_data(copied(bias));
  copy->train(is_training());
  return copy;
}

void Conv2dImpl::pack() {
  if (own_options_.groups != 1) return;
  packed_ = PackedConv::make(weight, bias, own_options_.stride, own_options_.padding);
}

Tensor conv_norm(Conv2d& conv, nn::BatchNorm2d& layer, const Tensor& x, bool with_relu,
                 const Tensor& add) {
  if (conv->packed() && is_folded(*layer)) return conv->packed()->run(x, add, with_relu);
  auto y = norm(layer, conv(x));
  if (add.defined()) y += add;
  return with_relu ? y.relu_() : y;
}

nn::Linear linear(std::int64_t in, std::int64_t out) {
  nn::Linear layer(1, 1);
  layer->options.in_features(in).out_features(out);
  layer->weight.set_data(torch::empty({out, in}));
  layer->bias.set_data(torch::empty({out}));
  return layer;
}

Tensor flatten(Tensor x) {
  return x.flatten(1);
}

torch::Generator generator(std::uint64_t seed) {
  return at::make_generator<at::CPUGeneratorImpl>(seed);
}

namespace {

// PyTorch's default of convolutions and linear layers: uniform within 1/sqrt(fan-in), weight and
// bias alike.
void init_default(Tensor& parameter, double fan_in, torch::Generator& random) {
  const double bound = 1 / std::sqrt(fan_in);
  parameter.uniform_(-bound, bound, random);
}

void init_conv(nn::Conv2dImpl& layer, ConvInit rule, torch::Generator& random) {
  auto& weight = layer.weight;
  const auto fan_in = static_cast<double>(weight.numel() / weight.size(0));
  const auto fan_out = static_cast<double>(weight.numel() / weight.size(1));
  switch (rule) {
    case ConvInit::kDefault:
      init_default(weight, fan_in, random);
      break;
    case ConvInit::kNormalFanOut:
      weight.normal_(0, std::sqrt(2 / fan_out), random);
      break;
    case ConvInit::kNormalFanIn:
      weight.normal_(0, std::sqrt(2 / fan_in), random);
      break;
    case ConvInit::kUniformFanIn:
      weight.uniform_(-std::sqrt(6 / fan_in), std::sqrt(6 / fan_in), random);
      break;
  }
  if (!layer.bias.defined()) return;
  if (rule == ConvInit::kDefault) {
    init_default(layer.bias, fan_in, random);
  } else {
    layer.bias.zero_();
  }
}

void init_linear(nn::LinearImpl& layer, LinearInit rule, torch::Generator& random) {
  const auto fan_in = static_cast<double>(layer.weight.size(1));
  if (rule == LinearInit::kNormal) {
    layer.weight.normal_(0, 0.01, random);
  } else {
    init_default(layer.weight, fan_in, random);
  }
  if (rule == LinearInit::kDefault) {
    init_default(layer.bias, fan_in, random);
  } else {
    layer.bias.zero_();
  }
}

}  // namespace

void init_weights(nn::Module& module, const InitRule& rule, std::uint64_t seed) {
  const torch::NoGradGuard no_grad;
  auto random = generator(seed);
  for (const auto& item : module.named_modules()) {
    if (auto* conv = item.value()->as<nn::Conv2dImpl>()) {
      init_conv(*conv, rule.conv, random);
      if (rule.small_classifier && item.key().rfind("classifier", 0) == 0) {
        conv->weight.normal_(0, 0.01, random);
      }
    } else if (auto* full = item.value()->as<nn::LinearImpl>()) {
      init_linear(*full, rule.linear, random);
    }
  }
}

}  // namespace fastcpp::models
