#include <cstddef>
#include <memory>

#include "fastcpp/hooks/watched.hpp"
#include "vision/models/layers.hpp"

#include <torch/nn/cloneable.h>
#include <torch/nn/modules/dropout.h>

namespace fastcpp::inline v0::models {
namespace nn = torch::nn;

namespace {

StackPtr conv_bn_relu6(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride,
                       std::int64_t groups = 1) {
  return stack(
      conv2d(in, out, kernel, {.stride = stride, .padding = (kernel - 1) / 2, .groups = groups}),
      batch_norm(out), nn::ReLU6(nn::ReLU6Options(true)));
}

// Widens by 1x1, filters each channel by 3x3, narrows by 1x1; the shortcut joins the narrow ends.
class InvertedResidual : public nn::Cloneable<InvertedResidual> {
 public:
  InvertedResidual(std::int64_t in, std::int64_t out, std::int64_t stride, std::int64_t expand)
      : in_(in), out_(out), stride_(stride), expand_(expand) {
    reset();
  }

  void reset() override {
    const auto width = in_ * expand_;
    conv_ = std::make_shared<Stack>();
    if (expand_ != 1) conv_->push_back(conv_bn_relu6(in_, width, 1, 1));
    conv_->push_back(conv_bn_relu6(width, width, 3, stride_, width));
    conv_->push_back(conv2d(width, out_, 1));
    conv_->push_back(batch_norm(out_));
    register_module("conv", conv_);
  }

  Tensor forward(Tensor x) {
    if (stride_ != 1 || in_ != out_) return conv_->forward(x);
    // The last convolution adds the shortcut to its outputs; its batch norm must be in it.
    const auto layers = static_cast<std::ptrdiff_t>(conv_->size());
    const auto narrow = std::dynamic_pointer_cast<Conv2dImpl>(conv_->ptr(conv_->size() - 2));
    if (!detail::has_hooks() && suits_kernels(x) && narrow && narrow->is_packed() &&
        is_folded(*conv_->ptr(conv_->size() - 1))) {
      auto y = x;
      for (std::ptrdiff_t i = 0; i < layers - 2; ++i) y = (conv_->begin() + i)->forward(y);
      const auto packed = narrow->packed(y);
      return packed ? packed->run(y, x) : narrow->forward(y) + x;
    }
    return x + conv_->forward(x);
  }

 private:
  std::int64_t in_, out_, stride_, expand_;
  StackPtr conv_;
};

struct Setting {
  std::int64_t expand, out;
  int repeat;
  std::int64_t stride;
};
constexpr Setting kSettings[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                                 {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};

}  // namespace

std::shared_ptr<Network> make_mobilenet_v2(std::int64_t num_classes) {
  auto features = std::make_shared<Stack>();
  std::int64_t in = 32;
  features->push_back(conv_bn_relu6(3, in, 3, 2));
  for (const auto& setting : kSettings) {
    for (int i = 0; i < setting.repeat; ++i) {
      features->push_back(std::make_shared<InvertedResidual>(
          in, setting.out, i == 0 ? setting.stride : 1, setting.expand));
      in = setting.out;
    }
  }
  features->push_back(conv_bn_relu6(in, 1280, 1, 1));

  auto net = std::make_shared<Network>();
  net->add("features", any(features));
  net->then([](Tensor x) { return torch::adaptive_avg_pool2d(x, {1, 1}).flatten(1); });
  net->add("classifier", any(stack(nn::Dropout(0.2), linear(1280, num_classes))));
  return net;
}

}  // namespace fastcpp::models
