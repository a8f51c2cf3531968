/// \file
/// An order for items in shards that reads few shards at a time.
#pragma once

#include <cstdint>
#include <vector>

#include "fastcpp/core/rng.hpp"
#include "fastcpp/data/paths.hpp"
#include "fastcpp/data/sampler.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// Each item once, in a new order every pass that is shuffled within a window of shards (WebDataset: `shardshuffle` and
/// `shuffle`): the shards are shuffled, then taken so many at a time, and the items of these are shuffled together. So a cache
/// needs to hold one window, and the next one's first shards. A function of the pass's generator, that is of seed and pass, and
/// of the shards. With a window of all shards it is the order of RandomSampler. Lifetime and threads as Sampler.
class FASTCPP_API ShardSampler : public Sampler {
 public:
  /// \param items  of the data set, in its order: `lists.train().items`. Those that are in no shard count as one
  /// \param window shards whose items are shuffled together, >= 1
  /// \throws ValueError `value.window`
  explicit ShardSampler(const Paths& items, std::int64_t window = 8);
  /// \throws ValueError `value.sampler` when the data set has another number of items
  std::vector<std::int64_t> order(std::int64_t n, Rng& rng) const override;

  /// Number of shards.
  std::int64_t shards() const { return static_cast<std::int64_t>(shards_.size()); }

 private:
  std::vector<std::vector<std::int64_t>> shards_;  // the items of each
  std::int64_t items_, window_;
};

}  // namespace fastcpp
