// The first frame of an animated WebP, which OpenCV refuses as a whole.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fastcpp::inline v0::detail {

// A frame within the canvas of its animation.
struct WebpFrame {
  std::string still;  // the frame as a WebP file of its own, without its transparency
  std::string fault;  // why there is none
  std::int64_t top = 0, left = 0;
};

bool is_animated_webp(std::string_view bytes);
// \param bytes an animated WebP
WebpFrame first_webp_frame(std::string_view bytes);

}  // namespace fastcpp::detail
