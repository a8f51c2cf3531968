/// \file
/// In which order a loader takes the items.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "fastcpp/core/rng.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// Decides which items a pass takes, and in which order. Shared by passes in several threads: `order` must not change the
/// object. The loaders that use it keep it alive.
class FASTCPP_API Sampler {
 public:
  virtual ~Sampler() = default;
  /// How many items a pass takes.
  /// \param n items of the data set
  virtual std::int64_t size(std::int64_t n) const { return n; }
  /// The items of a pass: `size(n)` indices, each 0 <= index < n; repeats are allowed.
  /// \param n   items of the data set
  /// \param rng source of every random choice; another one for each pass
  virtual std::vector<std::int64_t> order(std::int64_t n, Rng& rng) const = 0;
};

/// One after another (PyTorch: `SequentialSampler`). Lifetime and threads as Sampler.
class FASTCPP_API SequentialSampler : public Sampler {
 public:
  std::vector<std::int64_t> order(std::int64_t n, Rng& rng) const override;
};

/// Each once, in a new order every pass (PyTorch: `RandomSampler`). Lifetime and threads as Sampler.
class FASTCPP_API RandomSampler : public Sampler {
 public:
  std::vector<std::int64_t> order(std::int64_t n, Rng& rng) const override;
};

/// Draws with replacement, heavier items more often (PyTorch: `WeightedRandomSampler`). Lifetime and threads as
/// Sampler.
class FASTCPP_API WeightedRandomSampler : public Sampler {
 public:
  /// \param weights     of each item, >= 0 and finite, not all 0
  /// \param num_samples items a pass takes, >= 1; absent: as many as there are weights
  /// \throws ValueError `value.weights`, `value.num_samples`
  explicit WeightedRandomSampler(std::vector<double> weights,
                                 std::optional<std::int64_t> num_samples = {});
  std::int64_t size(std::int64_t n) const override;
  /// \throws ValueError `value.weights` when there are not as many weights as items
  std::vector<std::int64_t> order(std::int64_t n, Rng& rng) const override;

 private:
  std::vector<double> sums_;  // of the weights up to each item
  std::int64_t num_samples_;
};

}  // namespace fastcpp
