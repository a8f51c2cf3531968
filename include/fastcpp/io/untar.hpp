/// \file
/// Data sets from the network to a folder.
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>

#include "fastcpp/core/path.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/io/checksum.hpp"
#include "fastcpp/io/download.hpp"

namespace fastcpp::inline v0 {

/// Arguments of `extract_archive`.
struct ExtractArchiveOptions {
  /// When the archive holds a folder of the same name as the target, that folder becomes the
  /// target, instead of lying in it; what lies beside it is left out, with a warning.
  bool unwrap = true;
  /// Refuse an archive that grows beyond this, > 0. Default: 1 GiB + 200 times the archive's own
  /// length.
  std::optional<std::int64_t> max_bytes = std::nullopt;
  std::int64_t max_entries = 20'000'000;  ///< refuse more files and folders than this, > 0
  bool show_progress = true;  ///< tell `progress_sink()` how much of the archive is read
  std::stop_token stop = {};  ///< ends the extraction early
};

/// Extracts a tar (plain, gzip, bzip2, xz) or zip file into a new folder; does nothing when `dest`
/// exists.
///
/// Everything goes to `dest` + `.part` first (a name too long for that is cut), which is flushed to the disk and renamed
/// when the archive was read to its end. Where `dest` is a symbolic link that leads to nothing yet, the link stays and
/// the folder that it names is made. Nothing is ever written outside: absolute names, `..`, names that lead through a
/// link of the archive, links that leave `dest`, and devices make the whole archive be refused. Owners and special
/// permission bits are not restored. Thread-safe: of several threads or processes that extract to the same target, one
/// works, the others wait.
///
/// \param archive file to read; its kind is recognised by its content
/// \param dest    folder to make
/// \return true when the archive was extracted, false when `dest` was there
/// \throws FormatError `archive.damaged`, `archive.unsafe_path`, `archive.unsafe_link`, `archive.unsafe_entry`,
///   `archive.too_large`
/// \throws ValueError `value.extract_options`
/// \throws IoError `io.cannot_read`, `io.cannot_write`, `io.cannot_create` (also when `dest` is a file),
///   `io.cancelled`
FASTCPP_API bool extract_archive(const Path& archive, const Path& dest,
                                 const ExtractArchiveOptions& options = {});

/// Arguments of `untar_data`; the first five are fastai's.
struct UntarDataOptions {
  std::optional<Path> fname = std::nullopt;  ///< path of the archive; default by name in the cache
  std::optional<Path> dest =
      std::nullopt;  ///< folder in which the data set's folder is made; default the cache
  bool data = true;  ///< a data set; false: a model
  bool force_download = false;  ///< forget the archive and the folder, load again
  bool verbose = false;         ///< tell which files are used
  /// Size and MD5 the archive must have; default what `urls::check` knows of the address.
  std::optional<FileCheck> check = std::nullopt;
  DownloadUrlOptions download = {};  ///< time-outs, limits, retries
  /// Limits of the extraction. Its progress is shown when both this and `download` say so; without a stop token of its
  /// own it heeds that of `download`.
  ExtractArchiveOptions extract = {};
};

/// Downloads a data set (or model), checks it, extracts it, and returns its folder (fastai:
/// `untar_data`).
///
/// When the folder is there, nothing is loaded, and only an archive that is there as well is
/// checked: when it is not what the table of `urls` says, a new version exists, and both are
/// replaced, the old ones staying until the new archive has arrived. A data set that is renewed, also by `force_download`,
/// takes twice its space meanwhile: the old folder goes when the new one is whole. The folder is looked for in `<working
/// directory at start>/data` (models: `models`), then in `Config::data_path()` (`Config::model_path()`). Thread-safe.
///
/// \code
/// const Path path = untar_data(urls::PETS);            // ~/.fastai/data/oxford-iiit-pet
/// const Path mine = untar_data("file:///x/flowers");   // from /x/flowers.tgz
/// const Path zip = untar_data("https://host/a.zip");   // ~/.fastai/data/a
/// \endcode
///
/// \param url as for `download_data`
/// \return the data set's folder
/// \throws DownloadError `download.checksum` when the archive has another size or MD5; else as `download_url`
/// \throws FormatError, ValueError, IoError as `extract_archive`
/// \throws FormatError, IoError as `Config::get`
FASTCPP_API Path untar_data(const std::string& url, const UntarDataOptions& options = {});

}  // namespace fastcpp
