// Convolutions of fixed weights made fast on the CPU.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <optional>

#include "fastcpp/export.hpp"
#include "fastcpp/kernels/channels.hpp"

namespace fastcpp::inline v0::models {

// What is done to each output of a convolution.
enum class Activation { kNone, kRelu, kRelu6 };

// What a packed convolution does besides, in the same pass over memory.
struct ConvExtras {
  torch::Tensor add =
      {};  // added to the output before the activation, of the output's shape; undefined: nothing
  Activation activation = Activation::kNone;
  // Where the output goes: into the channels from `first` of this tensor, whose channels are together. Undefined: a new one.
  torch::Tensor into = {};
  std::int64_t first = 0;
  // relu(scale * x + shift) goes in, one number a channel each. Then x may have more channels than there are: the first count.
  // Of convolutions of 1 x 1 with stride 1 and no padding.
  torch::Tensor scale = {}, shift = {};
  // Of the outputs, after the activation: as `max_pool`. Then `into` may not be given.
  std::optional<PoolWindow> pool = {};
};

// A convolution whose weights were put into the order in which the processor reads them, once. Filters of 3 x 3 go through
// Winograd's minimal filtering where pictures are large enough. No gradients, no dilation, zeros as padding; one group, or one
// for each channel. Immutable: safe in several threads at once. Memory for a call is released with the call.
class PackedConv {
 public:
  // Null where LibTorch's own convolution is the better choice: another type than float32, another device, or a processor
  // without wide vectors (`processor_level`).
  // \param weight  out x in / groups x rows x columns; shared until it is packed
  // \param bias    out values; may be undefined
  // \param stride  along both axes, >= 1
  // \param padding zeros on each side of both axes, >= 0
  // \param groups  1, or as many as there are channels in and out
  static std::shared_ptr<const PackedConv> make(const torch::Tensor& weight,
                                                const torch::Tensor& bias, std::int64_t stride,
                                                std::int64_t padding, std::int64_t groups = 1);
  // Whether such weights go through Winograd's filtering, which is faster than LibTorch's own convolutions wherever a
  // batch has some tiles.
  static bool suits_winograd(const torch::Tensor& weight, std::int64_t stride);
  ~PackedConv();

  // activation(conv(x) + bias + add).
  // \param x float32, N x C x H x W; fastest with its channels together
  // \throws c10::Error on what does not fit
  torch::Tensor run(const torch::Tensor& x, const ConvExtras& extras) const;
  // relu(conv(x) + bias + add), with `add` and relu where wanted.
  torch::Tensor run(const torch::Tensor& x, const torch::Tensor& add = {},
                    bool relu = false) const {
    return run(x, {.add = add, .activation = relu ? Activation::kRelu : Activation::kNone});
  }

  // Whether training may take a convolution of stride 1 through `run_once` and `weight_gradient`, and they are faster than LibTorch's
  // own: filters of 3 x 3, and enough of a batch to transform them for each pass.
  // \param x       float32, N x in x H x W
  // \param padding as of `make`
  static bool suits_training(const torch::Tensor& x, const torch::Tensor& weight,
                             std::int64_t padding);
  // conv(x) + bias with stride 1, by weights that are packed for this call.
  // \param x       as of `run`
  // \param weight  out x in x 3 x 3
  // \param bias    out values; may be undefined
  // \param padding as of `make`
  // \throws c10::Error on what does not fit, or where `make` gives null
  static torch::Tensor run_once(const torch::Tensor& x, const torch::Tensor& weight,
                                const torch::Tensor& bias, std::int64_t padding);
  // The gradient of the weight of a convolution with filters of 3 x 3 and stride 1, by the same filtering.
  // \param x       N x in x H x W, what the convolution was given
  // \param dy      the gradient of its output, float32
  // \param padding as of `make`
  // \returns out x in x 3 x 3, contiguous
  // \throws c10::Error on what does not fit, or where `make` gives null for every weight
  static torch::Tensor weight_gradient(const torch::Tensor& x, const torch::Tensor& dy,
                                       std::int64_t padding);

  // Whether three convolutions and a batch are what `inverted_residual` takes.
  static bool is_inverted_residual(const PackedConv* widen, const PackedConv& filter,
                                   const PackedConv& narrow, const torch::Tensor& x);
  // narrow(relu6(filter(relu6(widen(x))))) + shortcut, a few rows at a time, so that the many channels in between stay in the
  // second cache; where threads have few rows each, one convolution after the other. A block of MobileNetV2 (Sandler et al.
  // 2018, arXiv:1801.04381).
  // \param widen    of 1 x 1 with stride 1; null: x is filtered as it is
  // \param filter   one group for each channel
  // \param narrow   of 1 x 1 with stride 1
  // \param x        as of `run`
  // \param shortcut of the output's shape; undefined: nothing is added
  // \throws c10::Error on what does not fit
  static torch::Tensor inverted_residual(const PackedConv* widen, const PackedConv& filter,
                                         const PackedConv& narrow, const torch::Tensor& x,
                                         const torch::Tensor& shortcut = {});

 private:
  struct Impl;
  explicit PackedConv(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fastcpp::models
