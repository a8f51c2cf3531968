// Reading at any place of a file, writing to a descriptor; checksums.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "fastcpp/core/atomic_writer.hpp"
#include "fastcpp/core/path.hpp"

namespace fastcpp::inline v0::io {

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

// Some bytes of a file that follow each other, or all of them. The reader must outlive it.
class FilePart {
 public:
  explicit FilePart(const FileReader& file) : FilePart(file, 0, file.size()) {}
  // The range must lie within the file.
  FilePart(const FileReader& file, std::uint64_t offset, std::uint64_t size)
      : file_(&file), offset_(offset), size_(size) {}

  const std::string& name() const { return file_->name(); }
  std::uint64_t size() const { return size_; }
  // Where it starts in the file.
  std::uint64_t offset() const { return offset_; }
  // As FileReader's, from the start of the part.
  void read(std::uint64_t offset, void* to, std::size_t count) const {
    file_->read(offset_ + offset, to, count);
  }
  std::string read(std::uint64_t offset, std::size_t count) const {
    return file_->read(offset_ + offset, count);
  }

 private:
  const FileReader* file_;
  std::uint64_t offset_, size_;
};

using fastcpp::AtomicWriter;

// Throws IoError io.cannot_write: the file, why, and what to do. `cause` is an errno.
[[noreturn]] void cannot_write(const Path& file, int cause);

// Whether a folder is there; throws IoError io.cannot_create when something else has its name.
bool has_folder(const Path& folder);

// Writes everything at the descriptor's place. Throws IoError io.cannot_write naming `file`.
void write_all(int fd, const void* bytes, std::size_t count, const Path& file);
// The same at a place of its own.
void write_all(int fd, const void* bytes, std::size_t count, std::int64_t offset, const Path& file);

// CRC-32 as in zip; feed the former result as `crc` to go on.
std::uint32_t crc32(const void* data, std::size_t count, std::uint32_t crc = 0);
// The same without the processor's help.
std::uint32_t crc32_by_tables(const void* data, std::size_t count, std::uint32_t crc = 0);

}  // namespace fastcpp::io
