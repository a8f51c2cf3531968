#include "vision/models/layers.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TracerMode.h>
#include <torch/utils.h>

#include <cmath>

#include "compat/autocast.hpp"
#include "fastcpp/hooks/watched.hpp"
#include "fastcpp/kernels/channels.hpp"
#include "vision/models/trained_conv.hpp"

namespace fastcpp::inline v0::models {
namespace nn = torch::nn;

// LibTorch draws random weights in the constructor. So the layer is made with one channel, then
// gets its size.
Conv2dImpl::Conv2dImpl(std::int64_t in, std::int64_t out, std::int64_t kernel, const ConvOptions& o)
    : nn::Conv2dImpl(nn::Conv2dOptions(1, 1, 1).stride(o.stride).padding(o.padding).bias(o.bias)) {
  options.in_channels(in).out_channels(out).kernel_size(kernel).groups(o.groups);
  weight.set_data(torch::empty({out, in / o.groups, kernel, kernel}, torch::kFloat32));
  if (o.bias) bias.set_data(torch::empty({out}, torch::kFloat32));
}

Tensor Conv2dImpl::forward(const Tensor& x) {
  if (const auto cast = cast_weight(x); cast.defined()) return _conv_forward(x, cast);
  if (!packed_ && !is_training()) return nn::Conv2dImpl::forward(x);
  if (const auto padding = packed_ ? std::nullopt : trained_padding(x)) {
    return detail::watched(*this, [&] { return trained_conv(x, weight, bias, *padding); });
  }
  const auto fixed = packed_ ? packed(x) : frozen(x);
  if (!fixed) return nn::Conv2dImpl::forward(x);
  // No operation of LibTorch's tells hooks.
  return detail::watched(*this, [&] { return fixed->run(x); });
}

// Nothing where the kernels cannot do what the options ask for.
std::optional<Conv2dImpl::Window> Conv2dImpl::window() const {
  const auto& o = options;
  const auto one_of = [](const auto& pair) -> std::optional<std::int64_t> {
    if (pair->at(0) != pair->at(1)) return std::nullopt;
    return pair->at(0);
  };
  const bool one_by_one = o.groups() == o.in_channels() && o.groups() == o.out_channels();
  if ((o.groups() != 1 && !one_by_one) || o.transposed() || one_of(o.dilation()) != 1 ||
      !get_if<torch::enumtype::kZeros>(&o.padding_mode()) || weight.dim() != 4) {
    return std::nullopt;
  }
  const auto stride = one_of(o.stride());
  std::optional<std::int64_t> padding;
  if (const auto* given = get_if<torch::ExpandingArray<2>>(&o.padding())) {
    padding = one_of(*given);
  } else if (get_if<torch::enumtype::kValid>(&o.padding())) {
    padding = 0;
  } else if (weight.size(2) == weight.size(3) && weight.size(2) % 2 == 1 && stride == 1) {
    padding = weight.size(2) / 2;  // `same`
  }
  if (!stride || !padding || *stride < 1 || *padding < 0) return std::nullopt;
  return Window{*stride, *padding, o.groups()};
}

bool suits_kernels(const Tensor& x, bool gradients) {
  return x.scalar_type() == torch::kFloat32 && x.device().is_cpu() &&
         x.layout() == torch::kStrided && x.numel() > 0 &&
         (gradients || !(x.requires_grad() && torch::GradMode::is_enabled())) &&
         !compat::is_autocast_enabled(torch::kCPU) && !at::tracer::impl::is_dispatch_enabled();
}

std::optional<std::int64_t> Conv2dImpl::trained_padding(const Tensor& x) const {
  const auto plain = [](const Tensor& t) {
    return t.scalar_type() == torch::kFloat32 && t.device().is_cpu() &&
           t.layout() == torch::kStrided && !t.is_inference() && !t._fw_grad(0).defined();
  };
  const auto taught = [](const Tensor& t) { return t.defined() && t.requires_grad(); };
  const bool in_graph =
      torch::GradMode::is_enabled() && (taught(x) || taught(weight) || taught(bias));
  const bool biased = bias.defined();
  if (!in_graph || training_conv_ == TrainingConv::kLibTorch || x.dim() != 4 ||
      !suits_kernels(x, /*gradients=*/true) || !plain(x) || !plain(weight) ||
      (biased && !(plain(bias) && bias.dim() == 1 && bias.size(0) == weight.size(0)))) {
    return std::nullopt;
  }
  const auto now = window();
  if (!now || now->groups != 1 || now->stride != 1 || x.size(1) != weight.size(1) ||
      !PackedConv::suits_training(x, weight, now->padding)) {
    return std::nullopt;
  }
  return now->padding;
}

// Whether nobody sees the difference between the kernels and LibTorch's convolution of that batch: no gradient, no cast,
// no trace, no error to be told.
bool Conv2dImpl::suits(const Tensor& x) const {
  return x.dim() == 4 && x.size(1) == weight.size(1) * options.groups() && suits_kernels(x);
}

std::shared_ptr<const PackedConv> Conv2dImpl::packed(const Tensor& x) const {
  auto conv = packed();
  return conv && suits(x) ? conv : nullptr;
}

std::shared_ptr<const PackedConv> Conv2dImpl::packed() const {
  return packed_ && window() == packed_window_ ? packed_ : nullptr;
}

// Null where somebody needs a gradient, or LibTorch's own convolution is the better choice.
std::shared_ptr<const PackedConv> Conv2dImpl::frozen(const Tensor& x) {
  const auto still = [](const Tensor& t) {
    return !t.defined() || (!t.requires_grad() && !t.is_inference());
  };
  const auto now = window();
  if (training_conv_ == TrainingConv::kLibTorch || !still(weight) || !still(bias) || !now ||
      now->groups != 1 || !PackedConv::suits_winograd(weight, now->stride)) {
    forget_frozen();
    return nullptr;
  }
  if (!suits(x)) return nullptr;
  const auto same = [](const Tensor& kept, const Tensor& t) {
    return kept.defined() == t.defined() &&
           (!t.defined() || (kept.data_ptr() == t.data_ptr() && kept.strides() == t.strides()));
  };
  const auto version = weight._version() + (bias.defined() ? bias._version() : 0);
  const std::lock_guard lock(mutex_);
  if (!same(frozen_.weight, weight) || !same(frozen_.bias, bias) || frozen_.version != version ||
      frozen_.window != *now) {
    frozen_ = {PackedConv::make(weight, bias, now->stride, now->padding), *now, weight.detach(),
               bias.defined() ? bias.detach() : Tensor(), version};
  }
  return frozen_.conv;
}

// Autocast keeps the casts of a forward pass, and only of weights that are trained; those of a frozen body would be cast
// anew in every step. Undefined where LibTorch is to cast.
Tensor Conv2dImpl::cast_weight(const Tensor& x) {
  const auto device = weight.device();
  // What inference mode makes cannot take part in a training later.
  if (weight.requires_grad() || weight.is_inference() || c10::InferenceMode::is_enabled() ||
      training_conv_ == TrainingConv::kLibTorch || x.device() != device ||
      weight.scalar_type() != torch::kFloat32 || !(device.is_cuda() || device.is_cpu()) ||
      !compat::is_autocast_enabled(device.type()) || at::tracer::impl::is_dispatch_enabled()) {
    return {};
  }
  const auto dtype = compat::autocast_dtype(device.type());
  const std::lock_guard lock(mutex_);
  // The source is kept, so that no other weights get its address meanwhile.
  if (!cast_.weight.defined() || cast_.weight.scalar_type() != dtype ||
      cast_.source.data_ptr() != weight.data_ptr() || cast_.source.strides() != weight.strides() ||
      cast_.version != weight._version()) {
    cast_ = {weight.detach().to(dtype), weight.detach(),
             static_cast<std::uint32_t>(weight._version())};
  }
  return cast_.weight;
}

void Conv2dImpl::forget_frozen() {
  const std::lock_guard lock(mutex_);
  frozen_ = {};
  cast_ = {};
}

// Once an epoch: so memory is free during validation, and weights that were written behind
// LibTorch's back between two epochs are noticed.
void Conv2dImpl::train(bool on) {
  forget_frozen();
  nn::Conv2dImpl::train(on);
}

std::shared_ptr<nn::Module> Conv2dImpl::clone(const torch::optional<torch::Device>& device) const {
  auto copy = std::make_shared<Conv2dImpl>(1, 1, 1, ConvOptions{.bias = options.bias()});
  copy->options = options;
  copy->_reversed_padding_repeated_twice = _reversed_padding_repeated_twice;
  copy->training_conv_ = training_conv_;
  const auto copied = [&](const Tensor& t) {
    return device ? t.detach().to(*device, /*non_blocking=*/false, /*copy=*/true)
                  : t.detach().clone();
  };
  copy->weight.set_data(copied(weight));
  if (!bias.defined() || !copy->bias.defined()) {
    copy->bias = bias.defined() ? copied(bias) : Tensor();
  } else {
    copy->bias.set_data(copied(bias));
  }
  copy->train(is_training());
  return copy;
}

void Conv2dImpl::pack() {
  const auto now = window();
  packed_ = now ? PackedConv::make(weight, bias, now->stride, now->padding, now->groups) : nullptr;
  if (now) packed_window_ = *now;
}

void Conv2dImpl::set_training_conv(TrainingConv which) {
  forget_frozen();
  training_conv_ = which;
}

Tensor conv_norm(Conv2d& conv, nn::BatchNorm2d& layer, const Tensor& x, bool with_relu,
                 const Tensor& add) {
  if (is_folded(*layer)) {
    if (const auto packed = conv->packed(x)) return packed->run(x, add, with_relu);
  }
  auto y = norm(layer, conv(x));
  if (add.defined()) y += add;
  return with_relu ? y.relu_() : y;
}

ChannelFactors factors_of(const nn::BatchNorm2dImpl& norm) {
  auto scale = (norm.running_var.to(torch::kFloat64) + norm.options.eps()).rsqrt();
  if (norm.options.affine()) scale = scale * norm.weight.to(torch::kFloat64);
  auto shift = -norm.running_mean.to(torch::kFloat64) * scale;
  if (norm.options.affine()) shift = shift + norm.bias.to(torch::kFloat64);
  return {scale.to(torch::kFloat32), shift.to(torch::kFloat32)};
}

LinearImpl::LinearImpl(std::int64_t in, std::int64_t out) : nn::LinearImpl(1, 1) {
  options.in_features(in).out_features(out);
  weight.set_data(torch::empty({out, in}, torch::kFloat32));
  bias.set_data(torch::empty({out}, torch::kFloat32));
}

Tensor LinearImpl::forward(const Tensor& x) {
  constexpr std::int64_t kFew = 32;  // beyond, products of matrices use each weight often enough
  const auto fits = [](const Tensor& t) {
    return t.scalar_type() == torch::kFloat32 && t.device().is_cpu() && t.is_contiguous() &&
           !(t.requires_grad() && torch::GradMode::is_enabled());
  };
  if (!packed_ || !has_channel_kernels() || x.dim() != 2 || x.size(0) > kFew || !suits_kernels(x) ||
      weight.dim() != 2 || x.size(1) != weight.size(1) || !fits(weight) || !bias.defined() ||
      !fits(bias)) {
    return nn::LinearImpl::forward(x);
  }
  return detail::watched(*this, [&] { return linear_of_few(x, weight, bias); });
}

std::shared_ptr<nn::Module> LinearImpl::clone(const torch::optional<torch::Device>& device) const {
  auto copy = std::make_shared<LinearImpl>(1, 1);
  copy->options = options;
  const auto copied = [&](const Tensor& t) {
    return device ? t.detach().to(*device, /*non_blocking=*/false, /*copy=*/true)
                  : t.detach().clone();
  };
  copy->weight.set_data(copied(weight));
  copy->bias.set_data(copied(bias));
  copy->train(is_training());
  return copy;
}

std::optional<PoolWindow> MaxPool2dImpl::packed() const {
  const auto& o = options;
  const auto square = [](const auto& pair) { return pair->at(0) == pair->at(1); };
  if (!packed_ || !has_channel_kernels() || !square(o.kernel_size()) || !square(o.stride()) ||
      !square(o.padding()) || o.dilation()->at(0) != 1 || o.dilation()->at(1) != 1) {
    return std::nullopt;
  }
  return PoolWindow{.size = o.kernel_size()->at(0),
                    .stride = o.stride()->at(0),
                    .padding = o.padding()->at(0),
                    .ceil_mode = o.ceil_mode()};
}

Tensor MaxPool2dImpl::forward(const Tensor& x) {
  const auto window = packed();
  if (!window || x.dim() != 4 || !suits_kernels(x) || window->outputs(x.size(2)) < 1 ||
      window->outputs(x.size(3)) < 1) {
    return nn::MaxPool2dImpl::forward(x);
  }
  return detail::watched(*this, [&] { return max_pool(x, *window); });
}

std::shared_ptr<nn::Module> MaxPool2dImpl::clone(const torch::optional<torch::Device>&) const {
  auto copy = std::make_shared<MaxPool2dImpl>(options);
  copy->train(is_training());
  return copy;
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
