#include "fastcpp/data/distributed_sampler.hpp"

#include <fmt/format.h>

#include <utility>

#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0 {

DistributedSampler::DistributedSampler(std::shared_ptr<const Sampler> sampler,
                                       const DistributedSamplerOptions& options)
    : sampler_(std::move(sampler)), options_(options) {
  if (!sampler_) {
    throw ValueError("value.sampler",
                     "there is no sampler whose order could be shared out (null): give a "
                     "SequentialSampler or a RandomSampler");
  }
  if (options.num_replicas < 1 || options.rank < 0 || options.rank >= options.num_replicas) {
    throw ValueError("value.rank",
                     fmt::format("rank: expected 0 <= rank < num_replicas, found rank {} of {}",
                                 options.rank, options.num_replicas));
  }
}

std::int64_t DistributedSampler::size(std::int64_t n) const {
  const auto all = sampler_->size(n);
  if (all <= 0) return 0;
  const std::int64_t replicas = options_.num_replicas;
  return options_.pad ? (all + replicas - 1) / replicas
                      : (all - options_.rank + replicas - 1) / replicas;
}

std::vector<std::int64_t> DistributedSampler::order(std::int64_t n, Rng& rng) const {
  const auto all = sampler_->order(n, rng);
  std::vector<std::int64_t> mine;
  const auto count = size(n);
  mine.reserve(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    const auto at = static_cast<std::size_t>(i * options_.num_replicas + options_.rank);
    mine.push_back(all.at(at % all.size()));
  }
  return mine;
}

}  // namespace fastcpp
