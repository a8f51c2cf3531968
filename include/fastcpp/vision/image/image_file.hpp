/// \file
/// What a picture file is, by its bytes alone.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "fastcpp/core/path.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// Formats of picture files that can be read.
enum class ImageFileFormat { kUnknown, kJpeg, kPng, kGif, kBmp, kWebp, kTiff, kPnm };

/// What the bytes of a picture file tell without being decoded. A plain value.
struct ImageFileInfo {
  ImageFileFormat format = ImageFileFormat::kUnknown;  ///< by content
  std::int64_t rows = 0;                               ///< as the file claims; 0: not found
  std::int64_t cols = 0;                               ///< as the file claims; 0: not found
  int channels =
      0;  ///< grey, palette: 1, grey with alpha: 2, RGB: 3, RGBA, CMYK: 4; of an unknown format 0
  bool damaged_exif = false;  ///< a JPEG whose Exif data points beyond its own end
};

/// Looks at the bytes of a file; never throws on damage. Thread-safe, like all of these.
/// \throws MemoryError `train.out_of_memory`
FASTCPP_API ImageFileInfo image_file_info(std::string_view bytes);

/// The format that an extension promises, in upper or lower case; kUnknown when it is none of a picture.
FASTCPP_API ImageFileFormat image_format_named(const Path& file);

/// `JPEG`, `PNG`; `unknown`.
FASTCPP_API std::string_view image_format_name(ImageFileFormat format);

/// The same JPEG without its Exif data; no pixel changes.
/// \param jpeg the bytes of a file; others come back as they are
/// \throws MemoryError `train.out_of_memory`
FASTCPP_API std::string without_exif(std::string_view jpeg);

}  // namespace fastcpp
