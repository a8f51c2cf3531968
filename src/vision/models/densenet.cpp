#include <array>
#include <string>
#include <vector>

#include "fastcpp/hooks/watched.hpp"
#include "fastcpp/kernels/channels.hpp"
#include "vision/models/layers.hpp"

#include <torch/nn/cloneable.h>
#include <torch/nn/modules/pooling.h>

namespace fastcpp::inline v0::models {
namespace nn = torch::nn;

namespace {

constexpr std::int64_t kBottleneck = 4;

class DenseLayer : public nn::Cloneable<DenseLayer>, public Foldable, public Packable {
 public:
  DenseLayer(std::int64_t in, std::int64_t growth) : in_(in), growth_(growth) { reset(); }

  void reset() override {
    const auto width = kBottleneck * growth_;
    norm1_ = register_module("norm1", batch_norm(in_));
    relu1_ = register_module("relu1", relu());
    conv1_ = register_module("conv1", conv2d(in_, width, 1));
    norm2_ = register_module("norm2", batch_norm(width));
    relu2_ = register_module("relu2", relu());
    conv2_ = register_module("conv2", conv2d(width, growth_, 3, {.padding = 1}));
  }

  Tensor forward(Tensor x) {
    x = conv1_(relu1_(norm1_(x)));
    return conv2_(relu2_(norm(norm2_, x)));
  }

  void pack() override {
    if (is_folded(*norm2_) && norm1_->running_mean.defined()) factors_ = factors_of(*norm1_);
  }

  bool is_packed() const { return factors_.scale.defined(); }

  // Reads the first channels of a block's outputs and writes its own behind them, with norms and activations on the way.
  // False where only LibTorch can.
  bool write_into(const Tensor& block) {
    const auto wide = conv1_->packed(block.narrow(1, 0, in_));
    if (!wide || !is_packed()) return false;
    const auto x = wide->run(
        block, {.activation = Activation::kRelu, .scale = factors_.scale, .shift = factors_.shift});
    const auto narrow = conv2_->packed(x);
    if (!narrow) return false;
    narrow->run(x, {.into = block, .first = in_});
    return true;
  }

 private:
  std::int64_t in_, growth_;
  ChannelFactors factors_{};
  nn::BatchNorm2d norm1_{nullptr}, norm2_{nullptr};
  nn::ReLU relu1_{nullptr}, relu2_{nullptr};
  Conv2d conv1_{nullptr}, conv2_{nullptr};
};

// Every layer sees the outputs of all layers before it.
class DenseBlock : public nn::Cloneable<DenseBlock> {
 public:
  DenseBlock(int count, std::int64_t in, std::int64_t growth)
      : count_(count), in_(in), growth_(growth) {
    reset();
  }

  void reset() override {
    layers_.clear();
    for (int i = 0; i < count_; ++i) {
      layers_.push_back(register_module("denselayer" + std::to_string(i + 1),
                                        std::make_shared<DenseLayer>(in_ + i * growth_, growth_)));
    }
  }

  Tensor forward(Tensor x) {
    if (!layers_.empty() && layers_.front()->is_packed() && !detail::has_hooks() && x.dim() == 4 &&
        x.size(1) == in_ && suits_kernels(x)) {
      auto block = torch::empty({x.size(0), in_ + count_ * growth_, x.size(2), x.size(3)},
                                x.options(), torch::MemoryFormat::ChannelsLast);
      block.narrow(1, 0, in_).copy_(x);
      bool done = true;
      for (auto& layer : layers_) done = done && layer->write_into(block);
      if (done) return block;
    }
    std::vector<Tensor> features{std::move(x)};
    for (auto& layer : layers_) features.push_back(layer->forward(torch::cat(features, 1)));
    return torch::cat(features, 1);
  }

 private:
  int count_;
  std::int64_t in_, growth_;
  std::vector<std::shared_ptr<DenseLayer>> layers_;
};

class Transition : public nn::Cloneable<Transition>, public Foldable, public Packable {
 public:
  Transition(std::int64_t in, std::int64_t out) : in_(in), out_(out) { reset(); }

  void reset() override {
    norm_ = register_module("norm", batch_norm(in_));
    relu_ = register_module("relu", relu());
    conv_ = register_module("conv", conv2d(in_, out_, 1));
    pool_ = register_module("pool", nn::AvgPool2d(nn::AvgPool2dOptions(2).stride(2)));
  }

  Tensor forward(const Tensor& x) {
    if (!detail::has_hooks() && factors_.scale.defined() && x.dim() == 4 && x.size(2) > 1 &&
        x.size(3) > 1) {
      // Means and a convolution of single pixels may change places: a quarter of the products is left.
      if (const auto packed = conv_->packed(x)) {
        return packed->run(activate_and_pool(x, factors_.scale, factors_.shift));
      }
    }
    return pool_(conv_(relu_(norm_(x))));
  }

  void pack() override {
    if (has_channel_kernels() && norm_->running_mean.defined()) factors_ = factors_of(*norm_);
  }

 private:
  std::int64_t in_, out_;
  ChannelFactors factors_{};
  nn::BatchNorm2d norm_{nullptr};
  nn::ReLU relu_{nullptr};
  Conv2d conv_{nullptr};
  nn::AvgPool2d pool_{nullptr};
};

std::shared_ptr<Network> make(const std::array<int, 4>& blocks, std::int64_t growth,
                              std::int64_t stem, std::int64_t num_classes) {
  auto features = std::make_shared<Stack>();
  features->push_back("conv0", conv2d(3, stem, 7, {.stride = 2, .padding = 3}));
  features->push_back("norm0", batch_norm(stem));
  features->push_back("relu0", relu());
  features->push_back("pool0", MaxPool2d(nn::MaxPool2dOptions(3).stride(2).padding(1)));
  auto channels = stem;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const auto number = std::to_string(i + 1);
    features->push_back("denseblock" + number,
                        std::make_shared<DenseBlock>(blocks[i], channels, growth));
    channels += blocks[i] * growth;
    if (i + 1 == blocks.size()) break;
    features->push_back("transition" + number,
                        std::make_shared<Transition>(channels, channels / 2));
    channels /= 2;
  }
  features->push_back("norm5", batch_norm(channels));

  auto net = std::make_shared<Network>();
  net->add("features", any(features));
  net->then([](Tensor x) {
    return torch::adaptive_avg_pool2d(torch::relu_(x), {1, 1}).flatten(1);
  });
  net->add("classifier", any(linear(channels, num_classes)));
  return net;
}

}  // namespace

std::shared_ptr<Network> make_densenet(int layers, std::int64_t num_classes) {
  switch (layers) {
    case 121:
      return make({6, 12, 24, 16}, 32, 64, num_classes);
    case 161:
      return make({6, 12, 36, 24}, 48, 96, num_classes);
    case 169:
      return make({6, 12, 32, 32}, 32, 64, num_classes);
    default:
      return make({6, 12, 48, 32}, 32, 64, num_classes);
  }
}

}  // namespace fastcpp::models
