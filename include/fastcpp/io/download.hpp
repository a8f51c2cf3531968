/// \file
/// Downloading files: bounded in time, size and attempts, resumable, and never half under the final
/// name.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>

#include "fastcpp/core/path.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// Arguments of `download_url`; the first four are fastai's.
struct DownloadUrlOptions {
  bool overwrite = false;                   ///< load again although the file is there
  bool show_progress = true;                ///< tell `progress_sink()` of the bytes that arrive
  std::chrono::milliseconds timeout{4000};  ///< longest wait for a connection, > 0
  /// Further attempts after one that failed in a way that may pass (>= 0). An attempt that brought
  /// at least one more MiB does not count, so a long download survives many cuts.
  int retries = 5;
  std::int64_t max_bytes = std::int64_t{64} << 30;  ///< refuse a longer file, > 0
  int max_redirects = 10;                           ///< follow so many redirects, >= 0
  std::chrono::milliseconds stall_timeout{20000};   ///< longest time without a byte, > 0
  /// Wait before the first retry; doubles up to 30 s, >= 0.
  std::chrono::milliseconds retry_delay{500};
  /// Length the file must have; a server that announces another is refused at once.
  std::optional<std::int64_t> expected_size = std::nullopt;
  /// First hex digits, in lower case, of the SHA-256 the file must have; empty: not checked.
  std::string sha256_prefix = {};
  std::stop_token stop = {};  ///< ends the download early
};

/// Downloads one file (fastai: `download_url`); does nothing when `dest` exists and `overwrite` is
/// false.
///
/// The bytes go to `dest` + `.part` (a name too long for that is cut), which is flushed to the disk and renamed when
/// everything has arrived and fits. Where `dest` is a symbolic link, the link stays and the file that it names is made.
/// A file that is replaced hands its access rights on. A download that was cut is resumed, by this or by a later call, when the server gives an ETag or a
/// date by which the file can be recognised (kept in `dest` + `.part.info`); otherwise it begins
/// anew. Thread-safe: of several threads or processes that ask for the same file, one loads, the others wait.
/// Proxies are taken from the usual environment variables (`https_proxy`, …), trusted certificates
/// from `CURL_CA_BUNDLE` or `SSL_CERT_FILE` when set. An address with https is never redirected to
/// one without.
///
/// \param url  `http://`, `https://` or `file://` (copied)
/// \param dest file to make; its folder is made when missing
/// \throws DownloadError
///   `download.offline` (no connection), `download.timeout`, `download.incomplete` (cut),
///   `download.http_status`, `download.redirect` (too many, or to a forbidden kind of address),
///   `download.too_large`, `download.checksum` (size or SHA-256), `download.tls`,
///   `download.failed` (anything else)
/// \throws ValueError `value.url`, `value.download_options`
/// \throws IoError `io.cannot_write` (also when `dest` is no regular file), `io.cannot_create`, `io.cannot_read`
///   (`file://`), `io.cancelled` (stop token)
/// \throws MemoryError `train.out_of_memory`
FASTCPP_API void download_url(const std::string& url, const Path& dest,
                              const DownloadUrlOptions& options = {});

/// Arguments of `download_data`.
struct DownloadDataOptions {
  std::optional<Path> fname =
      std::nullopt;                  ///< where to put the archive; default by name in the cache
  bool data = true;                  ///< a data set; false: a model
  std::string ext = ".tgz";          ///< extension that is added to the address
  DownloadUrlOptions download = {};  ///< time-outs, limits, retries
};

/// Downloads the archive of a data set or model, unless it is there (fastai: `download_data`). Thread-safe.
///
/// The archive's name is the last part of the address. It is looked for in `<working directory at
/// start>/data` (models: `models`), then in `Config::data_archive_path()` (`Config::model_path()`).
/// An address that already ends in an archive's extension (`.tgz`, `.tar.gz`, `.tar`, `.tar.bz2`,
/// `.tar.xz`, `.zip`) is taken as it is. A `file://` archive is used where it lies, unless `fname`
/// is given.
///
/// \param url one of `urls::…`, or any other address without extension
/// \return path of the archive
/// \throws DownloadError, IoError, ValueError as `download_url`
/// \throws FormatError, IoError as `Config::get`
FASTCPP_API Path download_data(const std::string& url, const DownloadDataOptions& options = {});

}  // namespace fastcpp
