/// \file
/// Fetching many files of moderate size at once.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// Arguments of `fetch_all`.
struct FetchOptions {
  int max_workers = 8;  ///< addresses fetched at once, 1..1000; one thread serves them all
  std::chrono::milliseconds timeout{4000};  ///< longest time without a connection or a byte, > 0
  std::chrono::milliseconds max_time{
      300000};      ///< longest time for one attempt, > 0: a server may trickle for ever
  int retries = 5;  ///< further attempts after one that failed in a way that may pass, >= 0
  std::int64_t max_bytes = std::int64_t{64} << 20;  ///< refuse a longer file, > 0
  int max_redirects = 10;                           ///< follow so many redirects, >= 0
  std::chrono::milliseconds retry_delay{
      500};                   ///< wait before the first retry; doubles up to 30 s, >= 0
  std::stop_token stop = {};  ///< ends the fetching early
};

/// What became of one address.
struct FetchResult {
  std::string url;   ///< the address without user name and password, for messages
  std::string body;  ///< the content; empty when it did not arrive
  std::string code;  ///< empty, or the error code: `download.…` as of `download_url`, `value.url`
  std::string message;  ///< empty, or what went wrong with which address, for a person
  int attempts = 0;     ///< requests made
};

/// Fetches addresses, several at once, each into memory.
///
/// One failure does not stop the others. Attempts that failed in a way that may pass are made again later, meanwhile
/// others have their turn. A status other than 200 is a failure. Proxies, certificates and redirects are treated as by
/// `download_url`. Blanks around an address are left out, blanks and other than ASCII letters in it are escaped.
/// Holds at most `max_workers * max_bytes` bytes. Thread-safe.
/// \param urls `http://` or `https://`; others fail with `value.url`
/// \param done called once for each address, in the order in which they finish, from the calling thread; what it throws
///             ends the fetching and leaves this function
/// \throws ValueError `value.download_options`
/// \throws IoError `io.cancelled` (stop token)
/// \throws DownloadError `download.failed` where libcurl cannot start; MemoryError `train.out_of_memory`
FASTCPP_API void fetch_all(const std::vector<std::string>& urls, const FetchOptions& options,
                           const std::function<void(std::size_t index, FetchResult result)>& done);

}  // namespace fastcpp
