// Convolutions to try: their sizes, and how far two results differ.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>

namespace fastcpp::test {

struct ConvShape {
  std::int64_t n, in, out, height, width, kernel, stride, padding;
};

inline std::string name_of(const ConvShape& s) {
  return std::to_string(s.n) + "x" + std::to_string(s.in) + "x" + std::to_string(s.height) + "x" +
         std::to_string(s.width) + " to " + std::to_string(s.out) + ", kernel " +
         std::to_string(s.kernel) + ", stride " + std::to_string(s.stride) + ", padding " +
         std::to_string(s.padding);
}

// Largest difference beside the size of the values, in double precision.
inline double gap(const torch::Tensor& got, const torch::Tensor& want) {
  return (got.to(torch::kFloat64) - want).abs().max().item<double>() /
         want.abs().max().item<double>();
}

}  // namespace fastcpp::test
