// Picture files of every kind, for tests.
#pragma once

#include <c10/util/Logging.h>  // has a CHECK of its own, which the one of Catch2 must follow

#include <map>
#include <opencv2/core/mat.hpp>
#include <string>

#include "fastcpp/core/path.hpp"

namespace fastcpp::test {

// A picture with structure, another one for each seed: H x W x 3.
cv::Mat picture_of(int rows, int cols, int seed);

// A picture with shapes at chance places, another one for each seed: H x W x 3.
cv::Mat drawing_of(int rows, int cols, int seed);

// The bytes of a file in one of Pillow's modes: RGB, L, RGBA, CMYK, 1. `extension` names the format, `.png` or `.jpg`.
std::string encoded(const cv::Mat& rgb, const std::string& mode, const std::string& extension,
                    int quality = 90);

// JPEG or PNG by the first bytes; empty for anything else and for what cannot be decoded.
std::string format_of(const Path& file);
// The mode of a JPEG or PNG.
std::string mode_of(const Path& file);

// Visible files of a folder and their content.
std::map<std::string, std::string> content(const Path& folder);

}  // namespace fastcpp::test
