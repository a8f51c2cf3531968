// Building blocks of the architectures. Layers are made with uninitialised weights: they are loaded
// or initialised later, and random numbers for weights that are about to be replaced would take
// longer than all the rest.
#pragma once

#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/any.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/pooling.h>
#include <torch/nn/pimpl.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "fastcpp/kernels/channels.hpp"
#include "fastcpp/kernels/packed_conv.hpp"
#include "fastcpp/vision/models/fold.hpp"
#include "fastcpp/vision/models/models.hpp"

namespace fastcpp::inline v0::models {

using torch::Tensor;
using StackPtr = std::shared_ptr<Stack>;

struct ConvOptions {
  std::int64_t stride = 1;
  std::int64_t padding = 0;
  std::int64_t groups = 1;
  bool bias = false;
};

// A layer that can be made fast for prediction.
class Packable {
 public:
  virtual ~Packable() = default;
  // From now on `forward` may use the weights as they are now, and make no graph.
  virtual void pack() = 0;
};

// LibTorch's convolution, which may also be packed for prediction, and packs itself in training: once an epoch where it is part
// of a frozen body, else for each pass. The kernels take over only what they do exactly as LibTorch would by the options as they
// are at the moment; all else, and a trace, goes to LibTorch. Several threads may call `forward` at once, also in training mode.
class Conv2dImpl : public torch::nn::Conv2dImpl, public Packable {
 public:
  Conv2dImpl(std::int64_t in, std::int64_t out, std::int64_t kernel, const ConvOptions& options);
  Tensor forward(const Tensor& x);
  void train(bool on = true) override;
  std::shared_ptr<torch::nn::Module> clone(
      const torch::optional<torch::Device>& device = torch::nullopt) const override;

  void pack() override;
  // What `pack` made, where it may take the place of LibTorch's convolution for this batch; else null.
  std::shared_ptr<const PackedConv> packed(const Tensor& x) const;
  // The same for a batch that `suits_kernels` and has the right shape.
  std::shared_ptr<const PackedConv> packed() const;
  // What computes the layer in training; the kernels unless told otherwise.
  void set_training_conv(TrainingConv which);

 private:
  // Those of LibTorch's options that the kernels know.
  struct Window {
    std::int64_t stride, padding, groups;
    bool operator==(const Window&) const = default;
  };
  // The weights as they were when they were packed. They are kept, so that no other weights get their address meanwhile.
  struct Frozen {
    std::shared_ptr<const PackedConv> conv;
    Window window;
    Tensor weight, bias;
    std::int64_t version;
  };

  // A frozen weight as autocast wants it.
  struct Cast {
    Tensor weight, source;
    std::uint32_t version;
  };

  std::optional<Window> window() const;
  bool suits(const Tensor& x) const;
  // The padding where the kernels compute a batch that takes part in a graph; nothing where LibTorch is to.
  std::optional<std::int64_t> trained_padding(const Tensor& x) const;
  std::shared_ptr<const PackedConv> frozen(const Tensor& x);
  Tensor cast_weight(const Tensor& x);
  void forget_frozen();

  std::shared_ptr<const PackedConv> packed_;
  Window packed_window_{};
  TrainingConv training_conv_ = TrainingConv::kPacked;
  std::mutex mutex_;  // of frozen_ and cast_
  Frozen frozen_{};
  Cast cast_{};
};
TORCH_MODULE(Conv2d);

inline Conv2d conv2d(std::int64_t in, std::int64_t out, std::int64_t kernel,
                     const ConvOptions& options = {}) {
  return Conv2d(in, out, kernel, options);
}

// LibTorch's linear layer; packed, the kernels compute it for few items, with the weights where they are.
class LinearImpl : public torch::nn::LinearImpl, public Packable {
 public:
  LinearImpl(std::int64_t in, std::int64_t out);
  Tensor forward(const Tensor& x);
  std::shared_ptr<torch::nn::Module> clone(
      const torch::optional<torch::Device>& device = torch::nullopt) const override;
  void pack() override { packed_ = true; }

