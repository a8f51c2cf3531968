/// \file
/// The network architectures (torchvision's, with its parameter names) and how each is cut for
/// transfer learning.
///
/// Everything here is plain LibTorch: a network is a `torch::nn::Module` that maps one tensor to one tensor, in single
/// precision whatever LibTorch's default type is. Its `forward` throws what LibTorch throws.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fastcpp/core/path.hpp"
#include "fastcpp/core/rng.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp::inline v0::models {

/// A `torch::nn::Sequential` that can stand inside another one: its forward is no template, takes
/// and gives one tensor. A LibTorch module: used by shared pointer, and `clone` shares nothing. Threads: `forward` by
/// any number at once in evaluation mode, while none changes it.
class FASTCPP_API Stack : public torch::nn::SequentialImpl {
 public:
  using SequentialImpl::SequentialImpl;

  /// The same layers (shared, not copied) under the same names.
  /// \param layers any sequence of layers
  /// \throws ValueError `value.network` when it is null
  static std::shared_ptr<Stack> from(const torch::nn::Sequential& layers);

  /// Runs the layers one after the other; an empty stack gives back its input.
  torch::Tensor forward(torch::Tensor x);

  /// A deep copy that keeps the names of the layers.
  std::shared_ptr<torch::nn::Module> clone(
      const torch::optional<torch::Device>& device = torch::nullopt) const override;
};

/// A whole network: named direct children that run one after the other, with steps without layers
/// between them.
///
/// The children have torchvision's names (`conv1`, `bn1`, …, `fc`), so that its weight files fit. A LibTorch module:
/// used by shared pointer, and `clone` shares nothing. Threads: `forward` by any number at once in evaluation mode,
/// while none changes it.
class FASTCPP_API Network : public torch::nn::Module {
 public:
  /// A step that holds no layer, such as flattening.
  using Step = std::function<torch::Tensor(torch::Tensor)>;

  /// Appends a child.
  /// \param name  unique, without a dot
  /// \param layer maps one tensor to one tensor
  /// \throws TrainError `train.failed` when LibTorch refuses the name
  void add(std::string name, torch::nn::AnyModule layer);

  /// A step to run after the last child added so far. It is not part of a body that is cut behind that child.
  /// \throws ValueError `value.network` without a child, or when the step is empty
  void then(Step step);

  /// The output for a batch.
  /// \param x pictures, float, N x 3 x H x W, normalised
  /// \returns N x classes, not passed through softmax
  torch::Tensor forward(torch::Tensor x);

  /// The number of direct children.
  std::size_t size() const { return stages_.size(); }

  /// The first children as a sequence (shared with this network), named "0", "1", …
  /// \param cut how many; negative counts from the end: -2 leaves two out
  /// \throws ValueError `value.cut` when no child remains or there are not so many
  torch::nn::Sequential body(std::int64_t cut) const;

  /// fastai's rule for architectures it does not know: the index of the last child that contains a pooling layer.
  /// \throws ValueError `value.cut` when no child contains one
  std::int64_t default_cut() const;

  /// A deep copy.
  std::shared_ptr<torch::nn::Module> clone(
      const torch::optional<torch::Device>& device = torch::nullopt) const override;

 private:
  struct Stage {
    torch::nn::AnyModule layer;
    Step after;
  };
  std::vector<Stage> stages_;
  friend struct NetworkLayers;
};

/// How a whole network is made.
struct ArchOptions {
  /// Load the published ImageNet weights (torchvision's V1); then `num_classes` must be 1000.
  bool pretrained = false;
  /// Length of the output, > 0.
  std::int64_t num_classes = 1000;
  /// A weight file to load instead of the published one; only with `pretrained`.
  std::optional<Path> weights = std::nullopt;
  /// Decides the initial weights of a network that is not pretrained.
  std::uint64_t seed = default_seed();
};

