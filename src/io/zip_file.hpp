// The zip container of PyTorch's checkpoints: a strict reader and a plain writer.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "io/file_access.hpp"

namespace fastcpp::inline v0::io {

struct ZipEntry {
  std::string name;
  std::uint64_t header = 0;       // where the local header lies
  std::uint64_t packed_size = 0;  // bytes in the file
  std::uint64_t size = 0;         // bytes of content
  std::uint32_t crc = 0;
  std::uint16_t method = 0;  // 0 stored, 8 deflated
  bool encrypted = false;
};

// The directory of an archive. Everything is checked against the size of the file before it is
// used; names are only compared, never taken for paths. All functions throw FormatError zip.… with
// the byte offset.
class ZipReader {
 public:
  explicit ZipReader(const FileReader& file);

  const std::vector<ZipEntry>& entries() const { return entries_; }
  const ZipEntry* find(std::string_view name) const;
  // The content, into memory of exactly entry.size bytes; checks the CRC.
  void read(const ZipEntry& entry, void* to) const;
  // The content of a small entry. Throws zip.too_large above `limit`.
  std::string read(const ZipEntry& entry, std::uint64_t limit) const;
  // Checks the CRC of a stored entry, without memory for it.
  void check(const ZipEntry& entry) const;
  // Where the content of a stored entry starts in the file.
  std::uint64_t data_offset(const ZipEntry& entry) const;

 private:
  struct Directory {
    std::uint64_t offset = 0, size = 0, count = 0, end = 0;
  };
  [[noreturn]] void fail(const char* code, std::uint64_t offset, const std::string& message) const;
  Directory find_directory() const;
  void apply_zip64(std::uint64_t end_record, Directory& directory) const;
  void parse_directory(const Directory& directory);
  void read_zip64_extra(std::string_view extra, std::uint64_t offset, ZipEntry& entry) const;
  void check_layout(const Directory& directory);
  void inflate(const ZipEntry& entry, std::uint64_t data, void* to) const;
  template <typename Place>
  void read_stored(const ZipEntry& entry, std::uint64_t data, const Place& place) const;

  const FileReader& file_;
  std::vector<ZipEntry> entries_;
  std::map<std::string_view, std::size_t> index_;
};

// Stored entries, each aligned to 64 bytes as PyTorch writes them; zip64 records where sizes need
// them.
class ZipWriter {
 public:
  explicit ZipWriter(AtomicWriter& out) : out_(out) {}
  void add(const std::string& name, const void* data, std::uint64_t size);
  // The content in pieces that follow each other.
  void add(const std::string& name, const std::vector<std::string_view>& pieces);
  void finish();

 private:
  AtomicWriter& out_;
  std::vector<ZipEntry> entries_;
};

}  // namespace fastcpp::io
