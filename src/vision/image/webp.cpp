#include "vision/image/webp.hpp"

#include "vision/image/bytes.hpp"

namespace fastcpp::inline v0::detail {
namespace {

constexpr std::size_t kChunkHeader = 8;  // name and length

// A chunk of odd length is followed by one byte more.
std::size_t next_chunk(const Bytes& in, std::size_t at) {
  const std::size_t length = in.le32(at + 4);
  return at + kChunkHeader + length + (length & 1);
}

std::string le32(std::size_t value) {
  std::string bytes;
  for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(value >> shift & 255);
  return bytes;
}

}  // namespace

bool is_animated_webp(std::string_view bytes) {
  const Bytes in(bytes);
  return in.has(0, "RIFF") && in.has(8, "WEBPVP8X") && (in.u8(20) & 2);
}

WebpFrame first_webp_frame(std::string_view bytes) {
  const Bytes in(bytes);
  WebpFrame frame;
  for (std::size_t at = 12; at < in.size(); at = next_chunk(in, at)) {
    if (!in.has(at, "ANMF")) continue;
    constexpr std::size_t kFrameHeader = 16;
    const auto end = std::min(in.size(), at + kChunkHeader + in.le32(at + 4));
    frame.left = 2 * std::int64_t{in.le24(at + 8)};
    frame.top = 2 * std::int64_t{in.le24(at + 11)};
    for (auto part = at + kChunkHeader + kFrameHeader; part < end; part = next_chunk(in, part)) {
      if (!in.has(part, "VP8 ") && !in.has(part, "VP8L")) continue;  // transparency, unknown ones
      std::string data(in.part(part, kChunkHeader + in.le32(part + 4)));
      if (data.size() & 1) data += '\0';
      frame.still = "RIFF" + le32(data.size() + 4) + "WEBP" + data;
      return frame;
    }
    break;
  }
  frame.fault = "it is an animation without a picture";
  return frame;
}

}  // namespace fastcpp::detail
