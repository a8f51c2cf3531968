#include <cstddef>
#include <memory>
#include <optional>
#include <typeinfo>

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
    const bool shortcut = stride_ == 1 && in_ == out_;
    if (!detail::has_hooks() && suits_kernels(x)) {
      const auto c = packed();
      if (c && PackedConv::is_inverted_residual(c->widen.get(), *c->filter, *c->narrow, x)) {
        return PackedConv::inverted_residual(c->widen.get(), *c->filter, *c->narrow, x,
                                             shortcut ? x : Tensor());
      }
    }
    return shortcut ? x + conv_->forward(x) : conv_->forward(x);
  }

 private:
  using PackedPtr = std::shared_ptr<const PackedConv>;
  struct Packed {
    PackedPtr widen, filter, narrow;
  };

  static PackedPtr packed(const nn::Module& conv, const nn::Module& norm) {
    const auto* ours = conv.as<Conv2dImpl>();
    return ours && is_folded(norm) ? ours->packed() : nullptr;
  }
  // Of a convolution, its batch norm and ReLU6, and nothing else.
  static PackedPtr packed(const nn::Module& layers) {
    const auto* s = typeid(layers) == typeid(Stack) ? layers.as<Stack>() : nullptr;
    if (!s || s->size() != 3 || typeid(*s->ptr(2)) != typeid(nn::ReLU6Impl)) return nullptr;
    return packed(*s->ptr(0), *s->ptr(1));
  }
  // Nothing where a layer is of another kind than this class made it, or is not packed.
  std::optional<Packed> packed() const {
    const std::size_t filter = expand_ != 1 ? 1 : 0;
    if (conv_->size() != filter + 3) return std::nullopt;
    Packed all{.widen = filter ? packed(*conv_->ptr(0)) : nullptr,
               .filter = packed(*conv_->ptr(filter)),
               .narrow = packed(*conv_->ptr(filter + 1), *conv_->ptr(filter + 2))};
    if ((filter && !all.widen) || !all.filter || !all.narrow) return std::nullopt;
    return all;
  }

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
