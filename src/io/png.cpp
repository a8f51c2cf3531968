#include "io/png.hpp"

#include <zlib.h>

#include <cstdint>
#include <new>
#include <string_view>

#include "io/file_access.hpp"

namespace fastcpp::inline v0::io {
namespace {

void append_big_endian(std::string& to, std::uint32_t number) {
  for (int shift = 24; shift >= 0; shift -= 8)
    to.push_back(static_cast<char>((number >> shift) & 0xFF));
}

void append_chunk(std::string& to, std::string_view kind, std::string_view content) {
  append_big_endian(to, static_cast<std::uint32_t>(content.size()));
  const auto start = to.size();
  to += kind;
  to += content;
  append_big_endian(to, io::crc32(to.data() + start, to.size() - start));
}

}  // namespace

std::string png_of(const torch::Tensor& pixels) {
  const auto height = pixels.size(0), width = pixels.size(1), channels = pixels.size(2);
  const auto row = static_cast<std::size_t>(width * channels);
  const auto* from = reinterpret_cast<const char*>(pixels.data_ptr<std::uint8_t>());
  std::string rows;
  rows.reserve((row + 1) * static_cast<std::size_t>(height));
  for (std::int64_t y = 0; y < height; ++y) {
    rows.push_back('\0');  // no filter
    rows.append(from + static_cast<std::size_t>(y) * row, row);
  }
  auto size = ::compressBound(static_cast<uLong>(rows.size()));
  std::string packed(size, '\0');
  constexpr int kLevel = 6;
  if (::compress2(reinterpret_cast<Bytef*>(packed.data()), &size,
                  reinterpret_cast<const Bytef*>(rows.data()), static_cast<uLong>(rows.size()),
                  kLevel) != Z_OK) {
    throw std::bad_alloc();
  }
  packed.resize(size);

  std::string head;
  append_big_endian(head, static_cast<std::uint32_t>(width));
  append_big_endian(head, static_cast<std::uint32_t>(height));
  head.push_back(8);                      // bits a channel
  head.push_back(channels == 3 ? 2 : 0);  // colours or grey
  head.append(3, '\0');
  std::string bytes = "\x89PNG\r\n\x1a\n";
  append_chunk(bytes, "IHDR", head);
  append_chunk(bytes, "IDAT", packed);
  append_chunk(bytes, "IEND", "");
  return bytes;
}

}  // namespace fastcpp::io
