// What the tests of the room "io" share.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "fastcpp/io/download.hpp"
#include "support/environment.hpp"
#include "support/http_server.hpp"
#include "support/support.hpp"

namespace fastcpp::test {

// Options that do not wait, with three retries.
inline DownloadUrlOptions fast() {
  // The loopback interface is not reached through anybody's proxy.
  static const ScopedEnv no_proxy("no_proxy", "127.0.0.1");
  using std::chrono::milliseconds;
  return {.show_progress = true,
          .timeout = milliseconds(5000),
          .retries = 3,
          .stall_timeout = milliseconds(5000),
          .retry_delay = milliseconds(1)};
}

// Long enough for several writes of libcurl, and different everywhere.
inline std::string content(std::size_t size = 300'000, unsigned seed = 1) {
  std::string bytes(size, '\0');
  std::uint64_t state = seed;
  for (char& byte : bytes) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    byte = static_cast<char>(state >> 56);
  }
  return bytes;
}

}  // namespace fastcpp::test
