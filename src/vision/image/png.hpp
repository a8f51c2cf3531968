// PNG by libpng itself: it says nothing on stderr, tells damage from want of memory, and leaves out the checksums of
// pixels, as Pillow does.
#pragma once

#include <opencv2/core/mat.hpp>
#include <string>
#include <string_view>

namespace fastcpp::inline v0::detail {

// 8-bit RGB. On damage the matrix is empty and `fault` tells why.
struct PngResult {
  cv::Mat rgb;
  std::string fault;
};
// \throws std::bad_alloc, or cv::Exception of the matrix, without memory
PngResult decode_png(std::string_view bytes);

}  // namespace fastcpp::detail
