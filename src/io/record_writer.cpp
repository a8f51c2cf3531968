#include "io/record_writer.hpp"

#include <array>
#include <cerrno>
#include <string>

#include <fcntl.h>
#include <unistd.h>

#include "fastcpp/core/disk.hpp"
#include "fastcpp/core/error.hpp"
#include "io/file_access.hpp"

namespace fastcpp::inline v0::io {
namespace {

using Crc32cTable = std::array<std::uint32_t, 256>;

constexpr Crc32cTable make_crc32c_table() {
  Crc32cTable table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? 0x82F63B78u : 0u);
    table[i] = crc;
  }
  return table;
}

constexpr Crc32cTable kCrc32c = make_crc32c_table();

// A record may hold checksums itself, so the format turns and shifts its own.
std::uint32_t masked_crc(std::string_view bytes) {
  const auto crc = crc32c(bytes);
  return ((crc >> 15) | (crc << 17)) + 0xA282EAD8u;
}

void append_little_endian(std::string& to, std::uint64_t number, int bytes) {
  for (int i = 0; i < bytes; ++i) to.push_back(static_cast<char>((number >> (8 * i)) & 0xFF));
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes, std::uint32_t crc) {
  crc = ~crc;
  for (const char c : bytes) {
    crc = (crc >> 8) ^ kCrc32c[(crc ^ static_cast<unsigned char>(c)) & 0xFF];
  }
  return ~crc;
}

RecordWriter::RecordWriter(const Path& file) : file_(file), fd_(-1) {
  make_folder(file.has_parent_path() ? file.parent_path() : Path("."));
  fd_ = open_file(file, O_WRONLY | O_CREAT | O_EXCL);
  if (fd_ < 0) cannot_write(file, errno);
}

RecordWriter::~RecordWriter() {
  ::close(fd_);
}

void RecordWriter::add(std::string_view record) {
  std::string bytes;
  bytes.reserve(record.size() + 16);
  append_little_endian(bytes, record.size(), 8);
  append_little_endian(bytes, masked_crc(bytes), 4);
  bytes += record;
  append_little_endian(bytes, masked_crc(record), 4);
  try {
    write_all(fd_, bytes.data(), bytes.size(), static_cast<std::int64_t>(size_), file_);
  } catch (const IoError&) {
    // The next record is written over what stays where this fails too.
    const auto cut = ::ftruncate(fd_, static_cast<off_t>(size_));
    static_cast<void>(cut);
    throw;
  }
  size_ += bytes.size();
}

void RecordWriter::flush() {
  if (!flush_file(fd_)) cannot_write(file_, errno);
}

}  // namespace fastcpp::io
