// A learner among several processes.
#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "fastcpp/core/error.hpp"
#include "train/learner_impl.hpp"

namespace fastcpp::inline v0 {

Learner& Learner::to_distributed(std::shared_ptr<ProcessGroup> processes,
                                 const DistributedOptions& options) {
  constexpr double kMost = 1 << 20;
  if (!(options.bucket_mb > 0 && options.bucket_mb <= kMost)) {
    throw ValueError(
        "value.bucket",
        fmt::format("bucket_mb: expected 0 < bucket_mb <= {}, found {}", kMost, options.bucket_mb));
  }
  refuse_nested_fit();
  const bool several = processes && processes->world_size() > 1;
  impl_->processes = several ? std::move(processes) : nullptr;
  impl_->distributed = options;
  return *this;
}

const std::shared_ptr<ProcessGroup>& Learner::processes() const {
  return impl_->processes;
}

bool Learner::first_process() const {
  return impl_->rank() == 0;
}

}  // namespace fastcpp
