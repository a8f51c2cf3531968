#include "fastcpp/data/dataset.hpp"

#include <fmt/format.h>
#include <torch/torch.h>

#include <cstring>

#include "fastcpp/core/error.hpp"

namespace fastcpp {

void Dataset::get_into(std::int64_t index, Rng& rng, float* slot) const {
  const auto sample = get(index, rng).to(torch::kFloat32).contiguous();
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
  if (x_.dim() == 0 || y_.dim() == 0 || x_.size(0) != y_.size(0)) {
    throw DataError("data.length",
                    fmt::format("expected as many targets as samples, found {} and "
                                "{}",
                                y_.dim() ? y_.size(0) : 0, x_.dim() ? x_.size(0) : 0));
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
  return x_[index];
}
torch::Tensor TensorDataset::targets() const {
  return y_;
}

}  // namespace fastcpp
