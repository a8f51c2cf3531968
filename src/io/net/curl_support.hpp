// What every use of libcurl here shares.
#pragma once

#include <curl/curl.h>

#include <chrono>
#include <memory>
#include <new>
#include <string>
#include <string_view>

#include "io/net/http_transfer.hpp"

namespace fastcpp::inline v0 {

struct FreeEasy {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct FreeMulti {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};

// Once for the process, before anything else of libcurl. Throws DownloadError download.failed.
void start_curl();

// Throws DownloadError download.failed: what libcurl is too old for, or built without.
[[noreturn]] void option_refused(CURLoption option, CURLcode code);

template <typename T>
void set_option(CURL* easy, CURLoption option, T value) {
  const CURLcode code = curl_easy_setopt(easy, option, value);
  if (code == CURLE_OK) return;
  if (code == CURLE_OUT_OF_MEMORY) throw std::bad_alloc();
  option_refused(option, code);
}

// Address, allowed protocols and redirects, time for the connection, certificates, sockets.
void set_request(CURL* easy, const std::string& url, std::chrono::milliseconds timeout,
                 int max_redirects);

// A status that may be another one a little later.
bool passing_status(long status);

// What a failure of libcurl means; `text` is what it says itself.
TransferFailure failure_of(CURLcode code, const std::string& text, int max_redirects);

}  // namespace fastcpp
