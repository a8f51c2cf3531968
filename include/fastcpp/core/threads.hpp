/// \file
/// How many threads compute and how many load.
#pragma once

#include "fastcpp/export.hpp"

namespace fastcpp {

/// The number of processors this process may use, at least 1.
FASTCPP_API int available_cpus();

/// fastai's `defaults.cpus`: min(16, available).
FASTCPP_API int default_workers();

}  // namespace fastcpp
