#include "fastcpp/data/shard_sampler.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <unordered_map>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/io/tar.hpp"

namespace fastcpp::inline v0 {

ShardSampler::ShardSampler(const Paths& items, std::int64_t window)
    : items_(static_cast<std::int64_t>(items.size())), window_(window) {
  if (window < 1) {
    throw ValueError("value.window",
                     fmt::format("a window of shards has at least 1, found {}", window));
  }
  boundary([&] {
    std::unordered_map<std::string, std::size_t> known;
    for (std::size_t i = 0; i < items.size(); ++i) {
      const auto parts = split_shard(items.text(i));
      const auto [at, fresh] =
          known.try_emplace(parts ? parts->shard : std::string(), shards_.size());
      if (fresh) shards_.emplace_back();
      shards_[at->second].push_back(static_cast<std::int64_t>(i));
    }
  });
}

std::vector<std::int64_t> ShardSampler::order(std::int64_t n, Rng& rng) const {
  if (n != items_) {
    throw ValueError("value.sampler",
                     fmt::format("the sampler was made of {} items, the data set has {}: give it "
                                 "the items of the training set as they are",
                                 items_, n));
  }
  if (window_ >= shards()) return rng.permutation(n);
  const auto turns = rng.permutation(shards());
  std::vector<std::int64_t> order, together;
  order.reserve(static_cast<std::size_t>(n));
  for (std::int64_t first = 0; first < shards(); first += window_) {
    together.clear();
    for (auto turn = first; turn < std::min(first + window_, shards()); ++turn) {
      const auto& shard = shards_[static_cast<std::size_t>(turns[static_cast<std::size_t>(turn)])];
      together.insert(together.end(), shard.begin(), shard.end());
    }
    for (const auto i : rng.permutation(static_cast<std::int64_t>(together.size()))) {
      order.push_back(together[static_cast<std::size_t>(i)]);
    }
  }
  return order;
}

}  // namespace fastcpp
