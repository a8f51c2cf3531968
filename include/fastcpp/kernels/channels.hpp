// Operations on pictures with their channels together, and linear layers of few items, made fast on the CPU.
#pragma once

#include <torch/types.h>

#include <cstdint>

#include "fastcpp/export.hpp"

namespace fastcpp::inline v0::models {

// Whether this processor has kernels for them; without them, none of these functions may be called (`processor_level`).
bool has_channel_kernels();

// What a pool sees of its picture. A value; safe in several threads at once.
struct PoolWindow {
  std::int64_t size = 2;  // along both axes
  std::int64_t stride = 2;
  std::int64_t padding = 0;
  bool ceil_mode = false;  // a last window that reaches beyond the picture counts

  // How many windows a side of so many pixels has; zero where none fits.
  std::int64_t outputs(std::int64_t side) const;
};

// What LibTorch's max_pool2d gives, not-a-number included; its channels are together.
// \param x float32, N x C x H x W, on the CPU; fastest with its channels together
// \throws c10::Error on what does not fit
torch::Tensor max_pool(const torch::Tensor& x, const PoolWindow& window);

// The means of 2 x 2 neighbours of relu(scale * x + shift), with one scale and shift for each channel.
// \param x as of `max_pool`; an odd last row or column is left out
torch::Tensor activate_and_pool(const torch::Tensor& x, const torch::Tensor& scale,
                                const torch::Tensor& shift);

// LibTorch's linear layer, made for so few items that reading the weights takes the time.
// \param x      items x in, float32 on the CPU
// \param weight out x in, contiguous; as it is, no copy is made
// \param bias   out, or undefined
torch::Tensor linear_of_few(const torch::Tensor& x, const torch::Tensor& weight,
                            const torch::Tensor& bias);

}  // namespace fastcpp::models
