/// \file
/// Finding the files of a data set.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "fastcpp/core/path.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// How `get_files` walks (fastai: the arguments of `get_files`).
struct GetFilesOptions {
  std::vector<std::string> extensions = {};  ///< with the dot, any case; empty takes every file
  bool recurse = false;                      ///< descend into folders
  /// Folders below the top left out; all others count then, hidden ones too, as in fastai
  std::vector<std::string> exclude = {};
  std::vector<std::string> include = {};  ///< if given, only these folders below the top
  bool presort = false;      ///< sort with `/` read as `.` (fastai's presort) instead of by path
  bool followlinks = false;  ///< descend into linked folders
};

/// Files below a folder; hidden files and folders, and what is no regular file, are left out (fastai: `get_files`).
///
/// fastai returns them as the file system lists them; here they are always sorted, so that a seeded split means the same on
/// every machine. A folder below that cannot be listed is left out with a warning.
/// \throws DataError `data.not_a_folder` when `path` itself is none or cannot be listed
FASTCPP_API std::vector<Path> get_files(const Path& path, const GetFilesOptions& options = {});

/// How `get_image_files` walks.
struct GetImageFilesOptions {
  bool check_ext = true;     ///< keep only known picture extensions
  bool recurse = false;      ///< descend into folders
  bool followlinks = false;  ///< descend into linked folders
};

/// Picture files in a folder, sorted by path (fastai: `get_image_files`).
/// \throws DataError `data.not_a_folder`
FASTCPP_API std::vector<Path> get_image_files(const Path& folder,
                                              const GetImageFilesOptions& options = {});

/// The extensions taken for pictures, with the dot, in lower case: those of fastai's `image_extensions` that can be read,
/// and `.webp`.
FASTCPP_API const std::vector<std::string>& image_extensions();

/// Names of the visible folders inside a folder, sorted (fastai: `find_classes`).
/// \throws DataError `data.no_classes` when there is none
FASTCPP_API std::vector<std::string> find_classes(const Path& folder);

/// A file as it is named below a folder, with `/`; as it is where it does not lie there by the names alone, or
/// is an address (`http://`, `https://`).
FASTCPP_API std::string relative_below(const Path& file, const Path& folder);

/// A folder below another, however it is written, and which files lie in it. A value: a copy shares nothing. Used from one
/// thread at a time, because it remembers the folders of files that it was asked about.
class FASTCPP_API SubFolder {
 public:
  /// \param top    where a relative folder starts
  /// \param folder `train/`, `./train`, nested, or absolute; it need not be there
  /// \throws MemoryError `train.out_of_memory`
  SubFolder(const Path& top, const Path& folder);
  /// The folder in one form: without `.`, `..` and a `/` at the end.
  const Path& path() const { return path_; }
  /// Whether a file lies in it by the names alone; the file system is not asked.
  bool holds_as_written(const Path& file) const;
  /// Whether a file lies in it, relative or through links as both may be written.
  /// \throws MemoryError `train.out_of_memory`
  bool holds(const Path& file);

 private:
  Path path_, real_;
  std::unordered_map<std::string, bool> known_;  // by folder: most files share theirs
};

}  // namespace fastcpp
