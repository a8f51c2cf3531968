// Tar files byte by byte, for tests.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace fastcpp::test {

// A header in the format of POSIX. A name of up to 100 bytes; `prefix` stands before it.
inline std::string tar_header(const std::string& name, std::size_t size, char type = '0',
                              const std::string& prefix = {}) {
  std::string block(512, '\0');
  const auto put = [&](std::size_t at, const std::string& text) {
    block.replace(at, text.size(), text);
  };
  put(0, name);
  put(100, "0000644");
  put(108, "0000000");
  put(116, "0000000");
  put(124, fmt::format("{:011o}", size));
  put(136, "00000000000");
  put(148, "        ");
  block[156] = type;
  put(257, std::string("ustar\0"
                       "00",
                       8));
  put(345, prefix);
  unsigned sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  put(148, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
  return block;
}

// A header and its bytes, filled to whole blocks.
inline std::string tar_entry(const std::string& name, const std::string& bytes, char type = '0',
                             const std::string& prefix = {}) {
  auto entry = tar_header(name, bytes.size(), type, prefix) + bytes;
  entry.resize((entry.size() + 511) / 512 * 512);
  return entry;
}

inline std::string tar_end() {
  return std::string(1024, '\0');
}

// Names and bytes of files.
inline std::string tar_of(const std::vector<std::pair<std::string, std::string>>& files) {
  std::string tar;
  for (const auto& [name, bytes] : files) tar += tar_entry(name, bytes);
  return tar + tar_end();
}

}  // namespace fastcpp::test
