// A small decoder for the first frame of a GIF: the pets data set holds some, named .jpg, and
// OpenCV 4.6 reads none.
#pragma once

#include <opencv2/core.hpp>
#include <string>
#include <string_view>

namespace fastcpp::inline v0::detail {

// 8-bit RGB. On damage the matrix is empty and `fault` tells why. A picture beyond `max_pixels` is
// not allocated: `too_large` is set.
struct GifResult {
  cv::Mat rgb;
  std::string fault;
  bool too_large = false;
};
GifResult decode_gif(std::string_view bytes, std::int64_t max_pixels);

}  // namespace fastcpp::detail
