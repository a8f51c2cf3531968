/// \file
/// How many threads compute.
#pragma once

#include "fastcpp/export.hpp"

namespace fastcpp {

/// Sets the number of threads that compute (LibTorch's own default is half the hardware threads).
///
/// Loading threads come on top (`num_workers`). Call it once, before the first training.
/// \param compute >= 1
/// \throws ValueError `value.threads`
FASTCPP_API void set_threads(int compute);

/// The number of threads that compute.
FASTCPP_API int get_threads();

}  // namespace fastcpp
