// Points in a plane whose class is the sign of their first coordinate: easy to learn.
#pragma once

#include <torch/utils.h>

#include <cstdint>
#include <memory>

#include "fastcpp/data/data_bunch.hpp"

namespace fastcpp::test {

inline std::shared_ptr<TensorDataset> points(std::int64_t n, std::uint64_t seed) {
  torch::manual_seed(seed);
  const auto x = torch::randn({n, 2}, torch::kFloat32);
  return std::make_shared<TensorDataset>(x, x.select(1, 0).gt(0).to(torch::kLong));
}

struct PointsOptions {
  std::int64_t n_train = 160, n_valid = 50;
  std::int64_t bs = 16;
  int num_workers = 0;
};

inline DataBunch bunch_of_points(const Path& path, const PointsOptions& options = {}) {
  return DataBunch::create(
      {points(options.n_train, 1), points(options.n_valid, 2), nullptr, nullptr}, path,
      {.bs = options.bs,
       .num_workers = options.num_workers,
       .device = torch::kCPU,
       .seed = 7,
       .classes = {"left", "right"}});
}

}  // namespace fastcpp::test
