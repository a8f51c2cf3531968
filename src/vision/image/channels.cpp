#include "vision/image/channels.hpp"

#include <algorithm>

#include "vision/image/bytes.hpp"

namespace fastcpp::detail {
namespace {

// The number of components stands in the frame header.
int jpeg_channels(const Bytes& in) {
  for (std::size_t at = 2; at + 9 < in.size();) {
    at = in.find('\xFF', at);
    while (in.u8(at) == 0xFF) ++at;
    const auto marker = in.u8(at++);
    const bool tables = marker == 0xC4 || marker == 0xC8 || marker == 0xCC;
    if (marker >= 0xC0 && marker <= 0xCF && !tables) return static_cast<int>(in.u8(at + 7));
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

}  // namespace

int channel_count(std::string_view bytes, FileFormat format) {
  const Bytes in(bytes);
  switch (format) {
    case FileFormat::kJpeg:
      return jpeg_channels(in);
    case FileFormat::kPng:
      return png_channels(in);
    case FileFormat::kWebp:
      return webp_channels(in);
    case FileFormat::kBmp:
      return bmp_channels(in);
    case FileFormat::kTiff:
      return tiff_channels(in);
    case FileFormat::kPnm:
      return in.u8(1) == '3' || in.u8(1) == '6' ? 3 : 1;
    default:
      return 1;  // a palette
  }
}

}  // namespace fastcpp::detail
