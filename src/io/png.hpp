// Pictures as PNG, for files that hold pictures: without OpenCV, which this room does not know.
#pragma once

#include <torch/types.h>

#include <string>

namespace fastcpp::inline v0::io {

// `pixels` is H x W x 3 or H x W x 1, uint8, contiguous, on the CPU. Throws std::bad_alloc.
std::string png_of(const torch::Tensor& pixels);

}  // namespace fastcpp::io
