#include "fastcpp/vision/image/image_file.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "fastcpp/core/boundary.hpp"
#include "vision/image/bytes.hpp"
#include "vision/image/image_header.hpp"

namespace fastcpp::inline v0 {
namespace {

using detail::Bytes;
using Format = ImageFileFormat;

// The number of components stands in the frame header.
int jpeg_channels(const Bytes& in) {
  for (std::size_t at = 2; at + 9 < in.size();) {
    at = in.find('\xFF', at);
    while (in.u8(at) == 0xFF) ++at;
    const auto marker = in.u8(at++);
    const bool tables = marker == 0xC4 || marker == 0xC8 || marker == 0xCC;
    if (marker >= 0xC0 && marker <= 0xCF && !tables) {
      if (in.be16(at) < 8) return 3;  // too short to say it
      return static_cast<int>(std::clamp(in.u8(at + 7), 1u, 4u));
    }
    const bool bare = marker == 0 || marker == 0x01 || (marker >= 0xD0 && marker <= 0xD9);
    if (!bare) at += std::max<std::size_t>(in.be16(at), 2);
  }
  return 3;
}

int png_channels(const Bytes& in) {
  switch (in.u8(25)) {
    case 2:
      return 3;
    case 4:
      return 2;
    case 6:
      return 4;
    default:
      return 1;
  }
}

int webp_channels(const Bytes& in) {
  const bool alpha =
      in.has(12, "VP8X") ? (in.u8(20) & 0x10) != 0 : in.has(12, "VP8L") && (in.u8(24) & 0x10) != 0;
  return alpha ? 4 : 3;
}

int bmp_channels(const Bytes& in) {
  const auto header = in.le32(14);
  const auto bits = header == 12 ? in.le16(24) : in.le16(28);
  if (bits <= 8) return 1;
  const bool masks = header >= 56 && in.le32(30) == 3;
  return bits == 32 && masks && in.le32(66) != 0 ? 4 : 3;
}

// Samples per pixel.
int tiff_channels(const Bytes& in) {
  const bool little = in.has(0, "I");
  const auto u16 = [&](std::size_t at) { return little ? in.le16(at) : in.be16(at); };
  const std::size_t directory = little ? in.le32(4) : in.be32(4);
  const auto entries = u16(directory);
  for (std::size_t i = 0; i < entries; ++i) {
    const auto at = directory + 2 + 12 * i;
    if (u16(at) == 277) return static_cast<int>(std::clamp(u16(at + 8), 1u, 4u));
  }
  return 1;
}

int channel_count(std::string_view bytes, Format format) {
  const Bytes in(bytes);
  switch (format) {
    case Format::kUnknown:
      return 0;
    case Format::kJpeg:
      return jpeg_channels(in);
    case Format::kPng:
      return png_channels(in);
    case Format::kWebp:
      return webp_channels(in);
    case Format::kBmp:
      return bmp_channels(in);
    case Format::kTiff:
      return tiff_channels(in);
    case Format::kPnm:
      return in.u8(1) == '3' || in.u8(1) == '6' ? 3 : 1;
    default:
      return 1;  // a palette
  }
}

// First and last byte, the marker included, of the segments of a JPEG that hold Exif data.
std::vector<std::pair<std::size_t, std::size_t>> exif_segments(const Bytes& in) {
  std::vector<std::pair<std::size_t, std::size_t>> found;
  if (!in.has(0, "\xFF\xD8")) return found;
  for (std::size_t at = 2; in.u8(at) == 0xFF && at + 4 <= in.size();) {
    const auto marker = in.u8(at + 1);
    if (marker == 0xFF) {  // a fill byte
      ++at;
      continue;
    }
    if (marker == 0xDA || marker == 0xD9) break;
    const bool bare = marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8);
    const std::size_t end = at + 2 + (bare ? 0 : in.be16(at + 2));
    if (!bare && (in.be16(at + 2) < 2 || end > in.size())) break;
    if (marker == 0xE1 && in.has(at + 4, std::string_view("Exif\0\0", 6)))
      found.emplace_back(at, end);
    at = end;
  }
  return found;
}

// Exif data is a TIFF file. Damaged is what Pillow warns of: its first directory, or what an entry of that points to,
// lies beyond the end.
bool is_damaged_exif(std::string_view tiff) {
  constexpr std::uint64_t kSizes[] = {0, 1, 1, 2, 4, 8, 1,
                                      1, 2, 4, 8, 4, 8, 4};  // of an entry's types
  const Bytes in(tiff);
  const bool little = in.has(0, std::string_view("II*\0", 4));
  if (!little && !in.has(0, std::string_view("MM\0*", 4))) return false;
  const auto u16 = [&](std::size_t at) { return little ? in.le16(at) : in.be16(at); };
  const auto u32 = [&](std::size_t at) -> std::size_t {
    return little ? in.le32(at) : in.be32(at);
  };
  const std::size_t directory = u32(4);
  if (directory + 2 > in.size()) return true;
  const std::size_t entries = u16(directory);
  if (directory + 2 + 12 * entries > in.size()) return true;
  for (std::size_t i = 0; i < entries; ++i) {
    const auto at = directory + 2 + 12 * i;
    const auto type = u16(at + 2);
    if (type >= std::size(kSizes)) continue;
    const std::uint64_t length = kSizes[type] * u32(at + 4);
    if (length > 4 && u32(at + 8) + length > in.size()) return true;
  }
  return false;
}

// Exif data in several segments is one block cut in pieces; none of them can be judged alone.
bool has_damaged_exif(std::string_view jpeg) {
  constexpr std::size_t kHead = 10;  // marker, length, name
  const Bytes in(jpeg);
  const auto segments = exif_segments(in);
  if (segments.size() != 1) return false;
  const auto [first, end] = segments.front();
  return is_damaged_exif(in.part(first + kHead, end - first - kHead));
}

}  // namespace

