/// \file
/// Own pictures: a list of addresses fetched into a folder.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <stop_token>
#include <string>
#include <vector>

#include "fastcpp/core/path.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// Arguments of `download_images`; the first three are fastai's, in its order.
struct DownloadImagesOptions {
  int max_pics = 1000;  ///< so many addresses of the list, >= 0
  int max_workers = 8;  ///< fetched at once, 0..1000; below 2: one after another
  std::chrono::milliseconds timeout{4000};     ///< longest time without a connection or a byte, > 0
  std::chrono::milliseconds max_time{300000};  ///< longest time for one attempt, > 0
  int retries = 5;  ///< further attempts after one that failed in a way that may pass, >= 0
  std::int64_t max_bytes = std::int64_t{64} << 20;  ///< refuse a longer file, > 0
  int max_redirects = 10;                           ///< follow so many redirects, >= 0
  std::chrono::milliseconds retry_delay{
      500};                   ///< wait before the first retry; doubles up to 30 s, >= 0
  std::stop_token stop = {};  ///< ends the download early; see `kNotTried`
  bool show_progress = true;  ///< tell `progress_sink()` of the addresses that are done
};

/// What became of an address.
enum class DownloadOutcome {
  kDownloaded,  ///< its picture is in the folder
  kPresent,     ///< its picture came in an earlier run and is still there
  kDuplicate,   ///< the same bytes are there under the name of another address
  kFailed,      ///< there is no picture; see `code` and `message`
  kNotTried     ///< the stop token came first
};

/// One address of a list.
struct DownloadedImage {
  std::string url;  ///< as given
  Path file;        ///< where the picture is (of a duplicate: the other file); else empty
  DownloadOutcome outcome = DownloadOutcome::kFailed;  ///< what became of it
  std::string
      code;  ///< of a failure: `download.…`, `value.url`, `image.cannot_decode`, `image.too_large`
  std::string message;  ///< of a failure: for a person, naming the address
};

/// What `download_images` did. A value: copies share nothing. Threads: const calls by any number at once.
struct FASTCPP_API DownloadImagesReport {
  std::vector<DownloadedImage> images;  ///< one for each address, in the order of the list
  /// How many had this outcome.
  std::size_t count(DownloadOutcome outcome) const;
  /// One line with the numbers, then one for each failure.
  std::string str() const;
  friend std::ostream& operator<<(std::ostream& to, const DownloadImagesReport& x) {
    return to << x.str();
  }
};

/// Fetches pictures into a folder, several at once (fastai: `download_images`).
///
/// The picture of address i, counted from 0, gets the name of i in 8 digits and the first ending of the address, such
/// as `.png`, that stands at its end or before a `?`; else `.jpg`. A file of that name is written over, as in fastai.
/// What arrives must be a picture that can be decoded, whatever the server calls it; error pages and cut files are
/// failures, and nothing is written for them. Bytes that came already are not kept twice: of equal pictures the one of
/// the first address stays. A picture gets its name when it is whole, never before.
///
/// A hidden file `.download_images` in the folder notes what has come from where, so that another run, also after a
/// crash, fetches only what is missing; pictures that were changed since, for example by `verify_images`, count as
/// there, pictures that were deleted as missing. The result does not depend on the number of workers. Each failure is
/// logged as a warning (fastai prints them). Two runs at once must not share a folder.
/// \param urls a text file, one address a line; empty lines are left out, blanks around the whole as well
/// \param dest folder of the pictures; made when missing
/// \throws ValueError `value.download_options`
/// \throws IoError `io.cannot_read` (the list), `io.cannot_create`, `io.cannot_write` (`dest`; what came stays)
FASTCPP_API DownloadImagesReport download_images(const Path& urls, const Path& dest,
                                                 const DownloadImagesOptions& options = {});
/// \param urls the addresses; empty ones fail
FASTCPP_API DownloadImagesReport download_images(const std::vector<std::string>& urls,
                                                 const Path& dest,
                                                 const DownloadImagesOptions& options = {});

/// Fetches one picture (fastai: `download_image`). A file that is there is written over.
/// \param options `max_pics`, `max_workers` and `show_progress` mean nothing here
/// \throws DownloadError `download.…` as `download_url`; ValueError `value.url`, `value.download_options`
/// \throws ImageError `image.cannot_decode`, `image.too_large` when it is no picture
/// \throws IoError `io.cannot_write`, `io.cannot_create`, `io.cancelled`
FASTCPP_API void download_image(const std::string& url, const Path& dest,
                                const DownloadImagesOptions& options = {});

}  // namespace fastcpp
