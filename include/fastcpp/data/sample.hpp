/// \file
/// What a data set gives and a loader hands out.
#pragma once

#include <torch/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "fastcpp/data/tensors.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// One item as tensors: what goes into the model, and what should come out. Both were made with the item's own random
/// draws.
struct Sample {
  Tensors x;       ///< input
  Tensors y = {};  ///< target; none where nothing is known
};

/// One batch on the loader's device.
struct Batch {
  Tensors x;                               ///< n x sample shape
  Tensors y = {};                          ///< n x target shape
  std::vector<std::int64_t> indices = {};  ///< which items these are
};

/// Changes a batch in place after it reached the device (fastai: `dl_tfms`).
using BatchTransform = std::function<void(Batch&)>;

/// Puts samples together (fastai: `collate_fn`). Called by one thread at a time, without gradients. `indices` of the
/// result is filled by the loader.
using Collate = std::function<Batch(const std::vector<Sample>& samples)>;

/// Stacks samples of equal shapes and types along a new first dimension (fastai: `data_collate`).
/// \throws DataError `data.cannot_collate` when they differ
FASTCPP_API Batch data_collate(const std::vector<Sample>& samples);

/// Shape and type of a tensor that every sample has.
struct TensorLayout {
  std::vector<std::int64_t> shape = {};       ///< without the batch's dimension
  torch::ScalarType dtype = torch::kFloat32;  ///< element type
  friend bool operator==(const TensorLayout&, const TensorLayout&) = default;
};

/// Shapes and types that all samples of a data set have.
struct SampleLayout {
  std::vector<TensorLayout> x;       ///< of the input
  std::vector<TensorLayout> y = {};  ///< of the target
};

/// The place of one sample in the tensors of a batch. Written by one thread; does not outlive the call it is given to.
class FASTCPP_API SampleSlot {
 public:
  /// \param layout   of every sample
  /// \param x        of each tensor of x, the memory of the batch
  /// \param y        of each tensor of y
  /// \param position of the sample in the batch
  SampleSlot(const SampleLayout& layout, const std::vector<void*>& x, const std::vector<void*>& y,
             std::int64_t position)
      : layout_(&layout), x_(&x), y_(&y), position_(position) {}

  /// Contiguous memory for tensor `i` of x, of the type and shape that the layout says.
  /// \throws DataError `data.tensors` when there is no such one, `data.dtype` when it is of another type
  template <typename T>
  T* x(std::size_t i = 0) const {
    return static_cast<T*>(place(layout_->x, *x_, i, c10::CppTypeToScalarType<T>::value));
  }
  /// The same for y.
  template <typename T>
  T* y(std::size_t i = 0) const {
    return static_cast<T*>(place(layout_->y, *y_, i, c10::CppTypeToScalarType<T>::value));
  }
  /// Copies a sample here, converting numbers of another width.
  /// \throws DataError `data.shape` when it is of another layout, `data.dtype` when its numbers would be cut
  void set(const Sample& sample) const;

 private:
  void* place(const std::vector<TensorLayout>& layouts, const std::vector<void*>& memory,
              std::size_t i, torch::ScalarType dtype) const;
  void copy(const char* part, const Tensors& tensors, const std::vector<TensorLayout>& layouts,
            const std::vector<void*>& memory) const;

  const SampleLayout* layout_;
  const std::vector<void*>*x_, *y_;
  std::int64_t position_;
};

}  // namespace fastcpp
