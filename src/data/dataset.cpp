#include "fastcpp/data/dataset.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/torch.h>

#include <algorithm>
#include <cstring>

#include "fastcpp/core/error.hpp"

namespace fastcpp {

void Dataset::get_into(std::int64_t index, Rng& rng, float* slot) const {
  auto sample = get(index, rng);
  const auto shape = sample_shape();
  if (!sample.defined() || (shape && sample.sizes() != *shape)) {
    throw DataError(
        "data.shape",
        fmt::format("'{}' has the shape {}, but the data set says that all samples have {}",
                    item_name(index),
                    sample.defined() ? fmt::format("{}", fmt::join(sample.sizes(), "x")) : "none",
                    shape ? fmt::format("{}", fmt::join(*shape, "x")) : "any"));
  }
  sample = sample.to(torch::kCPU, torch::kFloat32).contiguous();
  std::memcpy(slot, sample.data_ptr<float>(), static_cast<std::size_t>(sample.nbytes()));
}

std::string Dataset::item_name(std::int64_t index) const {
  return fmt::format("item {}", index);
}

std::string Dataset::describe(const Path&) const {
  return fmt::format("Dataset ({} items)", size());
}

TensorDataset::TensorDataset(torch::Tensor x, torch::Tensor y)
    : x_(std::move(x)), y_(std::move(y)) {
  const auto length = [](const torch::Tensor& t) {
    return t.defined() && t.dim() > 0 ? t.size(0) : -1;
  };
  const auto samples = length(x_), targets = length(y_);
  if (samples < 0 || samples != targets) {
    throw DataError(
        "data.length",
        fmt::format("expected as many targets as samples, found {} and {}",
                    std::max<std::int64_t>(0, targets), std::max<std::int64_t>(0, samples)));
  }
}

std::int64_t TensorDataset::size() const {
  return x_.size(0);
}

std::optional<std::vector<std::int64_t>> TensorDataset::sample_shape() const {
  // Only float32 goes through the loader's slots; other types are stacked as they are.
  if (x_.scalar_type() != torch::kFloat32) return std::nullopt;
  return x_.sizes().slice(1).vec();
}

torch::Tensor TensorDataset::get(std::int64_t index, Rng&) const {
  if (index < 0 || index >= size()) {
    throw ValueError("value.index", fmt::format("item {} of a data set of {}: indices count from 0",
                                                index, size()));
  }
  return x_[index];
}
torch::Tensor TensorDataset::targets() const {
  return y_;
}

}  // namespace fastcpp
