#include "fastcpp/data/tensors.hpp"

#include <fmt/format.h>

#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0 {

Tensors::Tensors(std::vector<torch::Tensor> items) {
  if (items.size() == 1) {
    static_cast<torch::Tensor&>(*this) = std::move(items.front());
  } else {
    several_ = std::move(items);
  }
}

const torch::Tensor& Tensors::at(std::size_t i) const {
  if (i >= count()) {
    throw DataError("data.tensors",
                    fmt::format("tensor {} of {} was asked for: they count from 0", i, count()));
  }
  return defined() ? *this : several_[i];
}

std::vector<torch::Tensor> Tensors::items() const {
  if (defined()) return {*this};
  return several_;
}

const torch::Tensor& Tensors::one(std::string_view what) const {
  if (defined()) return *this;
  throw DataError(
      "data.tensors",
      fmt::format("{} takes one tensor, found {}: leave it out for such data, or put them into one",
                  what, count()));
}

std::int64_t Tensors::length() const {
  if (count() == 0) return 0;
  const auto& first = at(0);
  return first.defined() && first.dim() > 0 ? first.size(0) : 0;
}

}  // namespace fastcpp
