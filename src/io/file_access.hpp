// Reading at any place of a file, and writing a file that appears whole or not at all.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "fastcpp/core/path.hpp"

namespace fastcpp::io {

// A regular file, read with pread: unlike a mapping it cannot kill the process when somebody
// truncates the file.
class FileReader {
 public:
  // Throws IoError io.cannot_read.
  explicit FileReader(const Path& file);
  ~FileReader();
  FileReader(const FileReader&) = delete;
  FileReader& operator=(const FileReader&) = delete;

  const std::string& name() const { return name_; }
  std::uint64_t size() const { return size_; }
  // Fills `to` completely; the range must lie within size(). Throws IoError io.cannot_read.
  void read(std::uint64_t offset, void* to, std::size_t count) const;
  std::string read(std::uint64_t offset, std::size_t count) const;

 private:
  std::string name_;
  int fd_;
  std::uint64_t size_ = 0;
};

// Writes to a temporary sibling; `commit` renames it. Without commit nothing is left.
class AtomicWriter {
 public:
  // Throws IoError io.cannot_write.
  explicit AtomicWriter(const Path& file);
  ~AtomicWriter();
  AtomicWriter(const AtomicWriter&) = delete;
  AtomicWriter& operator=(const AtomicWriter&) = delete;

  std::uint64_t position() const { return position_; }
  void write(const void* from, std::size_t count);
  void write(std::string_view bytes) { write(bytes.data(), bytes.size()); }
  void commit();

 private:
  [[noreturn]] void fail() const;

  std::string name_, part_;
  int fd_ = -1;
  std::uint64_t position_ = 0;
};

// CRC-32 as in zip; feed the former result as `crc` to go on.
std::uint32_t crc32(const void* data, std::size_t count, std::uint32_t crc = 0);
// The same without the processor's help.
std::uint32_t crc32_by_tables(const void* data, std::size_t count, std::uint32_t crc = 0);

}  // namespace fastcpp::io
