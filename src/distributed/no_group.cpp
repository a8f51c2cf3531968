// In place of c10d_group.cpp where LibTorch, or this library, was built without Gloo.
#include <fmt/format.h>

#include "distributed/make_group.hpp"
#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0 {

bool distributed_available() {
  return false;
}

std::shared_ptr<ProcessGroup> make_group(const Launch& launch, const ProcessGroupOptions&) {
  throw DistributedError(
      "distributed.not_built",
      fmt::format(
          "{} processes were started to train together, but this library was built without "
          "Gloo; build it with Gloo's headers (Debian: libgloo-dev) and a LibTorch that has "
          "distributed, or start one process",
          launch.world_size));
}

}  // namespace fastcpp
