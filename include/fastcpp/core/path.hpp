/// \file
/// File-system paths, as `pathlib` is used in fastai.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// A file or a folder (fastai: `pathlib.Path`).
using Path = std::filesystem::path;

/// The entries of a folder, sorted by name (fastai: `path.ls()`).
/// \throws IoError `io.cannot_list` when `folder` is not a readable folder
FASTCPP_API std::vector<Path> ls(const Path& folder);

/// Writes a file so that a reader, a crash or a power failure meets the old content or the new, never a half (see
/// AtomicWriter). Missing parent folders are made; where `file` is a symbolic link, the file that it names is written.
/// \throws IoError `io.cannot_write`, `io.cannot_create`
FASTCPP_API void write_file(const Path& file, std::string_view bytes);

/// The whole content of a file.
/// \throws IoError `io.cannot_read`; MemoryError `train.out_of_memory` when it does not fit in memory
FASTCPP_API std::string read_file(const Path& file);

/// Makes a folder and its parents; does nothing when it is there.
/// \throws IoError `io.cannot_create`
FASTCPP_API void make_folder(const Path& folder);

/// Whether a name is an address behind `http://` or `https://` and not the path of a file. Thread-safe.
FASTCPP_API bool is_web_address(std::string_view name);

}  // namespace fastcpp
