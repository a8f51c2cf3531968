/// \file
/// Own pictures: those that cannot be read found or deleted, those that are too large made smaller.
#pragma once

#include <cstddef>
#include <optional>
#include <ostream>
#include <stop_token>
#include <string>
#include <vector>

#include "fastcpp/core/path.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/vision/image/image.hpp"
#include "fastcpp/vision/image_fault.hpp"

namespace fastcpp::inline v0 {

/// Arguments of `resize_to`.
struct ResizeToOptions {
  bool use_min = false;  ///< the shorter side, not the longer one, becomes the target
};

/// The size of a picture whose longer side becomes `targ_sz`, its shape kept (fastai: `resize_to`).
///
/// Each side is cut to whole pixels, as in fastai, so that the target may be missed by one; it is never below 1.
/// \param size    rows and columns now, each > 0
/// \param targ_sz pixels of the side that decides, > 0
/// \throws ValueError `value.size`
FASTCPP_API Resolution resize_to(Resolution size, int targ_sz, const ResizeToOptions& options = {});

/// How pixels are combined when a picture is scaled (Pillow's `resample`). When it becomes smaller, all but kNearest
/// take every pixel into account.
enum class ResampleFilter { kNearest, kBox, kBilinear, kBicubic, kLanczos };

/// File formats that can be written.
enum class ImageFormat { kJpeg, kPng, kWebp, kBmp, kTiff };

/// Arguments of `verify_images`; up to `resume` fastai's, in its order.
struct VerifyImagesOptions {
  bool delete_bad = true;  ///< fastai: `delete`; false: only tell
  int max_workers = 4;     ///< threads, 0..1024; 0 counts as 1
  std::optional<int> max_size =
      std::nullopt;      ///< longest side in pixels, > 0; larger pictures are made smaller
  bool recurse = false;  ///< also in folders below
  Path dest = ".";       ///< where copies go: below the folder, or absolute; made when missing
  int n_channels = 3;    ///< wanted channels, 1..4; 3 converts to RGB, others convert nothing
  ResampleFilter interp = ResampleFilter::kBilinear;  ///< how copies are scaled
  std::optional<std::string> ext =
      std::nullopt;  ///< extension of copies, with the dot; default: the old one
  std::optional<ImageFormat> img_format =
      std::nullopt;     ///< format of copies; default: by their extension
  bool resume = false;  ///< leave a copy alone that is there, whatever it holds
  std::optional<int> quality =
      std::nullopt;           ///< of JPEG (default 75) and WebP (default 80), 1..100
  bool show_progress = true;  ///< tell `progress_sink()` of the files that are done
  std::stop_token stop = {};  ///< ends the work early, between two files; see `stopped`
};

/// What `verify_images` did; all lists are sorted by path. A value: copies share nothing. Threads: const calls by any
/// number at once.
struct FASTCPP_API VerifyImagesReport {
  std::size_t checked = 0;       ///< pictures looked at
  std::vector<Path> written;     ///< copies, or originals that were written over
  std::vector<Path> deleted;     ///< files that cannot be read and are gone
  std::vector<ImageFault> said;  ///< one entry for each file that something is wrong with
  bool stopped = false;          ///< the stop token has left the rest of the files alone
  /// One line with the numbers, then one for each fault.
  std::string str() const;
  friend std::ostream& operator<<(std::ostream& to, const VerifyImagesReport& x) {
    return to << x.str();
  }
};

/// Reads every picture of a folder completely; deletes those that cannot be read, makes smaller what is too large,
/// converts what has the wrong channels (fastai: `verify_images`).
///
/// Pictures are files with one of `image_extensions()`, hidden ones left out. Only a file whose *content* is at fault
/// is deleted: never one that may not be read, or whose copy cannot be written. More than 89'478'485 pixels count as
/// such a fault, as in fastai. A JPEG whose Exif data are damaged (`image.damaged_exif`) is no such file: with
/// `delete_bad` it is written anew without them, and every pixel stays.
///
/// A copy is written when a side exceeds `max_size`, or when the number of channels (grey, palette: 1, grey with
/// alpha: 2, RGBA, CMYK: 4) is not `n_channels`. It is scaled by `resize_to` to `max_size`, small pictures too; goes
/// to `dest`, below the same sub-folder, under the same name with `ext`; by default over the original, which keeps its
/// name until the copy is whole. A copy that would change no pixel and no format is a copy of the bytes. A copy that
/// would take the name of another picture is not written, but told. Converted pictures are what `decode_image` gives;
/// with other channels than 3, CMYK and palettes that are scaled become RGB all the same. Exif orientation is not
/// applied. The result does not depend on the number of threads.
///
/// Each fault is also logged as a warning. A stop token ends the work between two files; the report tells what was done.
/// \throws DataError `data.not_a_folder`
/// \throws ValueError `value.size` (max_size), `value.num_workers`, `value.verify_images` (n_channels, ext, quality)
/// \throws IoError `io.cannot_create` (`dest`)
/// \throws Error `core.system` where no thread can be started
FASTCPP_API VerifyImagesReport verify_images(const Path& path,
                                             const VerifyImagesOptions& options = {});

/// The same for one file, whatever its extension (fastai: `verify_image`); `dest` is below its folder.
/// \throws as `verify_images`
FASTCPP_API VerifyImagesReport verify_image(const Path& file,
                                            const VerifyImagesOptions& options = {});

}  // namespace fastcpp
