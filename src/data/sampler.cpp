#include "fastcpp/data/sampler.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0 {

std::vector<std::int64_t> SequentialSampler::order(std::int64_t n, Rng&) const {
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  return order;
}

std::vector<std::int64_t> RandomSampler::order(std::int64_t n, Rng& rng) const {
  return rng.permutation(n);
}

WeightedRandomSampler::WeightedRandomSampler(std::vector<double> weights,
                                             std::optional<std::int64_t> num_samples)
    : num_samples_(num_samples.value_or(static_cast<std::int64_t>(weights.size()))) {
  const auto wrong = std::find_if(weights.begin(), weights.end(),
                                  [](double w) { return !(w >= 0) || std::isinf(w); });
  if (wrong != weights.end()) {
    throw ValueError("value.weights", fmt::format("the weight of item {} is {}: weights are finite "
                                                  "and not below 0",
                                                  wrong - weights.begin(), *wrong));
  }
  sums_ = std::move(weights);
  std::partial_sum(sums_.begin(), sums_.end(), sums_.begin());
  if (sums_.empty() || !(sums_.back() > 0)) {
    throw ValueError(
        "value.weights",
        fmt::format("there are {} weights, and none above 0: nothing can be drawn", sums_.size()));
  }
  if (num_samples_ < 1) {
    throw ValueError("value.num_samples",
                     fmt::format("num_samples must be at least 1, found {}", num_samples_));
  }
}

std::int64_t WeightedRandomSampler::size(std::int64_t) const {
  return num_samples_;
}

std::vector<std::int64_t> WeightedRandomSampler::order(std::int64_t n, Rng& rng) const {
  if (n != static_cast<std::int64_t>(sums_.size())) {
    throw ValueError("value.weights",
                     fmt::format("the sampler has {} weights, the data set {} items: one weight an "
                                 "item is needed",
                                 sums_.size(), n));
  }
  std::vector<std::int64_t> order(static_cast<std::size_t>(num_samples_));
  for (auto& index : order) {
    // The first item whose sum lies above the draw; never one of weight 0.
    const auto at = std::upper_bound(sums_.begin(), sums_.end(), rng.uniform() * sums_.back());
    const auto last = std::lower_bound(sums_.begin(), sums_.end(), sums_.back());
    index = std::min(at, last) - sums_.begin();
  }
  return order;
}

}  // namespace fastcpp
