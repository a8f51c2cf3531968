// What the first bytes of a picture file tell, found without decoding: its format, its size,
// whether it is whole.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "fastcpp/vision/image/image_file.hpp"

namespace fastcpp::inline v0::detail {

using FileFormat = ImageFileFormat;

struct FileHeader {
  FileFormat format = FileFormat::kUnknown;
  std::int64_t rows = 0, cols = 0;  // 0: not found
  int tiff_bits = 0;                // of a TIFF of one channel
  bool tiff_float = false;          // its numbers are floating point
  std::string fault;                // why the file must be refused, empty when nothing was found
  std::string cleaned;  // when not empty: the same picture without what a decoder would complain of
};

FileHeader inspect(std::string_view bytes);

}  // namespace fastcpp::detail
