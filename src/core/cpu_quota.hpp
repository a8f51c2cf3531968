// The share of the processors that a container may use.
#pragma once

#include <optional>

#include "fastcpp/core/path.hpp"

namespace fastcpp::inline v0 {

// What the control groups (cgroups, version 1 and 2) of this process allow, rounded up to whole processors; nothing
// without a limit. `root` is the folder below which `proc` and `sys` are looked for.
std::optional<int> cpu_quota(const Path& root = "/");

}  // namespace fastcpp
