#include "fastcpp/kernels/processor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "fastcpp/core/log.hpp"

namespace fastcpp::inline v0 {
namespace {

ProcessorLevel of_this_processor() {
#if defined(__x86_64__) && defined(__GNUC__)
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
    return ProcessorLevel::kPlain;
  }
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw")) {
    return ProcessorLevel::kAvx512;
  }
  return ProcessorLevel::kAvx2;
#else
  return ProcessorLevel::kPlain;
#endif
}

ProcessorLevel lowered(ProcessorLevel found) {
  const char* const value = std::getenv("FASTCPP_PROCESSOR");
  if (!value || !*value) return found;
  const std::string_view wanted(value);
  if (wanted == "plain") return ProcessorLevel::kPlain;
  if (wanted == "avx2") return std::min(found, ProcessorLevel::kAvx2);
  if (wanted == "avx512") return found;
  log_warning(fmt::format(
      "the environment variable FASTCPP_PROCESSOR is '{}', expected plain, avx2 or avx512; it is "
      "left aside",
      wanted));
  return found;
}

}  // namespace

ProcessorLevel processor_level() {
  static const ProcessorLevel level = lowered(of_this_processor());
  return level;
}

}  // namespace fastcpp
