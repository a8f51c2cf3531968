// A file or folder under construction (`….part`) that one thread of one process at a time may work
// on.
#pragma once

#include <chrono>
#include <stop_token>

#include "fastcpp/core/path.hpp"

namespace fastcpp {

class PartLock {
 public:
  enum class Kind { kFile, kFolder };

  // Makes `path` if needed and waits until nobody else holds it. When the wait is over, somebody
  // else may have made the final file: look again. Where the file system cannot lock, `path()`
  // becomes a name of our own. Throws IoError io.cannot_write, io.cancelled.
  PartLock(const Path& path, Kind kind, const std::stop_token& stop);
  ~PartLock();
  PartLock(const PartLock&) = delete;
  PartLock& operator=(const PartLock&) = delete;

  int fd() const { return fd_; }
  const Path& path() const { return path_; }
  // True when no other call will ever find this part again.
  bool unshared() const { return unshared_; }

 private:
  void open(Kind kind);

  Path path_;
  int fd_ = -1;
  bool unshared_ = false;
};

// Sleeps; returns false at once when a stop is asked for.
bool sleep_unless_stopped(std::chrono::milliseconds time, const std::stop_token& stop);

}  // namespace fastcpp
