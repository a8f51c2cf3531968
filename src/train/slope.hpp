// How a curve of losses rises.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace fastcpp::inline v0 {

// Central differences, one-sided at the ends.
inline std::vector<double> slope_of(const std::vector<double>& y) {
  const std::size_t n = y.size();
  std::vector<double> slope(n);
  for (std::size_t i = 0; n > 1 && i < n; ++i) {
    const std::size_t low = i == 0 ? 0 : i - 1, high = std::min(n - 1, i + 1);
    slope[i] = (y[high] - y[low]) / static_cast<double>(high - low);
  }
  return slope;
}

}  // namespace fastcpp
