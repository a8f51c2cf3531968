/// \file
/// Own pictures: which are there twice.
#pragma once

#include <cstddef>
#include <optional>
#include <ostream>
#include <stop_token>
#include <string>
#include <vector>

#include "fastcpp/core/path.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/vision/image_fault.hpp"

namespace fastcpp::inline v0 {

/// Arguments of `find_duplicates`.
struct FindDuplicatesOptions {
  int max_workers = 4;  ///< threads, 0..1024; 0 counts as 1
  /// Of the 64 bits of two pictures' hashes so many may differ, 0..32; nothing: only equal bytes are looked for.
  std::optional<int> max_distance = 8;
  bool recurse = true;        ///< of a folder: also in folders below
  bool show_progress = true;  ///< tell `progress_sink()` of the files that are done
  std::stop_token stop = {};  ///< ends the work early, between two files
};

/// Files that show the same.
struct DuplicateGroup {
  std::vector<Path> files;  ///< at least two, sorted by path
  int distance =
      0;  ///< most bits in which a file's hash differs from the first one's; 0 for equal bytes
};

/// What `find_duplicates` found; all lists are sorted by path. A value: copies share nothing. Threads: const calls by
/// any number at once.
struct FASTCPP_API DuplicatesReport {
  std::size_t checked = 0;            ///< files looked at
  std::vector<DuplicateGroup> exact;  ///< files of equal bytes
  std::vector<DuplicateGroup>
      near;  ///< pictures that look alike, not all of equal bytes; a file is in one at most
  std::vector<ImageFault> unreadable;  ///< files that are no pictures or cannot be read
  /// One line with the numbers, then one for each group and each fault.
  std::string str() const;
  friend std::ostream& operator<<(std::ostream& to, const DuplicatesReport& x) {
    return to << x.str();
  }
};

/// Finds files of equal bytes, and pictures that look alike: the same one in another size, format or quality.
///
/// Equal bytes are found by SHA-256, also among files that are no pictures. Pictures look alike when their difference
/// hashes (brighter or darker from left to right, on a grey picture of 9 x 8 pixels) differ in at most `max_distance`
/// bits, and their grey pictures of 32 x 32 pixels correlate by at least 0.98. A near group holds what looks like its
/// first file. Found are copies in another size, format, quality or brightness, not parts of a picture; of very small
/// pictures, such as drawings of 28 x 28, copies in another size are not found. Pictures with hardly any structure, such
/// as those of one colour, look alike to any such hash; of these only equal bytes are found. Colours are not compared.
/// The result does not depend on the number of threads. No file is changed.
/// \param folder pictures with one of `image_extensions()`, hidden ones left out
/// \throws DataError `data.not_a_folder`; ValueError `value.num_workers`, `value.distance`
/// \throws IoError `io.cancelled` (stop token); Error `core.system` where no thread can be started
FASTCPP_API DuplicatesReport find_duplicates(const Path& folder,
                                             const FindDuplicatesOptions& options = {});
/// \param files any files; one that is named twice counts once
FASTCPP_API DuplicatesReport find_duplicates(const std::vector<Path>& files,
                                             const FindDuplicatesOptions& options = {});

}  // namespace fastcpp
