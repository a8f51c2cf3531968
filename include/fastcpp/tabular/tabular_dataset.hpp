/// \file
/// Rows of a table as samples.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "fastcpp/data/dataset.hpp"
#include "fastcpp/data/labels.hpp"
#include "fastcpp/data/table.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/tabular/processor.hpp"

namespace fastcpp::inline v0 {

/// Rows in memory, taken by whole batches. Shares its tensors with its copies, and keeps them; nobody may write to them.
/// Lifetime and threads as Dataset.
class FASTCPP_API TabularDataset : public Dataset {
 public:
  /// \param items     n rows, as `processor` made them
  /// \param y         n labels
  /// \param list_name first word of the printed form: `TabularList`, `CollabList`
  /// \throws DataError `data.length` when rows and labels differ in number
  TabularDataset(TabularItems items, std::shared_ptr<const Labels> y, TabularProcessor processor,
                 TabularInput input = TabularInput::kMatrices,
                 std::string list_name = "TabularList");

  std::int64_t size() const override { return codes_.size(0); }
  std::optional<SampleLayout> layout() const override;
  /// \throws ValueError `value.index`
  Sample get(std::int64_t index, Rng& rng) const override;
  bool in_batches() const override { return true; }
  Sample get_batch(std::span<const std::int64_t> indices) const override;
  std::optional<torch::Tensor> targets() const override { return targets_; }
  std::string item_name(std::int64_t index) const override;
  std::string describe(const Path& path) const override;

  /// What was learnt from the rows that train.
  const TabularProcessor& processor() const { return processor_; }
  /// Codes of the categories, n x categories, int64 (fastai: `codes`).
  const torch::Tensor& codes() const { return codes_; }
  /// Numbers, n x numbers, float32 (fastai: `conts`).
  const torch::Tensor& conts() const { return conts_; }
  /// The labels.
  const std::shared_ptr<const Labels>& y() const { return y_; }
  /// How rows are handed to a network.
  TabularInput input() const { return input_; }
  /// Row `index` in words, as fastai prints a `TabularLine`.
  /// \throws ValueError `value.index`
  std::string line(std::int64_t index) const;
  /// Some rows in words: a column for each of the table's, between others. A name that is taken gets `_` behind it.
  /// \param rows   0 <= row < size()
  /// \param before columns that stand first, after those that stand last; as many cells as there are rows
  /// \throws ValueError `value.index`; DataError `data.length`
  Table in_words(const std::vector<std::int64_t>& rows, const std::vector<Column>& before = {},
                 const std::vector<Column>& after = {}) const;

 private:
  void check(std::int64_t index) const;

  torch::Tensor codes_, conts_;
  Tensors x_;
  std::shared_ptr<const Labels> y_;
  torch::Tensor targets_;
  TabularProcessor processor_;
  TabularInput input_;
  std::string list_name_;
};

/// The rows behind one of a bunch's loaders; null where its data are no table. Live as long as any copy of the bunch.
FASTCPP_API const TabularDataset* tabular_dataset(const Dataset& dataset);

}  // namespace fastcpp
