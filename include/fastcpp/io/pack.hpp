/// \file
/// Packs: one file that holds many, such as prepared pictures, for reading in any order.
///
/// The format, version 1. Numbers are little endian, and the parts follow each other without a gap:
///
///     head      16 bytes: magic "\x93" "FCPACK\n", u32 version, u32 CRC-32 of these twelve bytes
///     contents  of the entries, one behind the other in the order of the index
///     index     16 bytes an entry: u64 length of its content, u32 CRC-32 of its content, u32 length of its name
///     names     of the entries, one behind the other in the same order, with their folders
///     notes     whatever the writer adds
///     tail      64 bytes: u64 number of entries, u64 offset of the index, u64 length of the names, u64 length of the notes,
///               u64 size of the file, u32 CRC-32 of index, names and notes, u64 zero, u32 CRC-32 of the tail so far, magic
///
/// A file that was cut has no tail; one that was written over in part fails a checksum.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "fastcpp/core/path.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// Writes a pack, which appears whole or not at all (AtomicWriter): a process that is killed leaves no file, or the one that
/// was there before. Not copied. Threads: one at a time.
class FASTCPP_API PackWriter {
 public:
  /// Missing parent folders are made.
  /// \param file the name to write, by custom with the ending `.pack`
  /// \throws IoError `io.cannot_write`, `io.cannot_create`
  explicit PackWriter(const Path& file);
  /// Without `commit` nothing is left.
  ~PackWriter();
  PackWriter(const PackWriter&) = delete;
  PackWriter& operator=(const PackWriter&) = delete;

  /// Appends an entry.
  /// \param name    with `/` between folders, 1 to 4096 bytes: none of its parts is empty, `.` or `..`; each name once
  /// \param content its bytes, any number of them
  /// \throws ValueError `value.pack_name`; IoError `io.cannot_write`; MemoryError `train.out_of_memory`
  void add(std::string_view name, std::string_view content);
  /// Number of entries so far.
  std::int64_t size() const;
  /// Bytes written so far.
  std::uint64_t position() const;
  /// Writes the index and makes the file appear. Call it once, at the end.
  /// \param notes kept beside the entries, any bytes
  /// \throws IoError `io.cannot_write`
  void commit(std::string_view notes = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Reads a pack that lies on the disk.
///
/// Index and names are read and checked when it is opened and stay in memory, with 28 bytes an entry beside its name;
/// the file stays open. Contents are read when they are asked for, by `pread` and not through a mapping: a file that another
/// program cuts while it is mapped would end the process by SIGBUS, where a read that meets the end gives an error. What was
/// read once lies in the system's page cache, which all processes share as they would a mapping. Somebody who writes the
/// pack anew does not disturb an open one, which keeps the file that it has.
///
/// Threads: any number at once, and any number of processes. Not copied, but shared by a `std::shared_ptr`.
class FASTCPP_API PackReader {
 public:
  /// \throws IoError `io.cannot_read`; FormatError `pack.bad_header`, `pack.version`, `pack.truncated`, `pack.bad_index`, all
  ///   naming the file; MemoryError `train.out_of_memory`
  explicit PackReader(const Path& file);
  ~PackReader();
  PackReader(const PackReader&) = delete;
  PackReader& operator=(const PackReader&) = delete;

  /// The file as messages call it.
  const std::string& file() const;
  /// Number of entries.
  std::int64_t size() const;
  /// The name of entry i, in the order of writing. Lives as long as this.
  /// \throws ValueError `value.index`
  std::string_view name(std::int64_t i) const;
  /// Which entry has this name; nothing where there is none.
  std::optional<std::int64_t> find(std::string_view name) const;
  /// Length in bytes of the content of entry i.
  /// \throws ValueError `value.index`
  std::uint64_t bytes(std::int64_t i) const;
  /// The content of entry i, with its checksum looked at.
  /// \throws ValueError `value.index`; FormatError `pack.bad_entry` naming entry and file; IoError `io.cannot_read`; MemoryError
  ///   `train.out_of_memory`
  std::string read(std::int64_t i) const;
  /// What the writer added. Lives as long as this.
  std::string_view notes() const;

 private:
  friend struct PackAccess;
  struct Impl;
  explicit PackReader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// A pack and the entry of it that a name stands for.
struct PackEntry {
  std::string pack;   ///< path or address of the pack
  std::string entry;  ///< name within it
};

/// Takes a name such as `pets.pack/cat/7.jpg` apart: what ends in `.pack` before a `/` is the pack. Only the name is looked
/// at, so a folder may be called so too. Thread-safe.
/// \return nothing when no part of the name but the last ends in `.pack`
FASTCPP_API std::optional<PackEntry> split_pack(std::string_view name);

}  // namespace fastcpp
