// Bounds-checked reading of bytes; anything beyond the end is 0.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace fastcpp::inline v0::detail {

class Bytes {
 public:
  explicit Bytes(std::string_view bytes) : bytes_(bytes) {}
  std::size_t size() const { return bytes_.size(); }
  std::uint32_t u8(std::size_t at) const {
    return at < bytes_.size() ? static_cast<unsigned char>(bytes_[at]) : 0;
  }
  std::uint32_t be16(std::size_t at) const { return u8(at) << 8 | u8(at + 1); }
  std::uint32_t be32(std::size_t at) const { return be16(at) << 16 | be16(at + 2); }
  std::uint32_t le16(std::size_t at) const { return u8(at + 1) << 8 | u8(at); }
  std::uint32_t le24(std::size_t at) const { return u8(at + 2) << 16 | le16(at); }
  std::uint32_t le32(std::size_t at) const { return le16(at + 2) << 16 | le16(at); }
  bool has(std::size_t at, std::string_view text) const {
    return at <= bytes_.size() && bytes_.substr(at, text.size()) == text;
  }
  // Where the byte stands next, or size().
  std::size_t find(char byte, std::size_t from) const {
    return std::min(bytes_.find(byte, from), bytes_.size());
  }
  // Shorter where the bytes end.
  std::string_view part(std::size_t at, std::size_t count) const {
    return at <= bytes_.size() ? bytes_.substr(at, count) : std::string_view();
  }

 private:
  std::string_view bytes_;
};

}  // namespace fastcpp::detail
