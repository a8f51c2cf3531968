// The picture of an item, wherever it lies.
#pragma once

#include <opencv2/core/mat.hpp>

#include "fastcpp/core/path.hpp"
#include "fastcpp/io/file_source.hpp"

namespace fastcpp::inline v0::detail {

// As decode_image; what is an address or in a shard is read through `files`, or `file_source()` when that is null.
cv::Mat decode_item(const Path& file, const FileSource* files, int least_side = 0);

}  // namespace fastcpp::detail
