// Networks whose features are one chain: SqueezeNet, VGG and AlexNet.
#include <algorithm>
#include <string_view>

#include "fastcpp/hooks/watched.hpp"
#include "vision/models/layers.hpp"

#include <torch/nn/cloneable.h>
#include <torch/nn/modules/dropout.h>
#include <torch/nn/modules/pooling.h>

namespace fastcpp::inline v0::models {
namespace nn = torch::nn;

namespace {

class Fire : public nn::Cloneable<Fire> {
 public:
  Fire(std::int64_t in, std::int64_t squeeze, std::int64_t expand)
      : in_(in), squeeze_channels_(squeeze), expand_channels_(expand) {
    reset();
  }

  void reset() override {
    const auto squeeze = squeeze_channels_, expand = expand_channels_;
    squeeze_ = register_module("squeeze", conv2d(in_, squeeze, 1, {.bias = true}));
    squeeze_activation_ = register_module("squeeze_activation", relu());
    expand1x1_ = register_module("expand1x1", conv2d(squeeze, expand, 1, {.bias = true}));
    expand1x1_activation_ = register_module("expand1x1_activation", relu());
    expand3x3_ =
        register_module("expand3x3", conv2d(squeeze, expand, 3, {.padding = 1, .bias = true}));
    expand3x3_activation_ = register_module("expand3x3_activation", relu());
  }

  Tensor forward(Tensor x) {
    if (!detail::has_hooks()) {
      if (const auto squeeze = squeeze_->packed(x)) {
        x = squeeze->run(x, {.activation = Activation::kRelu});
        const auto one = expand1x1_->packed(x), three = expand3x3_->packed(x);
        if (one && three) {
          auto y = torch::empty({x.size(0), 2 * expand_channels_, x.size(2), x.size(3)},
                                x.options(), torch::MemoryFormat::ChannelsLast);
          one->run(x, {.activation = Activation::kRelu, .into = y});
          three->run(x, {.activation = Activation::kRelu, .into = y, .first = expand_channels_});
          return y;
        }
        return expand(x);
      }
    }
    return expand(squeeze_activation_(squeeze_(x)));
  }

 private:
  Tensor expand(const Tensor& x) {
    return torch::cat({expand1x1_activation_(expand1x1_(x)), expand3x3_activation_(expand3x3_(x))},
                      1);
  }

  std::int64_t in_, squeeze_channels_, expand_channels_;
  Conv2d squeeze_{nullptr}, expand1x1_{nullptr}, expand3x3_{nullptr};
  nn::ReLU squeeze_activation_{nullptr}, expand1x1_activation_{nullptr},
      expand3x3_activation_{nullptr};
};

MaxPool2d pool(std::int64_t kernel, bool ceil_mode = false) {
  return MaxPool2d(nn::MaxPool2dOptions(kernel).stride(2).ceil_mode(ceil_mode));
}

}  // namespace

std::shared_ptr<Network> make_squeezenet(bool version_1_1, std::int64_t num_classes) {
  // A letter stands for a layer: f the next fire module, p a pool.
  const std::string_view plan = version_1_1 ? "pffpffpffff" : "pfffpffffpf";
  auto features = std::make_shared<Stack>();
  std::int64_t in = version_1_1 ? 64 : 96;
  features->push_back(conv2d(3, in, version_1_1 ? 3 : 7, {.stride = 2, .bias = true}));
  features->push_back(relu());
  int fires = 0;
  for (const char layer : plan) {
    if (layer == 'p') {
      features->push_back(pool(3, true));
      continue;
    }
    const std::int64_t squeeze = 16 * (1 + fires++ / 2);
    features->push_back(std::make_shared<Fire>(in, squeeze, 4 * squeeze));
    in = 8 * squeeze;
  }

  auto net = std::make_shared<Network>();
  net->add("features", any(features));
  net->add("classifier", any(stack(nn::Dropout(0.5), conv2d(in, num_classes, 1, {.bias = true}),
                                   relu(), nn::AdaptiveAvgPool2d(1))));
  net->then(flatten);
  return net;
}

std::shared_ptr<Network> make_vgg_bn(int layers, std::int64_t num_classes) {
  // Convolutions of each of the five stages.
  static constexpr int kStages[][5] = {
      {1, 1, 2, 2, 2}, {2, 2, 2, 2, 2}, {2, 2, 3, 3, 3}, {2, 2, 4, 4, 4}};
  const auto& stages = kStages[layers == 11 ? 0 : layers == 13 ? 1 : layers == 16 ? 2 : 3];
  auto features = std::make_shared<Stack>();
  std::int64_t in = 3, out = 64;
  for (const int count : stages) {
    for (int i = 0; i < count; ++i) {
      features->push_back(conv2d(in, out, 3, {.padding = 1, .bias = true}));
      features->push_back(batch_norm(out));
      features->push_back(relu());
      in = out;
    }
    features->push_back(pool(2));
    out = std::min<std::int64_t>(2 * out, 512);
  }

  auto net = std::make_shared<Network>();
  net->add("features", any(features));
  net->add("avgpool", any(nn::AdaptiveAvgPool2d(7)));
  net->then(flatten);
  net->add("classifier",
           any(stack(linear(512 * 7 * 7, 4096), relu(), nn::Dropout(0.5), linear(4096, 4096),
                     relu(), nn::Dropout(0.5), linear(4096, num_classes))));
  return net;
}

std::shared_ptr<Network> make_alexnet(std::int64_t num_classes) {
  const auto conv = [](std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t padding,
                       std::int64_t stride = 1) {
    return conv2d(in, out, kernel, {.stride = stride, .padding = padding, .bias = true});
  };
  auto net = std::make_shared<Network>();
  net->add("features",
           any(stack(conv(3, 64, 11, 2, 4), relu(), pool(3), conv(64, 192, 5, 2), relu(), pool(3),
                     conv(192, 384, 3, 1), relu(), conv(384, 256, 3, 1), relu(),
                     conv(256, 256, 3, 1), relu(), pool(3))));
  net->add("avgpool", any(nn::AdaptiveAvgPool2d(6)));
  net->then(flatten);
  net->add("classifier",
           any(stack(nn::Dropout(0.5), linear(256 * 6 * 6, 4096), relu(), nn::Dropout(0.5),
                     linear(4096, 4096), relu(), linear(4096, num_classes))));
  return net;
}

}  // namespace fastcpp::models
