// Building blocks of the architectures. Layers are made with uninitialised weights: they are loaded
// or initialised later, and random numbers for weights that are about to be replaced would take
// longer than all the rest.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <memory>
#include <utility>

#include "fastcpp/vision/models/models.hpp"
#include "fastcpp/kernels/packed_conv.hpp"

namespace fastcpp::models {

using torch::Tensor;
using StackPtr = std::shared_ptr<Stack>;

struct ConvOptions {
  std::int64_t stride = 1;
  std::int64_t padding = 0;
  std::int64_t groups = 1;
  bool bias = false;
};

// LibTorch's convolution, which may also be packed for prediction, and packs itself in training
// where it is part of a frozen body.
class Conv2dImpl : public torch::nn::Conv2dImpl {
 public:
  Conv2dImpl(std::int64_t in, std::int64_t out, std::int64_t kernel, const ConvOptions& options);
  Tensor forward(const Tensor& x);
  void train(bool on = true) override;
  std::shared_ptr<torch::nn::Module> clone(
      const torch::optional<torch::Device>& device = torch::nullopt) const override;

  // From now on `forward` uses the weights as they are now, and makes no graph.
  void pack();
  const std::shared_ptr<const PackedConv>& packed() const { return packed_; }

 private:
  const PackedConv* frozen(const Tensor& x);

  // A frozen layer's weights as they were when they were packed. They are kept, so that no other
  // weights get their address meanwhile.
  struct Frozen {
    std::shared_ptr<const PackedConv> packed;
    Tensor weight, bias;
    std::int64_t version = 0;
  };

  ConvOptions own_options_;
  std::shared_ptr<const PackedConv> packed_;
  Frozen frozen_;
};
TORCH_MODULE(Conv2d);

inline Conv2d conv2d(std::int64_t in, std::int64_t out, std::int64_t kernel,
                     const ConvOptions& options = {}) {
  return Conv2d(in, out, kernel, options);
}
torch::nn::Linear linear(std::int64_t in, std::int64_t out);

inline torch::nn::BatchNorm2d batch_norm(std::int64_t channels) {
  return torch::nn::BatchNorm2d(channels);
}
inline torch::nn::ReLU relu() {
  return torch::nn::ReLU(torch::nn::ReLUOptions(true));
}

template <typename... Layers>
StackPtr stack(const Layers&... layers) {
  auto result = std::make_shared<Stack>();
  (result->push_back(layers), ...);
  return result;
}

template <typename Layer>
torch::nn::AnyModule any(const std::shared_ptr<Layer>& layer) {
  return torch::nn::AnyModule(layer);
}
template <typename Layer>
torch::nn::AnyModule any(const torch::nn::ModuleHolder<Layer>& layer) {
  return torch::nn::AnyModule(layer.ptr());
}

// A module of ours that runs its children in the order of their registration and its batch norms
// through `norm`; so a batch norm may be folded into the convolution before it.
class Foldable {
 public:
  virtual ~Foldable() = default;
};

// A batch norm whose effect went into the convolution before it has no statistics any more.
inline bool is_folded(const torch::nn::Module& layer) {
  const auto* norm = layer.as<torch::nn::BatchNorm2d>();
  return norm && norm->options.track_running_stats() && !norm->running_mean.defined();
}
inline Tensor norm(torch::nn::BatchNorm2d& layer, Tensor x) {
  return is_folded(*layer) ? x : layer->forward(x);
}

// relu(norm(conv(x)) + add), with `add` where it is defined and relu where wanted.
Tensor conv_norm(Conv2d& conv, torch::nn::BatchNorm2d& layer, const Tensor& x, bool with_relu,
                 const Tensor& add = {});

Tensor flatten(Tensor x);

// Initial weights as torchvision gives them.
enum class ConvInit { kDefault, kNormalFanOut, kNormalFanIn, kUniformFanIn };
enum class LinearInit { kDefault, kDefaultZeroBias, kNormal };
struct InitRule {
  ConvInit conv = ConvInit::kDefault;
  LinearInit linear = LinearInit::kDefault;
  bool small_classifier = false;  // convolutions under `classifier`: normal with deviation 0.01
};
void init_weights(torch::nn::Module& module, const InitRule& rule, std::uint64_t seed);

torch::Generator generator(std::uint64_t seed);

// The networks; weights uninitialised.
std::shared_ptr<Network> make_resnet(int layers, std::int64_t num_classes);
std::shared_ptr<Network> make_squeezenet(bool version_1_1, std::int64_t num_classes);
std::shared_ptr<Network> make_densenet(int layers, std::int64_t num_classes);
std::shared_ptr<Network> make_vgg_bn(int layers, std::int64_t num_classes);
std::shared_ptr<Network> make_alexnet(std::int64_t num_classes);
std::shared_ptr<Network> make_mobilenet_v2(std::int64_t num_classes);

}  // namespace fastcpp::models
