#include "fastcpp/data/dataset.hpp"

#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0 {

void Dataset::get_into(std::int64_t index, Rng& rng, const SampleSlot& slot) const {
  const auto sample = get(index, rng);
  try {
    slot.set(sample);
  } catch (const DataError& e) {
    throw DataError(e.code(), fmt::format("'{}': {}", item_name(index), e.what()));
  }
}

Sample Dataset::get_batch(std::span<const std::int64_t> indices) const {
  std::vector<Sample> samples;
  for (const auto index : indices) {
    Rng rng(0);
    samples.push_back(get(index, rng));
  }
  auto batch = data_collate(samples);
  return {std::move(batch.x), std::move(batch.y)};
}

std::string Dataset::item_name(std::int64_t index) const {
  return fmt::format("item {}", index);
}

std::string Dataset::describe(const Path&) const {
  return fmt::format("Dataset ({} items)", size());
}

namespace {

std::vector<TensorLayout> layout_of(const Tensors& tensors) {
  std::vector<TensorLayout> layout;
  for (const auto& tensor : tensors.items()) {
    layout.push_back({tensor.sizes().slice(1).vec(), tensor.scalar_type()});
  }
  return layout;
}

}  // namespace

TensorDataset::TensorDataset(Tensors x, Tensors y) : x_(std::move(x)), y_(std::move(y)) {
  const auto length = [](const torch::Tensor& t) {
    return t.defined() && t.dim() > 0 ? t.size(0) : -1;
  };
  const auto n = x_.count() > 0 ? length(x_.at(0)) : -1;
  for (const auto* part : {&x_, &y_}) {
    for (const auto& tensor : part->items()) {
      if (n >= 0 && length(tensor) == n) continue;
      throw DataError(
          "data.length",
          fmt::format("expected as many targets as samples, found {} and {}",
                      std::max<std::int64_t>(0, length(tensor)), std::max<std::int64_t>(0, n)));
    }
  }
  if (n < 0) throw DataError("data.length", "a TensorDataset needs a tensor of samples");
  layout_ = {layout_of(x_), layout_of(y_)};
}

std::int64_t TensorDataset::size() const {
  return x_.length();
}

void TensorDataset::check(std::int64_t index) const {
  if (index >= 0 && index < size()) return;
  throw ValueError("value.index",
                   fmt::format("item {} of a data set of {}: indices count from 0", index, size()));
}

Sample TensorDataset::get(std::int64_t index, Rng&) const {
  check(index);
  const auto item = [index](const torch::Tensor& tensor) { return tensor[index]; };
  return {x_.each(item), y_.each(item)};
}

void TensorDataset::get_into(std::int64_t index, Rng& rng, const SampleSlot& slot) const {
  slot.set(get(index, rng));
}

std::optional<torch::Tensor> TensorDataset::targets() const {
  if (y_.count() != 1) return std::nullopt;
  return y_.at(0);
}

}  // namespace fastcpp
