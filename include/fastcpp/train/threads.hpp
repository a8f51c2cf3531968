/// \file
/// How many threads compute.
#pragma once

#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// Sets the number of threads that compute (LibTorch's own default is half the hardware threads).
///
/// OpenBLAS, where LibTorch uses it, is told too. Starts no threads but LibTorch's own. Loading threads come on top
/// (`num_workers`). Call it once, before the first training.
///
/// Threads of GNU's OpenMP that wait for each other spin for some milliseconds, which costs whoever else wants the
/// processors. The environment variable `OMP_WAIT_POLICY=passive`, set before the program starts, makes them sleep
/// instead: as fast on a quiet machine, and much faster beside other work (docs/performance.md has figures).
/// \param compute from 1 to 1024, or to the number of processors where that is larger
/// \throws ValueError `value.threads`
FASTCPP_API void set_threads(int compute);

/// The number of threads that compute.
FASTCPP_API int get_threads();

}  // namespace fastcpp