/// An architecture: how to make the network, where its body ends and where its layer groups begin. A value: copies share
/// nothing but what the functions refer to. Threads: const calls by any number at once, as far as the functions allow.
///
/// The constants below are the known ones; an own architecture is another value of this type:
/// \code
/// models::Arch mine{.name = "mine",
///                   .make = [](std::int64_t classes) { ...; return network; },
///                   .cut = -2};
/// auto learn = cnn_learner(data, mine, {.pretrained = false});
/// \endcode
struct FASTCPP_API Arch {
  /// For messages and `find`.
  std::string name;
  /// Makes the network with `num_classes` outputs. The known architectures leave its weights
  /// uninitialised for `init`.
  std::function<std::shared_ptr<Network>(std::int64_t num_classes)> make;
  /// Gives initial weights, decided by the seed, to a network or a part of one; empty: they stay as
  /// `make` left them.
  std::function<void(torch::nn::Module&, std::uint64_t seed)> init = nullptr;
  /// Name of the published weight file; empty: there is none.
  std::string weights_file = "";
  /// Where the body ends, see `Network::body`; nothing: `Network::default_cut`.
  std::optional<std::int64_t> cut = std::nullopt;
  /// Where layer groups begin besides the first and the head: paths of child indices, starting at
  /// the body.
  std::vector<std::vector<std::size_t>> boundaries = {};

  /// The whole network, in training mode. (torchvision: `models.resnet34(pretrained, num_classes)`)
  /// \throws ValueError `value.num_classes`, `value.no_weights`, `value.arch` when `make` is empty or gives none; with
  /// `pretrained` also what `load_pretrained` throws
  std::shared_ptr<Network> build(const ArchOptions& options = {}) const;
  /// The same as `build`.
  std::shared_ptr<Network> operator()(const ArchOptions& options = {}) const {
    return build(options);
  }

  /// The modules at which the layer groups of Sequential(body, head) begin, the first group left out. (fastai: the
  /// architecture's `split`)
  /// \param model two children: the body, cut at this architecture's place, and the head
  /// \throws ValueError `value.split` when the model has no such places
  std::vector<std::shared_ptr<torch::nn::Module>> split(const torch::nn::Sequential& model) const;
};

/// \name ResNets (He et al. 2015, arXiv:1512.03385); body: conv1 … layer4; three layer groups.
/// \{
extern FASTCPP_API const Arch resnet18;
extern FASTCPP_API const Arch resnet34;
extern FASTCPP_API const Arch resnet50;
extern FASTCPP_API const Arch resnet101;
extern FASTCPP_API const Arch resnet152;
/// \}
/// \name SqueezeNets (Iandola et al. 2016, arXiv:1602.07360); body: features; four layer groups.
/// \{
extern FASTCPP_API const Arch squeezenet1_0;
extern FASTCPP_API const Arch squeezenet1_1;
/// \}
/// \name DenseNets (Huang et al. 2016, arXiv:1608.06993); body: features; three layer groups.
/// \{
extern FASTCPP_API const Arch densenet121;
extern FASTCPP_API const Arch densenet161;
extern FASTCPP_API const Arch densenet169;
extern FASTCPP_API const Arch densenet201;
/// \}
/// \name VGG with batch normalisation (Simonyan and Zisserman 2014, arXiv:1409.1556); body:
/// features, avgpool.
/// \{
extern FASTCPP_API const Arch vgg11_bn;
extern FASTCPP_API const Arch vgg13_bn;
extern FASTCPP_API const Arch vgg16_bn;
extern FASTCPP_API const Arch vgg19_bn;
/// \}
/// AlexNet in the form of Krizhevsky 2014 (arXiv:1404.5997); body: features, avgpool; three layer
/// groups.
extern FASTCPP_API const Arch alexnet;
/// MobileNet V2 (Sandler et al. 2018, arXiv:1801.04381); body: features; three layer groups.
extern FASTCPP_API const Arch mobilenet_v2;

/// The architecture of that name, for example "resnet34": one of the known ones, or one that was registered. The
/// reference lives as long as the process. Thread-safe.
/// \throws ValueError `value.unknown_arch`
FASTCPP_API const Arch& find(std::string_view name);

/// The names of the known architectures, then of the registered ones in their order. Thread-safe.
FASTCPP_API std::vector<std::string> names();

/// Makes an architecture known to `find` and `names`, for the life of the process. Thread-safe.
/// \param arch with a name of its own and a function `make`
/// \returns the architecture as `find` gives it
/// \throws ValueError `value.arch` without a name, without `make`, or when the name is taken
FASTCPP_API const Arch& register_arch(Arch arch);

/// What computes convolutions in training mode, on the CPU in float32.
enum class TrainingConv {
  kPacked,  ///< the library's own kernels where they are faster, gradients too; equal but for rounding
  kLibTorch  ///< always LibTorch
};

}  // namespace fastcpp::models