ImageFileInfo image_file_info(std::string_view bytes) {
  return boundary([&] {
    const auto header = detail::inspect(bytes);
    return ImageFileInfo{.format = header.format,
                         .rows = header.rows,
                         .cols = header.cols,
                         .channels = channel_count(bytes, header.format),
                         .damaged_exif = header.format == Format::kJpeg && has_damaged_exif(bytes)};
  });
}

ImageFileFormat image_format_named(const Path& file) {
  return boundary([&] {
    std::string extension = file.extension().string();
    for (char& c : extension) {  // whatever the locale
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    static constexpr std::pair<std::string_view, Format> kAll[] = {
        {".jpg", Format::kJpeg},  {".jpeg", Format::kJpeg}, {".jpe", Format::kJpeg},
        {".png", Format::kPng},   {".gif", Format::kGif},   {".bmp", Format::kBmp},
        {".webp", Format::kWebp}, {".tif", Format::kTiff},  {".tiff", Format::kTiff},
        {".pbm", Format::kPnm},   {".pgm", Format::kPnm},   {".pnm", Format::kPnm},
        {".ppm", Format::kPnm}};
    for (const auto& [name, format] : kAll) {
      if (extension == name) return format;
    }
    return Format::kUnknown;
  });
}

std::string_view image_format_name(ImageFileFormat format) {
  switch (format) {
    case Format::kJpeg:
      return "JPEG";
    case Format::kPng:
      return "PNG";
    case Format::kGif:
      return "GIF";
    case Format::kBmp:
      return "BMP";
    case Format::kWebp:
      return "WebP";
    case Format::kTiff:
      return "TIFF";
    case Format::kPnm:
      return "PNM";
    default:
      return "unknown";
  }
}

std::string without_exif(std::string_view jpeg) {
  return boundary([&] {
    std::string rest;
    std::size_t from = 0;
    for (const auto& [first, end] : exif_segments(Bytes(jpeg))) {
      rest += jpeg.substr(from, first - from);
      from = end;
    }
    return rest += jpeg.substr(from);
  });
}

}  // namespace fastcpp
