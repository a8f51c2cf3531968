/// \file
/// How many threads compute.
#pragma once

#include "fastcpp/export.hpp"

namespace fastcpp {

/// Sets the number of threads that compute (LibTorch's own default is half the hardware threads).
///
/// OpenBLAS, where LibTorch uses it, is told too. Loading threads come on top (`num_workers`). Call
/// it once, before the first training.
///
/// With two or more, threads of GNU's OpenMP that wait for each other sleep instead of spinning:
/// as fast on a quiet machine, and much faster beside other work. A few idle threads see to it,
/// since OpenMP can be told so only by the environment; OMP_WAIT_POLICY or GOMP_SPINCOUNT, where
/// set, have their way instead.
/// \param compute >= 1
/// \throws ValueError `value.threads`
FASTCPP_API void set_threads(int compute);

/// The number of threads that compute.
FASTCPP_API int get_threads();

}  // namespace fastcpp
