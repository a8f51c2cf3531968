// What mix-up and CutMix share: the draw of lambda, mixed values, and the loss of a mixed batch.
#pragma once

#include <torch/types.h>

#include <memory>

#include "fastcpp/core/rng.hpp"
#include "fastcpp/train/callbacks/mixup.hpp"

namespace fastcpp::inline v0::detail {

// The name of every loss of `mixed_loss`.
inline constexpr const char* kMixedLoss = "MixUpLoss";

// The mixed batch on its way.
struct MixedBatch {
  torch::Tensor shown;  // what `last_target` is meanwhile
  MixedTargets targets;
};

// A Beta(alpha, alpha) number.
double beta_draw(double alpha, Rng& rng);

// values * lambda + those of the partners * (1 - lambda), item by item.
torch::Tensor mixed(const torch::Tensor& values, const torch::Tensor& lambda,
                    const torch::Tensor& perm);

// What the targets of a mixed batch look like in `dtype`: n x 3 where there is one number per item. A tensor of its own in
// every case: the loss knows the batch by it.
torch::Tensor shown_targets(const MixedTargets& targets, torch::Dtype dtype);

// `loss`, which takes the targets of `batch` where it is given what that batch shows.
Loss mixed_loss(const Loss& loss, const std::shared_ptr<const MixedBatch>& batch);

}  // namespace fastcpp::detail
