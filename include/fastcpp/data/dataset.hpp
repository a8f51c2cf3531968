/// \file
/// What a loader needs to know about its items.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "fastcpp/core/path.hpp"
#include "fastcpp/core/rng.hpp"
#include "fastcpp/data/sample.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// Items that become samples. Loading threads read from it at once, each another item: nothing here may change the object
/// without a lock. The loaders and bunches that use it keep it alive.
class FASTCPP_API Dataset {
 public:
  virtual ~Dataset() = default;

  /// Number of items; does not change.
  virtual std::int64_t size() const = 0;

  /// One item as tensors, of any shapes and types.
  /// \param index 0 <= index < size()
  /// \param rng   source of every random choice (augmentation), the item's own; input and target may both draw from it
  virtual Sample get(std::int64_t index, Rng& rng) const = 0;

  /// Shapes and types, if all samples have the same; the loader then hands out places in the tensors of a batch. Absent:
  /// samples are put together by the loader's collate function. Does not change.
  virtual std::optional<SampleLayout> layout() const { return std::nullopt; }

  /// Writes one item into its place in a batch; only with a layout. The default copies `get` and checks it.
  virtual void get_into(std::int64_t index, Rng& rng, const SampleSlot& slot) const;

  /// Whether many samples together are cheaper than one by one, and nothing is drawn at random: tables in memory. The loader
  /// then makes each batch by one call, in the calling thread, unless it was given a collate function. Does not change.
  virtual bool in_batches() const { return false; }
  /// Samples put together along a new first dimension. The default takes them one by one.
  /// \param indices 0 <= index < size()
  virtual Sample get_batch(std::span<const std::int64_t> indices) const;

  /// All targets, first dimension size(), where they are one tensor and are known without loading: for what counts or
  /// weighs the items.
  virtual std::optional<torch::Tensor> targets() const { return std::nullopt; }

  /// The item's name in error messages, for example its path.
  virtual std::string item_name(std::int64_t index) const;

  /// Printed form, part of a bunch's. May load the first items.
  /// \param path folder of the bunch
  virtual std::string describe(const Path& path) const;
};

/// Tensors as a data set: samples x[i] with targets y[i] (PyTorch: `TensorDataset`; fastai: what is behind
/// `DataBunch.create`). Shares the memory of the tensors it is given: nobody may write there while a loader reads.
/// Lifetime and threads as Dataset.
class FASTCPP_API TensorDataset : public Dataset {
 public:
  /// \param x one tensor n x ..., or several of the same n
  /// \param y the same; none: items without targets
  /// \throws DataError `data.length` when the first dimensions differ, or x is none
  TensorDataset(Tensors x, Tensors y);

  std::int64_t size() const override;
  std::optional<SampleLayout> layout() const override { return layout_; }
  /// \throws ValueError `value.index`
  Sample get(std::int64_t index, Rng& rng) const override;
  void get_into(std::int64_t index, Rng& rng, const SampleSlot& slot) const override;
  std::optional<torch::Tensor> targets() const override;

 private:
  void check(std::int64_t index) const;
  Tensors x_, y_;
  SampleLayout layout_;
};

}  // namespace fastcpp
