#include "vision/item_picture.hpp"

#include "fastcpp/vision/image/image.hpp"

namespace fastcpp::inline v0::detail {

cv::Mat decode_item(const Path& file, const FileSource* files, int least_side) {
  if (!FileSource::is_special(file)) return decode_image(file, least_side);
  const auto bytes = files ? files->read(file) : file_source()->read(file);
  return decode_image_bytes(bytes, file.string(), least_side);
}

}  // namespace fastcpp::detail
