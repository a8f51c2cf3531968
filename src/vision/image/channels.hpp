// How many channels a picture file has, as Pillow counts them.
#pragma once

#include <string_view>

#include "vision/image/image_header.hpp"

namespace fastcpp::detail {

// Grey, palette and black-and-white: 1; grey with alpha: 2; RGB: 3; RGBA, CMYK: 4.
int channel_count(std::string_view bytes, FileFormat format);

}  // namespace fastcpp::detail
