// A file or folder under construction (`….part`) that one thread of one process at a time may work
// on.
#pragma once

#include <chrono>
#include <stop_token>

#include "fastcpp/core/path.hpp"

namespace fastcpp::inline v0 {

// Where a file or folder is built: beside it, under its name and `.part`, always the same. A name so long that this
// would not fit is cut, and told apart by its digest.
Path part_of(const Path& target);

class PartLock {
 public:
  enum class Kind { kFile, kFolder };

  // Makes `path` if needed and waits until nobody else holds it. When the wait is over, somebody
  // else may have made the final file: look again. Where the file system cannot lock, `path()`
  // becomes a name of our own. Throws IoError io.cannot_write, io.cancelled.
  PartLock(const Path& path, Kind kind, const std::stop_token& stop);
  // A part under a name of our own is removed: nobody would ever find it again.
  ~PartLock();
  PartLock(const PartLock&) = delete;
  PartLock& operator=(const PartLock&) = delete;

  int fd() const { return fd_; }
  const Path& path() const { return path_; }
  // True when no other call will ever find this part again.
  bool unshared() const { return unshared_; }

 private:
  // Whether it was not there before.
  bool open(Kind kind);

  Path path_;
  int fd_ = -1;
  bool unshared_ = false;
};

// Removes a file, or a folder with all it holds; what cannot be removed stays. Never throws.
void remove_quietly(const Path& path) noexcept;

// Sleeps; returns false at once when a stop is asked for.
bool sleep_unless_stopped(std::chrono::milliseconds time, const std::stop_token& stop);

}  // namespace fastcpp
