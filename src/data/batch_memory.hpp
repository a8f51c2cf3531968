// The tensors that a loader fills.
#pragma once

#include <torch/types.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "fastcpp/data/sample.hpp"

namespace fastcpp::inline v0 {

// Batch tensors whose memory nobody else uses any more are filled again.
class TensorPool {
 public:
  torch::Tensor take(const std::vector<std::int64_t>& shape, torch::ScalarType dtype,
                     torch::Device device) {
    // Only page-locked memory is copied while other work goes on. LibTorch keeps it for the next
    // one by itself, and knows when a copy is over.
    if (device.is_cuda()) return torch::empty(shape, torch::dtype(dtype).pinned_memory(true));
    for (auto& tensor : tensors_) {
      if (tensor.use_count() == 1 && tensor.storage().use_count() == 1 &&
          tensor.scalar_type() == dtype && tensor.sizes() == shape) {
        return tensor;
      }
    }
    if (tensors_.size() > kMost) tensors_.clear();
    tensors_.push_back(torch::empty(shape, dtype));
    return tensors_.back();
  }

 private:
  static constexpr std::size_t kMost = 24;  // a few tensors for each batch that is loaded ahead
  std::vector<torch::Tensor> tensors_;
};

// The tensors of one part (x or y) of a batch, and where their memory begins.
struct Part {
  std::vector<torch::Tensor> tensors;
  std::vector<void*> memory;

  void take(TensorPool& pool, const std::vector<TensorLayout>& layouts, std::int64_t n,
            torch::Device device) {
    for (const auto& layout : layouts) {
      std::vector<std::int64_t> sizes{n};
      sizes.insert(sizes.end(), layout.shape.begin(), layout.shape.end());
      tensors.push_back(pool.take(sizes, layout.dtype, device));
      memory.push_back(tensors.back().data_ptr());
    }
  }
};

}  // namespace fastcpp
