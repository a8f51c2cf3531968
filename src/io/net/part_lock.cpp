#include "io/net/part_lock.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <string_view>
#include <system_error>
#include <utility>

#include "fastcpp/core/disk.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"
#include "io/file_access.hpp"
#include "io/net/digest.hpp"

namespace fastcpp::inline v0 {
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

void remove_quietly(const Path& path) noexcept {
  try {
    std::error_code ec;
    std::filesystem::remove_all(path, ec);
  } catch (const std::exception&) {
    // no memory for it
  }
}

Path part_of(const Path& target) {
  constexpr std::string_view kPart = ".part";
  // Of the 255 bytes of a name the longest that is made of this one takes 30 more: `.part.PID.N.info`.
  constexpr std::size_t kLongest = 220, kKept = 100;
  std::string name = target.filename().string();
  if (name.size() > kLongest) name = name.substr(0, kKept) + sha256_text(name);
  return target.parent_path() / name.append(kPart);
}

PartLock::PartLock(const Path& path, Kind kind, const std::stop_token& stop) : path_(path) {
  static std::atomic<unsigned> counter{0};
  bool told = false;
  for (;;) {
    const bool made = open(kind);
    const bool locked = ::flock(fd_, LOCK_EX | LOCK_NB) == 0;
    const int cause = errno;
    if (locked && still_there(fd_, path_)) return;
    if (!locked && cause != EWOULDBLOCK && cause != EINTR) {
      ::close(std::exchange(fd_, -1));
      if (made) remove_quietly(path_);
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
  if (unshared_) remove_quietly(path_);
  if (fd_ >= 0) ::close(fd_);
}

bool PartLock::open(Kind kind) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    bool made = false;
    if (kind == Kind::kFile) {
      fd_ = open_file(path_, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW);
      made = fd_ >= 0;
      if (fd_ < 0 && errno == EEXIST) fd_ = open_file(path_, O_RDWR | O_NOFOLLOW);
    } else {
      made = ::mkdir(path_.c_str(), 0777) == 0;
      if (!made && errno != EEXIST) break;
      fd_ = open_file(path_, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    }
    if (fd_ >= 0) return made;
    // Another process may remove it between the two calls.
    if (errno != ENOENT) break;
  }
  io::cannot_write(path_, errno);
}

}  // namespace fastcpp
