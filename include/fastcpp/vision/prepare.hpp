/// \file
/// Prepared pictures: made small once and kept in one file, so that later epochs hardly decode.
///
///     data.prepare("pets224.pack", {.short_side = 256, .quality = 90});
///     auto fast = ImageList::from_pack("pets224.pack").split_from_df("is_valid").label_from_df("label");
#pragma once

#include <cstdint>
#include <optional>
#include <ostream>
#include <stop_token>
#include <string>
#include <vector>

#include "fastcpp/core/path.hpp"
#include "fastcpp/core/threads.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/vision/image_fault.hpp"

namespace fastcpp::inline v0 {

/// Arguments of `ImageDataBunch::prepare` and `ImageList::prepare`.
struct PrepareOptions {
  /// Pixels, > 0, that the shorter side of a larger picture gets; the longer one keeps the shape, rounded to the nearest
  /// pixel. No picture is made larger. Absent: all stay as large as they are. A little more than the training's size leaves
  /// zooms and crops something to choose from
  std::optional<int> short_side = 256;
  /// 1..100: pictures are kept as JPEG of this quality, and a JPEG that need not be made smaller as it is. Absent: as raw
  /// pixels, 3 bytes each, which are not decoded at all and are the very pixels that they were
  std::optional<int> quality = {};
  int max_workers = default_workers();  ///< threads, 0..1024; 0 counts as 1
  bool skip_bad =
      false;  ///< leave out pictures that cannot be read, with a warning each, instead of ending
  bool show_progress = true;  ///< tell `progress_sink()` of the pictures that are done
  std::stop_token stop = {};  ///< ends the work with `io.cancelled`; no file is written then
};

/// What `prepare` wrote. A value: copies share nothing. Threads: const calls by any number at once.
struct FASTCPP_API PrepareReport {
  Path file;                  ///< the pack
  std::int64_t pictures = 0;  ///< in it
  std::uint64_t bytes = 0;    ///< of the file
  std::vector<ImageFault>
      left_out;  ///< pictures that could not be read (`skip_bad`), in their order
  /// `pets224.pack: 370 pictures, 9.1 MB`, then a line for each that was left out.
  std::string str() const;
  friend std::ostream& operator<<(std::ostream& to, const PrepareReport& x) {
    return to << x.str();
  }
};

}  // namespace fastcpp
