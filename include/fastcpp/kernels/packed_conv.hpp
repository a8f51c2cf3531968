// Convolutions of fixed weights made fast on the CPU.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>

#include "fastcpp/export.hpp"

namespace fastcpp::inline v0::models {

// A convolution whose weights were put into the order in which the processor reads them, once. Filters of 3 x 3 go through
// Winograd's minimal filtering where pictures are large enough. No gradients, no dilation, no groups, zeros as padding.
// Immutable: safe in several threads at once. Memory for a call is released with the call.
class PackedConv {
 public:
  // Null where LibTorch's own convolution is the better choice: another type than float32, another device, or a processor
  // without wide vectors (`processor_level`).
  // \param weight  out x in x rows x columns; shared until it is packed
  // \param bias    out values; may be undefined
  // \param stride  along both axes, >= 1
  // \param padding zeros on each side of both axes, >= 0
  static std::shared_ptr<const PackedConv> make(const torch::Tensor& weight,
                                                const torch::Tensor& bias, std::int64_t stride,
                                                std::int64_t padding);
  // Whether such weights go through Winograd's filtering, which is faster than LibTorch's own convolutions wherever a
  // batch has some tiles.
  static bool suits_winograd(const torch::Tensor& weight, std::int64_t stride);
  ~PackedConv();

  // relu(conv(x) + bias + add), with `add` (of the output's shape) and relu where wanted.
  // \param x float32, N x C x H x W; fastest with its channels together
  // \throws c10::Error on what does not fit
  torch::Tensor run(const torch::Tensor& x, const torch::Tensor& add = {}, bool relu = false) const;

 private:
  struct Impl;
  explicit PackedConv(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fastcpp::models
