// Lists of numbers as checkpoints hold them, and which figures are better low.
#pragma once

#include <torch/types.h>

#include <string_view>
#include <vector>

#include "fastcpp/io/value.hpp"

namespace fastcpp::inline v0 {

// A tensor of doubles: a list of a million losses is one block.
inline Value to_value(const std::vector<double>& numbers) {
  return torch::tensor(numbers, torch::kFloat64);
}

inline std::vector<double> to_numbers(const Value& value) {
  const auto tensor = value.as_tensor().to(torch::kFloat64).contiguous();
  const auto* first = tensor.data_ptr<double>();
  return {first, first + tensor.numel()};
}

// As trackers decide it where nobody says.
inline bool lower_is_better(std::string_view column) {
  return column.find("loss") != std::string_view::npos ||
         column.find("error") != std::string_view::npos;
}

}  // namespace fastcpp
