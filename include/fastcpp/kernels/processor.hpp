/// \file
/// Which vector instructions the kernels use.
#pragma once

#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// Vector instructions, from few to many.
enum class ProcessorLevel {
  kPlain,  ///< what the compiler makes without special instructions
  kAvx2,   ///< AVX2 and FMA
  kAvx512  ///< AVX-512 F, DQ, VL and BW as well
};

/// The highest level of this processor, found once for the process. The environment variable `FASTCPP_PROCESSOR` (`plain`,
/// `avx2`, `avx512`), read at the same time, lowers it and never raises it; another value is left aside with a warning.
/// Thread-safe.
FASTCPP_API ProcessorLevel processor_level();

}  // namespace fastcpp
