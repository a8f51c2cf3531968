/// \file
/// Reading files that lie on the disk, in tar shards, in packs, or behind an address.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fastcpp/core/path.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/io/download.hpp"
#include "fastcpp/io/pack.hpp"
#include "fastcpp/io/tar.hpp"

namespace fastcpp::inline v0 {

/// Arguments of FileSource.
struct FileSourceOptions {
  /// Folder for what was fetched; nothing else should lie there. Absent: `cache` beside `Config::data_path()`, that is
  /// `~/.fastai/cache`
  std::optional<Path> cache = {};
  /// Most bytes of whole files in the cache, > 0; a longer file is refused. What is on its way comes on top
  std::int64_t max_bytes = std::int64_t{20} << 30;
  /// Time-outs, limits and retries of each file; `overwrite` has no effect
  DownloadUrlOptions download = {.show_progress = false};
};

/// Reads files by their names, wherever they lie: a path, `http://` or `https://` and a file, or a member of a tar shard or an
/// entry of a pack in either place (`train-0001.tar/cat/7.jpg`, `pets.pack/cat/7.jpg`).
///
/// What comes from an address is fetched whole, once, into a folder that several sources and processes may share: of those
/// that want the same file one loads, the others wait. When the folder holds more than `max_bytes`, the files that were not
/// used for longest go. A file that changes on the server later is not fetched again. Which member lies where is found out
/// once a shard and kept in memory (about 30 bytes and the name a member); no shard stays open. A pack does, from its first
/// use on: who writes it anew meanwhile does not disturb who reads it.
///
/// Threads: any number at once. Not copied, but shared by a `std::shared_ptr`.
class FASTCPP_API FileSource {
 public:
  /// Makes no folder yet.
  /// \throws ValueError `value.download_options`
  explicit FileSource(FileSourceOptions options = {});
  ~FileSource();
  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;

  /// Whether a name may stand for more than a file on the disk: an address, or a member of a shard or a pack by its
  /// name alone.
  static bool is_special(const Path& file);

  /// The whole content of a file.
  /// \throws IoError `io.cannot_read`, `io.cannot_write`, `io.cannot_create`; DownloadError as `download_url`, naming the
  ///   address after all tries; as `Config::get` where something is fetched and no folder was given; FormatError as `tar_members`, `archive.no_member`, `archive.changed`,
  ///   as PackReader, `pack.no_entry`
  std::string read(const Path& file) const;

  /// The regular files of a shard, in their order (WebDataset's samples are neighbours that share a name up to its dot).
  /// \param shard path or address of a tar file
  /// \throws as `read`
  std::vector<TarMember> members(const std::string& shard) const;
  /// Opens a pack as it is now; from here on `read` takes its entries from there.
  /// \param pack path or address, ending in `.pack`
  /// \throws as `read`
  std::shared_ptr<const PackReader> pack(const std::string& pack) const;

  /// Where fetched files lie.
  /// \throws as `Config::get` where no folder was given
  const Path& cache() const;
  /// Bytes of the whole files that lie there now; looks at each.
  /// \throws as `cache`
  std::int64_t cached_bytes() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// What reads files where nothing else is said: made at its first use, with the defaults. Thread-safe.
FASTCPP_API std::shared_ptr<const FileSource> file_source();
/// Replaces it for everything that asks from now on; null: the defaults again. Thread-safe.
FASTCPP_API void set_file_source(std::shared_ptr<const FileSource> source);

}  // namespace fastcpp
