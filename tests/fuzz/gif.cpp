// The decoder of GIF. The input is a file without its first six bytes.
#include "vision/image/gif.hpp"

#include <vector>

#include "fuzz.hpp"

using namespace fastcpp;

FASTCPP_FUZZ_TARGET(gif)(std::string_view input) {
  constexpr std::int64_t kMost = 1 << 18;
  // Exactly so many bytes on the heap, so that a byte beyond them is found.
  std::vector<char> exact{'G', 'I', 'F', '8', '9', 'a'};
  exact.insert(exact.end(), input.begin(), input.end());
  exact.shrink_to_fit();
  const auto result = detail::decode_gif({exact.data(), exact.size()}, kMost);
  fuzz::require(result.rgb.empty() == (result.too_large || !result.fault.empty()),
                "a picture with a fault, or none without");
  fuzz::require(result.rgb.total() <= kMost, "a picture beyond the limit");
}
