/// \file
/// What a loader needs to know about its items.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fastcpp/core/path.hpp"
#include "fastcpp/core/rng.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp {

/// Items that become tensors, each with a target. Must be safe to read from several threads.
class FASTCPP_API Dataset {
 public:
  virtual ~Dataset() = default;

  /// Number of items.
  virtual std::int64_t size() const = 0;

  /// Shape of every sample, if all have the same; the loader then hands out slots of one batch
  /// tensor.
  virtual std::optional<std::vector<std::int64_t>> sample_shape() const { return std::nullopt; }

  /// Sample `index` as a float32 tensor.
  /// \param index 0 <= index < size()
  /// \param rng   source of every random choice (augmentation)
  virtual torch::Tensor get(std::int64_t index, Rng& rng) const = 0;

  /// Writes sample `index` into contiguous memory of `sample_shape()`. The default copies `get`.
  virtual void get_into(std::int64_t index, Rng& rng, float* slot) const;

  /// All targets, first dimension size().
  virtual torch::Tensor targets() const = 0;

  /// The item's name in error messages, for example its path.
  virtual std::string item_name(std::int64_t index) const;

  /// Printed form, part of a bunch's. May load the first items.
  /// \param path folder of the bunch
  virtual std::string describe(const Path& path) const;
};

/// Tensors as a data set: samples x[i] with targets y[i] (fastai: a `TensorDataset` behind
/// `DataBunch.create`).
class FASTCPP_API TensorDataset : public Dataset {
 public:
  /// \param x float32, n x ...
  /// \param y n x ...
  /// \throws DataError `data.length` when the first dimensions differ
  TensorDataset(torch::Tensor x, torch::Tensor y);

  std::int64_t size() const override;
  std::optional<std::vector<std::int64_t>> sample_shape() const override;
  torch::Tensor get(std::int64_t index, Rng& rng) const override;
  torch::Tensor targets() const override;

 private:
  torch::Tensor x_, y_;
};

}  // namespace fastcpp
