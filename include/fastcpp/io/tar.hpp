/// \file
/// Tar shards: which files lie where in a plain tar file, and names of shards.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fastcpp/core/path.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// A regular file within a tar file. A plain value.
struct TarMember {
  std::string name;         ///< with its folders, as it stands there; never empty
  std::int64_t offset = 0;  ///< where its bytes begin in the tar file
  std::int64_t size = 0;    ///< number of its bytes
};

/// The regular files of a tar file without compression, in their order (Python: `tarfile.getmembers`). Thread-safe, like all
/// of these.
///
/// Reads the headers only, by the formats of POSIX (ustar, pax) and GNU. Folders, links and devices are left out, and what
/// stands behind the mark of the end is not looked at. Every header's checksum is checked, and every member lies within the
/// file.
/// \param file  a regular file
/// \param shown what messages call it; empty: its path
/// \throws FormatError `archive.truncated` when the file ends early, `archive.compressed`, `archive.damaged`, all with the
///   offset; IoError `io.cannot_read`; MemoryError `train.out_of_memory`
FASTCPP_API std::vector<TarMember> tar_members(const Path& file, const std::string& shown = {});

/// A shard and the member of it that a name stands for.
struct ShardMember {
  std::string shard;   ///< path or address of the tar file
  std::string member;  ///< name of the file within it
};

/// Takes a name such as `train-0001.tar/cat/7.jpg` apart: what ends in `.tar` before a `/` is the shard. Only the name is
/// looked at, so a folder may be called so too.
/// \return nothing when no part of the name but the last ends in `.tar`
FASTCPP_API std::optional<ShardMember> split_shard(std::string_view name);

/// The names that a pattern stands for (WebDataset, the shell): `train-{0000..0009}.tar` are ten, `{a,b}.tar` two, several
/// braces all their pairs, the last counting fastest. Where an end has a leading 0, numbers are as wide as the wider end. Without
/// braces it stands for itself.
/// \throws ValueError `value.shards` on braces that are open, empty or within each other, on an end before its beginning,
///   and on more than a million names
FASTCPP_API std::vector<std::string> expand_shards(std::string_view pattern);

}  // namespace fastcpp
