// A file of records, each with its length and checksums: TensorFlow's TFRecord, as event files of TensorBoard have it.
#pragma once

#include <cstdint>
#include <string_view>

#include "fastcpp/core/path.hpp"

namespace fastcpp::inline v0::io {

// CRC-32C (Castagnoli's polynomial, RFC 3720 B.4); feed the former result as `crc` to go on.
std::uint32_t crc32c(std::string_view bytes, std::uint32_t crc = 0);

// A new file that grows record by record. Each reaches the system by one call as soon as it is added, so that a process
// that is killed leaves whole records.
class RecordWriter {
 public:
  // Throws IoError io.cannot_create, io.cannot_write, also when the file is there already.
  explicit RecordWriter(const Path& file);
  ~RecordWriter();
  RecordWriter(const RecordWriter&) = delete;
  RecordWriter& operator=(const RecordWriter&) = delete;

  const Path& file() const { return file_; }
  // Leaves no part of a record behind that cannot be written. Throws IoError io.cannot_write.
  void add(std::string_view record);
  // Until all records are on the disk. Throws IoError io.cannot_write.
  void flush();

 private:
  Path file_;
  int fd_;
  std::uint64_t size_ = 0;
};

}  // namespace fastcpp::io
