#include "io/part_lock.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>

#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"

namespace fastcpp {
namespace {

// The holder may have renamed or removed what we opened while we waited for it.
bool still_there(int fd, const Path& path) {
  struct stat ours {
  }, named{};
  return ::fstat(fd, &ours) == 0 && ::lstat(path.c_str(), &named) == 0 &&
         ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

}  // namespace

bool sleep_unless_stopped(std::chrono::milliseconds time, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  wake.wait_for(lock, stop, time, [] { return false; });
  return !stop.stop_requested();
}

PartLock::PartLock(const Path& path, Kind kind, const std::stop_token& stop) : path_(path) {
  static std::atomic<unsigned> counter{0};
  bool told = false;
  for (;;) {
    open(kind);
    const bool locked = ::flock(fd_, LOCK_EX | LOCK_NB) == 0;
    const int cause = errno;
    if (locked && still_there(fd_, path_)) return;
    if (!locked && cause != EWOULDBLOCK && cause != EINTR) {
      ::close(fd_);
      path_ = fmt::format("{}.{}.{}", path.string(), ::getpid(), ++counter);
      unshared_ = true;
      open(kind);
      return;
    }
    ::close(fd_);
    fd_ = -1;
    if (locked || cause == EINTR) continue;
    if (!told) log_info(fmt::format("Waiting for another download to finish {}", path.string()));
    told = true;
    if (!sleep_unless_stopped(std::chrono::milliseconds(50), stop)) {
      throw IoError("io.cancelled", fmt::format("stopped while waiting for '{}'", path.string()));
    }
  }
}

PartLock::~PartLock() {
  if (fd_ >= 0) ::close(fd_);
}

void PartLock::open(Kind kind) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    if (kind == Kind::kFile) {
      fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    } else {
      if (::mkdir(path_.c_str(), 0777) != 0 && errno != EEXIST) break;
      fd_ = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    }
    // Another process may remove the folder between the two calls.
    if (fd_ >= 0) return;
    if (errno != ENOENT || kind == Kind::kFile) break;
  }
  throw IoError("io.cannot_write", fmt::format("cannot write '{}': {}; is the folder writable?",
                                               path_.string(), std::strerror(errno)));
}

}  // namespace fastcpp
