#include "io/net/curl_support.hpp"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <mutex>

#include "fastcpp/core/disk.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/version.hpp"

namespace fastcpp::inline v0 {
namespace {

// In a program that has closed its standard output, what is printed must not go to the server.
curl_socket_t open_socket(void*, curlsocktype, curl_sockaddr* address) {
  const int fd = ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  return fd < 0 ? CURL_SOCKET_BAD : above_streams(fd);
}

bool begins_with_https(std::string_view url) {
  constexpr std::string_view kHttps = "https:";
  return url.size() >= kHttps.size() &&
         std::equal(kHttps.begin(), kHttps.end(), url.begin(), [](char small, char c) {
           return c == small || (c >= 'A' && c <= 'Z' && c - 'A' + 'a' == small);
         });
}

}  // namespace

void start_curl() {
  static std::once_flag once;
  // What throws is tried again by the next call.
  std::call_once(once, [] {
    const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (code == CURLE_OK) return;
    throw DownloadError(
        "download.failed",
        fmt::format("libcurl cannot start: {}; check how it and its TLS library are installed",
                    curl_easy_strerror(code)));
  });
}

void option_refused(CURLoption option, CURLcode code) {
  throw DownloadError(
      "download.failed",
      fmt::format("libcurl does not take option {}: {}; fastcpp needs libcurl 7.85 or later with "
                  "HTTP and HTTPS",
                  static_cast<int>(option), curl_easy_strerror(code)));
}

void set_request(CURL* easy, const std::string& url, std::chrono::milliseconds timeout,
                 int max_redirects) {
  set_option(easy, CURLOPT_URL, url.c_str());
  set_option(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  // A redirect must not take away the protection that the caller asked for.
  set_option(easy, CURLOPT_REDIR_PROTOCOLS_STR, begins_with_https(url) ? "https" : "http,https");
  set_option(easy, CURLOPT_FOLLOWLOCATION, 1L);
  set_option(easy, CURLOPT_MAXREDIRS, static_cast<long>(max_redirects));
  set_option(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(timeout.count()));
  set_option(easy, CURLOPT_NOSIGNAL, 1L);
  set_option(easy, CURLOPT_USERAGENT,
             fmt::format("Mozilla/5.0 (X11; Linux x86_64) fastcpp/{}.{}", FASTCPP_VERSION_MAJOR,
                         FASTCPP_VERSION_MINOR)
                 .c_str());
  set_option(easy, CURLOPT_OPENSOCKETFUNCTION, &open_socket);
  for (const char* name : {"CURL_CA_BUNDLE", "SSL_CERT_FILE"}) {
    const char* file = std::getenv(name);
    if (file && *file) {
      set_option(easy, CURLOPT_CAINFO, file);
      break;
    }
  }
}

bool passing_status(long status) {
  constexpr long kPassing[] = {408, 425, 429, 500, 502, 503, 504};
  return std::find(std::begin(kPassing), std::end(kPassing), status) != std::end(kPassing);
}

TransferFailure failure_of(CURLcode code, const std::string& text, int max_redirects) {
  switch (code) {
    case CURLE_OUT_OF_MEMORY:
      throw std::bad_alloc();
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return {"download.offline", text, Retry::kOnce};
    case CURLE_COULDNT_CONNECT:
      return {"download.offline", text};
    case CURLE_OPERATION_TIMEDOUT:
      return {"download.timeout", text};
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
      return {"download.incomplete", text};
    case CURLE_TOO_MANY_REDIRECTS:
      return {"download.redirect", fmt::format("more than {} redirects", max_redirects),
              Retry::kNo};
    case CURLE_UNSUPPORTED_PROTOCOL:
      return {"download.redirect", "it redirects to a kind of address that is not allowed: " + text,
              Retry::kNo};
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
      return {"download.tls", text, Retry::kNo};
    case CURLE_SSL_CONNECT_ERROR:
      return {"download.tls", text};
    case CURLE_URL_MALFORMAT:
      return {"download.failed", text, Retry::kNo};
    default:
      return {"download.failed", text};
  }
}

}  // namespace fastcpp
