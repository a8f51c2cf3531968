/// \file
/// How many threads compute and how many load.
#pragma once

#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// The number of processors this process may use, at least 1: those it is bound to, and no more than the quota of its
/// container (control groups, rounded up). Thread-safe.
FASTCPP_API int available_cpus();

/// The smaller of 16 and `available_cpus()` (fastai: `defaults.cpus`). Thread-safe.
FASTCPP_API int default_workers();

}  // namespace fastcpp
