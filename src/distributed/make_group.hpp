// What stands between the launcher's words and a connected group.
#pragma once

#include <memory>

#include "fastcpp/distributed/setup_distrib.hpp"

namespace fastcpp::inline v0 {

// A connected group of several processes. Throws DistributedError `distributed.cannot_connect`, `distributed.not_built`.
std::shared_ptr<ProcessGroup> make_group(const Launch& launch, const ProcessGroupOptions& options);

}  // namespace fastcpp
