/// \file
/// Which items of a pass one of several processes takes.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "fastcpp/data/sampler.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// Arguments of DistributedSampler, in PyTorch's names.
struct DistributedSamplerOptions {
  int num_replicas = 1;  ///< processes that share the items, >= 1
  int rank = 0;          ///< which of them this is, 0 <= rank < num_replicas
  bool pad =
      true;  ///< items are repeated, so that all get as many; false: each item goes to one process
};

/// Every `num_replicas`-th item of another sampler's order, beginning with the `rank`-th (PyTorch: `DistributedSampler`).
///
/// All processes draw the same order, since it comes from the seed and the pass number. Batch k of all processes together
/// holds the items that batch k of one process with batches that much larger would hold. Lifetime and threads as Sampler;
/// keeps the other one.
class FASTCPP_API DistributedSampler : public Sampler {
 public:
  /// \param sampler the order that is shared out
  /// \throws ValueError `value.sampler` (null), `value.rank`
  DistributedSampler(std::shared_ptr<const Sampler> sampler,
                     const DistributedSamplerOptions& options);
  std::int64_t size(std::int64_t n) const override;
  std::vector<std::int64_t> order(std::int64_t n, Rng& rng) const override;

 private:
  std::shared_ptr<const Sampler> sampler_;
  DistributedSamplerOptions options_;
};

}  // namespace fastcpp
