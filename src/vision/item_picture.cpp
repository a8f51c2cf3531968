#include "vision/item_picture.hpp"

#include <fmt/format.h>

#include <system_error>

#include "fastcpp/core/error.hpp"
#include "fastcpp/core/load_clock.hpp"
#include "fastcpp/vision/image/image.hpp"

namespace fastcpp::inline v0::detail {

cv::Mat decode_item(const Path& file, const FileSource* files, int least_side) {
  if (!FileSource::is_special(file)) return decode_image(file, least_side);
  return decode_image_bytes(item_bytes(file, files), file.string(), least_side);
}

void check_regular(const Path& file) {
  std::error_code ec;
  if (std::filesystem::status(file, ec).type() == std::filesystem::file_type::regular) return;
  throw IoError("io.cannot_read",
                fmt::format("cannot read '{}': there is no regular file", file.string()));
}

std::string item_bytes(const Path& file, const FileSource* files) {
  const ReadingTime reading;
  if (FileSource::is_special(file)) return files ? files->read(file) : file_source()->read(file);
  check_regular(file);
  return read_file(file);
}

}  // namespace fastcpp::detail