 private:
  bool packed_ = false;
};
TORCH_MODULE(Linear);

inline Linear linear(std::int64_t in, std::int64_t out) {
  return Linear(in, out);
}

// LibTorch's pool; packed, the kernels compute it, the same numbers.
class MaxPool2dImpl : public torch::nn::MaxPool2dImpl, public Packable {
 public:
  using torch::nn::MaxPool2dImpl::MaxPool2dImpl;
  Tensor forward(const Tensor& x);
  std::shared_ptr<torch::nn::Module> clone(
      const torch::optional<torch::Device>& device = torch::nullopt) const override;
  void pack() override { packed_ = true; }
  // What the kernels compute once packed; nothing where LibTorch is to.
  std::optional<PoolWindow> packed() const;

 private:
  bool packed_ = false;
};
TORCH_MODULE(MaxPool2d);

// Whether the kernels may take the place of LibTorch's operations on that batch: nobody casts or traces, and without
// `gradients` nobody needs one.
bool suits_kernels(const Tensor& x, bool gradients = false);

// LibTorch's own layers are made in the default type of the process, which a host may have set to double: all of ours
// compute in single precision.
template <typename Layer>
Layer single_precision(Layer layer) {
  const auto convert = [](Tensor& t) {
    // Counters stay the integers they are.
    if (t.defined() && t.scalar_type() == torch::kFloat64)
      t.set_data(t.detach().to(torch::kFloat32));
  };
  for (auto& parameter : layer->parameters()) convert(parameter);
  for (auto& buffer : layer->buffers()) convert(buffer);
  return layer;
}

inline torch::nn::BatchNorm2d batch_norm(std::int64_t channels) {
  return single_precision(torch::nn::BatchNorm2d(channels));
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

// What a network runs, for those that rearrange it.
struct NetworkLayers {
  // Its layers in order, in parts between which a step runs.
  static std::vector<std::vector<std::shared_ptr<torch::nn::Module>>> chains(
      const Network& network);
};

// A module of ours that runs its children in the order of their registration and its batch norms
// through `norm`; so a batch norm may be folded into the convolution before it.
class Foldable {
 public:
  virtual ~Foldable() = default;
};

// A batch norm whose effect went into the convolution before it does nothing any more, and has lost its counter.
inline bool is_folded(const torch::nn::Module& layer) {
  const auto* norm = layer.as<torch::nn::BatchNorm2d>();
  return norm && norm->options.track_running_stats() && !norm->num_batches_tracked.defined();
}
inline Tensor norm(torch::nn::BatchNorm2d& layer, Tensor x) {
  return is_folded(*layer) ? x : layer->forward(x);
}

// relu(norm(conv(x)) + add), with `add` where it is defined and relu where wanted.
Tensor conv_norm(Conv2d& conv, torch::nn::BatchNorm2d& layer, const Tensor& x, bool with_relu,
                 const Tensor& add = {});

// A batch norm of fixed statistics as a factor and a summand for each channel.
struct ChannelFactors {
  Tensor scale, shift;
};
ChannelFactors factors_of(const torch::nn::BatchNorm2dImpl& norm);

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

// The network that an architecture makes.
// Throws ValueError `value.arch` when it has no function for that, or the function gives none.
std::shared_ptr<Network> make_network(const Arch& arch, std::int64_t num_classes);

// The networks; weights uninitialised.
std::shared_ptr<Network> make_resnet(int layers, std::int64_t num_classes);
std::shared_ptr<Network> make_squeezenet(bool version_1_1, std::int64_t num_classes);
std::shared_ptr<Network> make_densenet(int layers, std::int64_t num_classes);
std::shared_ptr<Network> make_vgg_bn(int layers, std::int64_t num_classes);
std::shared_ptr<Network> make_alexnet(std::int64_t num_classes);
std::shared_ptr<Network> make_mobilenet_v2(std::int64_t num_classes);

}  // namespace fastcpp::models
