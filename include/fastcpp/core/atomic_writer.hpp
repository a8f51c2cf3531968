/// \file
/// Writing a file that appears whole or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "fastcpp/core/path.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// A file under construction: a reader, a crash or a power failure meets the old content or the new, never a half.
///
/// Bytes go to a temporary sibling; `commit` flushes it to the disk and gives it its name. Without `commit` nothing is
/// left. Where the name is a symbolic link, the link stays and the file that it names is written. A device or a pipe is
/// written in place. Not copied. Threads: one at a time.
class FASTCPP_API AtomicWriter {
 public:
  /// Missing parent folders are made. An existing file keeps its access rights.
  /// \param file the name to write
  /// \throws IoError `io.cannot_write`, `io.cannot_create`
  explicit AtomicWriter(const Path& file);
  ~AtomicWriter();
  AtomicWriter(const AtomicWriter&) = delete;
  AtomicWriter& operator=(const AtomicWriter&) = delete;

  /// Appends bytes.
  /// \throws IoError `io.cannot_write`, for example on a full disk
  void write(const void* from, std::size_t count);
  /// The same for a text.
  void write(std::string_view bytes) { write(bytes.data(), bytes.size()); }
  /// Bytes written so far.
  std::uint64_t position() const noexcept { return position_; }
  /// Makes the file appear. Call it once, at the end.
  /// \throws IoError `io.cannot_write`
  void commit();

 private:
  void open();
  [[noreturn]] void fail(int cause) const;

  Path name_;    // as the caller knows it
  Path target_;  // where links lead
  Path part_;    // the sibling; empty when written in place, and after `commit`
  int fd_ = -1;
  std::uint64_t position_ = 0;
};

}  // namespace fastcpp
