// Systems that fail: what the tests of downloads and archives pretend, and what they share.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "fastcpp/core/path.hpp"
#include "support/http_server.hpp"

namespace fastcpp::test {

// What some calls of the system and of libcurl do instead of their work (failing_support.cpp).
struct Faults {
  bool no_locks = false;     // flock is not offered
  bool full = false;         // write and pwrite take nothing
  bool busy = false;         // nothing can be removed
  bool no_start = false;     // libcurl cannot be made ready
  bool no_list = false;      // libcurl has no memory for a header
  bool no_transfer = false;  // libcurl takes no transfer
  bool no_wait = false;      // libcurl cannot wait
  bool no_flush = false;     // the disk fails when it is flushed
  int kill_at = 0;           // the process is killed in the place of its n-th change to the disk
  std::vector<std::string> done = {};  // flushes and renames, in order
};

// The faults hold for the life of the object; one at a time.
struct ScopedFaults : Faults {
  explicit ScopedFaults(const Faults& wanted = {});
  ~ScopedFaults();
  ScopedFaults(const ScopedFaults&) = delete;
  ScopedFaults& operator=(const ScopedFaults&) = delete;
};

// A server in a process of its own, with streams of its own: a child may be forked beside it, and killed.
struct OtherServer {
  explicit OtherServer(const HttpServer::Handler& handler);
  ~OtherServer();
  OtherServer(const OtherServer&) = delete;
  OtherServer& operator=(const OtherServer&) = delete;
  std::string url;  // of /a
  pid_t process = -1;
};

// Whether this process has made libcurl ready.
bool curl_is_ready();

// A tar file of one file, `NAME/a`.
void pack(const Path& file, const std::string& name, const std::string& bytes = "one");

// One of several files, below NAME.
void pack(const Path& file, const std::string& name,
          const std::vector<std::pair<std::string, std::string>>& files);

inline bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

inline std::string file_url(const Path& file) {
  return "file://" + file.string();
}

}  // namespace fastcpp::test
