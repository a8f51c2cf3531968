// Scaling of 8-bit pictures with a filter that grows with the reduction.
#pragma once

#include <opencv2/core/mat.hpp>

#include "fastcpp/vision/verify_images.hpp"

namespace fastcpp::inline v0::detail {

// `picture` has 8 bits and 1 to 4 channels.
cv::Mat resample(const cv::Mat& picture, Resolution size, ResampleFilter filter);

}  // namespace fastcpp::detail
