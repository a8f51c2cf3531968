/// \file
/// A network for transfer learning: the body of an architecture and a new head.
#pragma once

#include <torch/nn/cloneable.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/pooling.h>
#include <torch/nn/pimpl.h>
#include <torch/types.h>

#include <concepts>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "fastcpp/core/path.hpp"
#include "fastcpp/core/rng.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/vision/models/models.hpp"

namespace fastcpp::inline v0 {

class Value;    // io/value.hpp
struct Recipe;  // io/recipe.hpp

/// Adaptive max pooling and average pooling side by side: N x C x H x W -> N x 2C x sz x sz, maxima
/// first. A LibTorch module: used by shared pointer, and `clone` shares nothing. Threads: `forward` by any number at
/// once in evaluation mode, while none changes it.
class FASTCPP_API AdaptiveConcatPool2dImpl : public torch::nn::Cloneable<AdaptiveConcatPool2dImpl> {
 public:
  /// \param sz side of the output, > 0
  explicit AdaptiveConcatPool2dImpl(std::int64_t sz = 1) : sz_(sz) { reset(); }
  /// Makes the layers.
  void reset() override;
  /// \param x N x C x H x W
  torch::Tensor forward(torch::Tensor x);

 private:
  std::int64_t sz_;
  torch::nn::AdaptiveAvgPool2d ap_{nullptr};
  torch::nn::AdaptiveMaxPool2d mp_{nullptr};
};
/// \copydoc AdaptiveConcatPool2dImpl
TORCH_MODULE(AdaptiveConcatPool2d);

/// Where the body ends: a number of direct children (negative counts from the end), or a function
/// that makes the body out of the network, or nothing: the architecture's own place. A value: copies share nothing but
/// what the function refers to. Threads: const calls by any number at once.
class Cut {
 public:
  /// Makes a body out of a whole network, for example by `network.body(5)`.
  using Function = std::function<torch::nn::Sequential(const models::Network&)>;

  Cut() = default;
  /// The architecture's own place.
  Cut(std::nullopt_t) {}  // NOLINT: stands for None
  /// So many direct children.
  template <std::integral T>
  Cut(T at) : at_(at) {}  // NOLINT: stands for a number
  /// So many direct children, or the architecture's own place.
  template <std::integral T>
  Cut(const std::optional<T>& at) : at_(at) {}  // NOLINT: the same
  /// What the function makes.
  template <std::invocable<const models::Network&> F>
  Cut(F function) : function_(std::move(function)) {}  // NOLINT: stands for a function

  /// The number, if it is one.
  const std::optional<std::int64_t>& at() const { return at_; }
  /// The function, if it is one.
  const Function& function() const { return function_; }

