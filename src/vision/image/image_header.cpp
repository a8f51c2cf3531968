#include "vision/image/image_header.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include "vision/image/bytes.hpp"

namespace fastcpp::inline v0::detail {
namespace {

// Whatever the locale says.
bool is_digit(std::uint32_t c) {
  return c >= '0' && c <= '9';
}
bool is_upper(std::uint32_t c) {
  return c >= 'A' && c <= 'Z';
}
bool is_lower(std::uint32_t c) {
  return c >= 'a' && c <= 'z';
}
bool is_space(std::uint32_t c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

bool is_frame_header(std::uint32_t marker) {
  return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

// Its length, precision, height, width and number of components, in bytes.
constexpr std::uint32_t kFrameHeader = 8;

// The first marker in compressed data at or after `at`: stuffed bytes and restart markers belong to
// the data.
std::size_t end_of_scan(const Bytes& in, std::size_t at) {
  for (; (at = in.find('\xFF', at)) + 1 < in.size(); ++at) {
    const auto next = in.u8(at + 1);
    if (next != 0 && next != 0xFF && !(next >= 0xD0 && next <= 0xD7)) return at;
  }
  return in.size();
}

// Walks the markers up to the end-of-image marker. libjpeg fills up what is missing with grey and
// tells nobody but stderr, so a picture without that marker counts as cut off, as it does for
// Pillow.
// \param cleaned gets the picture without what a decoder would complain of, unless null
// \returns whether there is such between the markers of a whole picture
bool walk_jpeg(const Bytes& in, FileHeader& header, std::string* cleaned) {
  const auto keep = [&](std::string_view part) {
    if (cleaned) cleaned->append(part);
  };
  keep(in.part(0, 2));
  bool junk = false;
  std::size_t at = 2;
  while (true) {
    const auto start = at;
    while (at < in.size() && in.u8(at) != 0xFF) ++at;
    junk = junk || at != start;
    while (at < in.size() && in.u8(at) == 0xFF) ++at;  // fill bytes
    if (at >= in.size()) break;
    const auto marker = in.u8(at++);
    if (marker == 0 || marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8)) {
      junk = junk || marker == 0;
      continue;
    }
    if (marker == 0xD9) {
      keep("\xFF\xD9");
      if (header.rows == 0) header.fault = "it holds no picture";
      return junk;
    }
    const auto length = in.be16(at);
    if (length < 2) {
      header.fault = fmt::format("byte {}: a segment of impossible length", at);
      return false;
    }
    if (is_frame_header(marker) && header.rows == 0) {
      // What stands behind the segment is none of its numbers.
      if (length < kFrameHeader) {
        header.fault =
            fmt::format("byte {}: a frame header of {} bytes, too short for a size", at, length);
        return false;
      }
      header.rows = in.be16(at + 3);
      header.cols = in.be16(at + 5);
    }
    auto end = at + length;
    if (marker == 0xDA) end = end_of_scan(in, end);
    if (end >= in.size()) break;
    keep("\xFF");
    keep(in.part(at - 1, end - at + 1));
    at = end;
  }
  header.fault = "it is cut off: the end-of-image marker is missing";
  return false;
}

// Few pictures need cleaning: only they are copied, by a second walk.
void inspect_jpeg(const Bytes& in, FileHeader& header) {
  if (!walk_jpeg(in, header, nullptr)) return;
  header.cleaned.reserve(in.size());
  walk_jpeg(in, header, &header.cleaned);
}

std::uint32_t crc32(std::string_view bytes) {
  static const auto table = [] {
    std::array<std::uint32_t, 256> t{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t c = i;
      for (int bit = 0; bit < 8; ++bit) c = c & 1 ? 0xEDB88320u ^ (c >> 1) : c >> 1;
      t[i] = c;
    }
    return t;
  }();
  std::uint32_t c = 0xFFFFFFFFu;
  for (unsigned char byte : bytes) c = table[(c ^ byte) & 255] ^ (c >> 8);
  return ~c;
}

bool is_chunk_name(std::string_view type) {
  return std::all_of(type.begin(), type.end(), [](char c) {
    return is_upper(static_cast<unsigned char>(c)) || is_lower(static_cast<unsigned char>(c));
  });
}

// Keeps only the chunks that make pixels: the others (colour profiles, texts, even transparency, which is dropped
// anyway) can only produce complaints or, compressed, eat memory.
//
// As for Pillow, only the checksums of what stands before the pixels count, and behind the pixels nothing is wrong but
// a chunk that was cut off. Of a cut chunk of pixels the decoder finds whether it was needed.
void inspect_png(const Bytes& in, FileHeader& header) {
  constexpr std::size_t kNamed = 8, kWhole = 12;  // length and type, and the checksum as well
  header.cleaned = in.part(0, 8);
  bool pixels = false;
  std::size_t at = 8;
  for (; at + kNamed <= in.size(); at += in.be32(at) + kWhole) {
    const std::size_t length = in.be32(at), rest = in.size() - at - kNamed;
    const auto type = in.part(at + 4, 4);
    if (type == "IEND" || !is_chunk_name(type)) break;
    if (length > rest && (type != "IDAT" || rest == 0)) {
      header.fault = fmt::format("it is cut off within the chunk {}", type);
      return;
    }
    const auto chunk = in.part(at, length + kWhole);
    if (type == "IDAT") {
      pixels = true;
      header.cleaned += chunk;
      if (length <= rest) header.cleaned.append(length + kWhole - chunk.size(), '\0');
    } else if (!pixels && (type == "IHDR" || type == "PLTE")) {
      if (crc32(in.part(at + 4, length + 4)) != in.be32(at + kNamed + length)) {
        header.fault = fmt::format("byte {}: the checksum of the chunk {} is wrong", at, type);
        return;
      }
      if (type == "IHDR") {
        header.cols = in.be32(at + 8);
        header.rows = in.be32(at + 12);
      }
      header.cleaned += chunk;
    } else if (!pixels && is_upper(in.u8(at + 4))) {
      header.fault = fmt::format("byte {}: an unknown critical chunk", at);
      return;
    }
  }
  if (pixels) return;
  header.fault = at + kNamed > in.size()             ? "it is cut off: its pixels are missing"
                 : is_chunk_name(in.part(at + 4, 4)) ? "it holds no picture"
                                                     : fmt::format("byte {}: not a PNG chunk", at);
}

void inspect_bmp(const Bytes& in, FileHeader& header) {
  const auto pixels = in.le32(10), info = in.le32(14);
  std::uint32_t bits = 0, compression = 0;
  if (info == 12) {
    header.cols = in.le16(18);
    header.rows = in.le16(20);
    bits = in.le16(24);
  } else {
    header.cols = std::abs(static_cast<std::int64_t>(static_cast<std::int32_t>(in.le32(18))));
    header.rows = std::abs(static_cast<std::int64_t>(static_cast<std::int32_t>(in.le32(22))));
    bits = in.le16(28);
    compression = in.le32(30);
  }
  const auto line = (header.cols * bits + 31) / 32 * 4;
  const auto room = static_cast<std::int64_t>(in.size()) - pixels;
  // Only plain rows have a length that can be computed; compressed ones state it. By division: what the product of sides and
  // depth claims may not fit 64 bits.
  const bool plain = compression == 0 || compression == 3;
  const bool fits = plain ? line == 0 || header.rows <= room / line : in.le32(34) <= room;
  if (room < 0 || !fits) header.fault = "it is cut off";
}

void inspect_webp(const Bytes& in, FileHeader& header) {
  if (in.has(12, "VP8X")) {
    header.cols = 1 + in.le24(24);
    header.rows = 1 + in.le24(27);
  } else if (in.has(12, "VP8L")) {
    header.cols = 1 + (in.le32(21) & 0x3FFF);
    header.rows = 1 + (in.le32(21) >> 14 & 0x3FFF);
  } else if (in.has(12, "VP8 ")) {
    header.cols = in.le16(26) & 0x3FFF;
    header.rows = in.le16(28) & 0x3FFF;
  }
  if (std::uint64_t{in.le32(4)} + 8 > in.size()) header.fault = "it is cut off";
}

void inspect_tiff(const Bytes& in, FileHeader& header) {
  const bool little = in.has(0, "I");
  const auto u16 = [&](std::size_t at) { return little ? in.le16(at) : in.be16(at); };
  const auto u32 = [&](std::size_t at) { return little ? in.le32(at) : in.be32(at); };
  const std::size_t directory = u32(4);
  const auto entries = u16(directory);
  bool has_rows = false, has_cols = false;
  for (std::size_t i = 0; i < entries; ++i) {
    const auto at = directory + 2 + 12 * i;
    const auto type = u16(at + 2);
    const std::int64_t value = type == 3 ? u16(at + 8) : type == 4 ? u32(at + 8) : 0;
    // The first of several counts, as libtiff has it: a later one must not hide how large the picture is.
    if (u16(at) == 256 && !std::exchange(has_cols, true)) header.cols = value;
    if (u16(at) == 257 && !std::exchange(has_rows, true)) header.rows = value;
    if (u16(at) == 258 && u32(at + 4) == 1) header.tiff_bits = static_cast<int>(value);
    if (u16(at) == 339) header.tiff_float = value == 3;
  }
}

void inspect_pnm(const Bytes& in, FileHeader& header) {
  std::size_t at = 2;
  std::int64_t values[2] = {0, 0};
  for (auto& value : values) {
    while (at < in.size() && (is_space(in.u8(at)) || in.u8(at) == '#')) {
      if (in.u8(at) == '#') {
        while (at < in.size() && in.u8(at) != '\n') ++at;
      } else {
        ++at;
      }
    }
    for (; is_digit(in.u8(at)) && value < (std::int64_t{1} << 32); ++at) {
      value = value * 10 + (in.u8(at) - '0');
    }
  }
  header.cols = values[0];
  header.rows = values[1];
}

}  // namespace

FileHeader inspect(std::string_view bytes) {
  const Bytes in(bytes);
  FileHeader header;
  if (in.has(0, "\xFF\xD8\xFF")) {
    header.format = FileFormat::kJpeg;
    inspect_jpeg(in, header);
  } else if (in.has(0, "\x89PNG\r\n\x1A\n")) {
    header.format = FileFormat::kPng;
    inspect_png(in, header);
  } else if (in.has(0, "GIF87a") || in.has(0, "GIF89a")) {
    header.format = FileFormat::kGif;
    header.cols = in.le16(6);
    header.rows = in.le16(8);
  } else if (in.has(0, "RIFF") && in.has(8, "WEBP")) {
    header.format = FileFormat::kWebp;
    inspect_webp(in, header);
  } else if (in.has(0, std::string_view("II*\0", 4)) || in.has(0, std::string_view("MM\0*", 4))) {
    header.format = FileFormat::kTiff;
    inspect_tiff(in, header);
  } else if (in.has(0, "BM") && in.size() > 26) {
    header.format = FileFormat::kBmp;
    inspect_bmp(in, header);
  } else if (in.has(0, "P") && in.u8(1) >= '1' && in.u8(1) <= '6' && is_space(in.u8(2))) {
    header.format = FileFormat::kPnm;
    inspect_pnm(in, header);
  }
  return header;
}

}  // namespace fastcpp::detail
