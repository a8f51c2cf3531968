// The picture of an item, wherever it lies.
#pragma once

#include <opencv2/core/mat.hpp>
#include <string>

#include "fastcpp/core/path.hpp"
#include "fastcpp/io/file_source.hpp"

namespace fastcpp::inline v0::detail {

// As decode_image; what is an address, or in a shard or a pack, is read through `files`, or `file_source()` when that is null.
cv::Mat decode_item(const Path& file, const FileSource* files, int least_side = 0);

// Refuses pipes and devices, which would be waited for, for ever. Throws IoError io.cannot_read.
void check_regular(const Path& file);

// The bytes of that file, which must be a regular one, or an address, or in a shard or a pack. Throws as FileSource::read.
std::string item_bytes(const Path& file, const FileSource* files);

}  // namespace fastcpp::detail