 private:
  std::optional<std::int64_t> at_;
  Function function_;
};

/// Options of `create_body`.
struct CreateBodyOptions {
  /// Take the published ImageNet weights, downloaded once into the cache.
  bool pretrained = true;
  /// Where the body ends.
  Cut cut = {};
  /// A weight file of the whole network to load instead of the published one; only with
  /// `pretrained`.
  std::optional<Path> weights = std::nullopt;
  /// Decides the initial weights of a body that is not pretrained.
  std::uint64_t seed = default_seed();
};

/// The body of an architecture: its first direct children, named "0", "1", …
/// \throws ValueError `value.cut`, `value.no_weights`, `value.arch`; with `pretrained` also what `load_pretrained` throws
FASTCPP_API torch::nn::Sequential create_body(const models::Arch& arch,
                                              const CreateBodyOptions& options = {});

/// Options of `create_head`.
struct CreateHeadOptions {
  /// Widths of the hidden layers, each > 0; empty: none (fastai: None means one of 512).
  std::vector<std::int64_t> lin_ftrs = {512};
  /// Dropout probabilities in [0, 1), one for every linear layer; a single p: p/2 for the hidden
  /// layers and p for the last one. A layer with probability 0 is left out, which shifts the
  /// indices of those behind it.
  std::vector<double> ps = {0.5};
  /// Pool with `AdaptiveConcatPool2d` instead of the average alone.
  bool concat_pool = true;
  /// Append BatchNorm1d(nc, momentum 0.01).
  bool bn_final = false;
  /// Decides the initial weights.
  std::uint64_t seed = default_seed();
};

/// A head: pool, flatten, then for every linear layer BatchNorm1d, Dropout, Linear, and ReLU but for the last.
///
/// Linear layers have PyTorch's default initial weights; `cnn_learner` replaces them with `apply_init`.
/// \param nf features that come out of the pool (with `concat_pool` twice the body's channels), > 0
/// \param nc outputs, > 0
/// \throws ValueError `value.head`
FASTCPP_API torch::nn::Sequential create_head(std::int64_t nf, std::int64_t nc,
                                              const CreateHeadOptions& options = {});

/// Options of `create_cnn_model`; those of the body and of the head.
struct CreateCnnModelOptions {
  /// \copybrief CreateBodyOptions::cut
  Cut cut = {};
  /// \copybrief CreateBodyOptions::pretrained
  bool pretrained = true;
  /// \copybrief CreateHeadOptions::lin_ftrs
  std::vector<std::int64_t> lin_ftrs = {512};
  /// \copybrief CreateHeadOptions::ps
  std::vector<double> ps = {0.5};
  /// A head to use instead of `create_head`'s; the options of the head are then without effect.
  torch::nn::Sequential custom_head = nullptr;
  /// \copybrief CreateHeadOptions::bn_final
  bool bn_final = false;
  /// \copybrief CreateHeadOptions::concat_pool
  bool concat_pool = true;
  /// \copybrief CreateBodyOptions::weights
  std::optional<Path> weights = std::nullopt;
  /// Decides all weights that are not loaded.
  std::uint64_t seed = default_seed();
};

/// Sequential(body, head): exactly two children, "0" and "1".
/// \param nc outputs, > 0
/// \throws ValueError as `create_body` and `create_head`
FASTCPP_API torch::nn::Sequential create_cnn_model(const models::Arch& arch, std::int64_t nc,
                                                   const CreateCnnModelOptions& options = {});

/// How a file makes such a model again: the options of "cnn", see `Model::set_recipe`. None when it cannot: with a head of
/// one's own, a function as cut, or an architecture that is not registered.
/// \param nc, options what `create_cnn_model` was given, and the model it gave
FASTCPP_API std::optional<Recipe> cnn_recipe(const models::Arch& arch, std::int64_t nc,
                                             const CreateCnnModelOptions& options,
                                             const torch::nn::Sequential& model);

/// The model of such a recipe, with weights of no meaning. Never fetches anything.
/// \throws ValueError as `cnn_model`'s parts, `value.unknown_arch`, `value.missing_key`, `value.wrong_kind`
FASTCPP_API torch::nn::Sequential make_cnn(const Value& recipe);

/// The number of channels that come out of a body, found by a trial with a picture of 64 x 64, doubled to at most 2048
/// while the body refuses it.
/// \throws ValueError `value.body` when it refuses all, or is null
FASTCPP_API std::int64_t num_features_model(torch::nn::Sequential body);

/// Overwrites a weight (float, CPU, at least two dimensions) with random values drawn from the
/// generator.
using InitFunc = std::function<void(torch::Tensor& weight, torch::Generator& generator)>;

/// Normal with standard deviation sqrt(2 / fan-in) (He et al. 2015, arXiv:1502.01852).
FASTCPP_API void kaiming_normal(torch::Tensor& weight, torch::Generator& generator);

/// Initialises every leaf layer that has a weight, except batch norms, other layers with a weight of one dimension and
/// frozen ones: the weight by `init`, the bias with zero. (fastai: `apply_init`, as `cnn_learner` does with the head)
/// \param init not empty
/// \param seed decides the values
/// \throws ValueError `value.init` when `init` is empty
FASTCPP_API void apply_init(torch::nn::Module& module, const InitFunc& init = kaiming_normal,
                            std::uint64_t seed = default_seed());

/// Loads ImageNet weights into a whole network.
///
/// The old key names of DenseNet files are understood; `num_batches_tracked` may be missing.
/// \param weights a file to load instead of the published one, which is downloaded once into the cache
/// \throws ValueError `value.no_weights` when the architecture has no published file and none is given
/// \throws WeightsError `weights.mismatch` when the file holds other names or shapes
/// \throws DownloadError, IoError, FormatError when the file cannot be had or read
FASTCPP_API void load_pretrained(models::Network& network, const models::Arch& arch,
                                 const std::optional<Path>& weights = std::nullopt);

}  // namespace fastcpp
