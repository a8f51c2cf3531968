#include <array>
#include <string>

#include "vision/models/layers.hpp"

#include <torch/nn/cloneable.h>
#include <torch/nn/modules/pooling.h>

namespace fastcpp::inline v0::models {
namespace nn = torch::nn;

namespace {

// The shortcut of a block whose output has another shape than its input.
StackPtr shortcut(std::int64_t in, std::int64_t out, std::int64_t stride) {
  if (stride == 1 && in == out) return nullptr;
  return stack(conv2d(in, out, 1, {.stride = stride}), batch_norm(out));
}

class BasicBlock : public nn::Cloneable<BasicBlock>, public Foldable {
 public:
  static constexpr std::int64_t kExpansion = 1;

  BasicBlock(std::int64_t in, std::int64_t width, std::int64_t stride)
      : in_(in), width_(width), stride_(stride) {
    reset();
  }

  void reset() override {
    conv1_ = register_module("conv1", conv2d(in_, width_, 3, {.stride = stride_, .padding = 1}));
    bn1_ = register_module("bn1", batch_norm(width_));
    register_module("relu", relu());
    conv2_ = register_module("conv2", conv2d(width_, width_, 3, {.padding = 1}));
    bn2_ = register_module("bn2", batch_norm(width_));
    downsample_ = shortcut(in_, width_, stride_);
    if (downsample_) register_module("downsample", downsample_);
  }

  Tensor forward(Tensor x) {
    const auto y = conv_norm(conv1_, bn1_, x, true);
    return conv_norm(conv2_, bn2_, y, true, downsample_ ? downsample_->forward(x) : x);
  }

 private:
  std::int64_t in_, width_, stride_;
  Conv2d conv1_{nullptr}, conv2_{nullptr};
  nn::BatchNorm2d bn1_{nullptr}, bn2_{nullptr};
  StackPtr downsample_;
};

// The stride sits on the 3x3 convolution, as in torchvision.
class Bottleneck : public nn::Cloneable<Bottleneck>, public Foldable {
 public:
  static constexpr std::int64_t kExpansion = 4;

  Bottleneck(std::int64_t in, std::int64_t width, std::int64_t stride)
      : in_(in), width_(width), stride_(stride) {
    reset();
  }

  void reset() override {
    const auto out = width_ * kExpansion;
    conv1_ = register_module("conv1", conv2d(in_, width_, 1));
    bn1_ = register_module("bn1", batch_norm(width_));
    conv2_ = register_module("conv2", conv2d(width_, width_, 3, {.stride = stride_, .padding = 1}));
    bn2_ = register_module("bn2", batch_norm(width_));
    conv3_ = register_module("conv3", conv2d(width_, out, 1));
    bn3_ = register_module("bn3", batch_norm(out));
    register_module("relu", relu());
    downsample_ = shortcut(in_, out, stride_);
    if (downsample_) register_module("downsample", downsample_);
  }

  Tensor forward(Tensor x) {
    auto y = conv_norm(conv1_, bn1_, x, true);
    y = conv_norm(conv2_, bn2_, y, true);
    return conv_norm(conv3_, bn3_, y, true, downsample_ ? downsample_->forward(x) : x);
  }

 private:
  std::int64_t in_, width_, stride_;
  Conv2d conv1_{nullptr}, conv2_{nullptr}, conv3_{nullptr};
  nn::BatchNorm2d bn1_{nullptr}, bn2_{nullptr}, bn3_{nullptr};
  StackPtr downsample_;
};

template <typename Block>
std::shared_ptr<Network> make(const std::array<int, 4>& blocks, std::int64_t num_classes) {
  auto net = std::make_shared<Network>();
  net->add("conv1", any(conv2d(3, 64, 7, {.stride = 2, .padding = 3})));
  net->add("bn1", any(batch_norm(64)));
  net->add("relu", any(relu()));
  net->add("maxpool", any(MaxPool2d(nn::MaxPool2dOptions(3).stride(2).padding(1))));
  std::int64_t in = 64;
  for (int layer = 0; layer < 4; ++layer) {
    const std::int64_t width = 64 << layer;
    auto part = std::make_shared<Stack>();
    for (int i = 0; i < blocks[static_cast<std::size_t>(layer)]; ++i) {
      part->push_back(std::make_shared<Block>(in, width, layer > 0 && i == 0 ? 2 : 1));
      in = width * Block::kExpansion;
    }
    net->add("layer" + std::to_string(layer + 1), any(part));
  }
  net->add("avgpool", any(nn::AdaptiveAvgPool2d(1)));
  net->then(flatten);
  net->add("fc", any(linear(in, num_classes)));
  return net;
}

}  // namespace

std::shared_ptr<Network> make_resnet(int layers, std::int64_t num_classes) {
  switch (layers) {
    case 18:
      return make<BasicBlock>({2, 2, 2, 2}, num_classes);
    case 34:
      return make<BasicBlock>({3, 4, 6, 3}, num_classes);
    case 50:
      return make<Bottleneck>({3, 4, 6, 3}, num_classes);
    case 101:
      return make<Bottleneck>({3, 4, 23, 3}, num_classes);
    default:
      return make<Bottleneck>({3, 8, 36, 3}, num_classes);
  }
}

}  // namespace fastcpp::models
