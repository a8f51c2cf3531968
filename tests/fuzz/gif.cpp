// The decoder of GIF. The input is a file without its first six bytes.
#include "vision/image/gif.hpp"

#include "fuzz.hpp"

using namespace fastcpp;

FASTCPP_FUZZ_TARGET(gif)(std::string_view input) {
  constexpr std::int64_t kMost = 1 << 18;
  const auto result = detail::decode_gif("GIF89a" + std::string(input), kMost);
  fuzz::require(result.rgb.empty() == (result.too_large || !result.fault.empty()),
                "a picture with a fault, or none without");
  fuzz::require(result.rgb.total() <= kMost, "a picture beyond the limit");
}
