// What label lists of every kind share.
#pragma once

#include <torch/types.h>

#include <cstddef>
#include <cstdint>

namespace fastcpp::inline v0::labels {

// i as a position; throws ValueError `value.index` when there is no such item.
std::size_t checked(std::int64_t i, std::int64_t size);

// The numbers of a target or of outputs, on the CPU; throws DataError `data.shape` when there are not `count`.
torch::Tensor flat(const torch::Tensor& numbers, std::int64_t count);

}  // namespace fastcpp::labels
