#include "fastcpp/core/atomic_writer.hpp"

#include <fmt/format.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/disk.hpp"
#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0 {

AtomicWriter::AtomicWriter(const Path& file) : name_(file) {
  boundary([&] { open(); });
}

void AtomicWriter::open() {
  struct stat info {};
  const bool exists = ::stat(name_.c_str(), &info) == 0;
  if (exists && S_ISDIR(info.st_mode)) fail(EISDIR);
  if (exists && !S_ISREG(info.st_mode)) {
    if ((fd_ = open_file(name_, O_WRONLY)) < 0) fail(errno);
    return;
  }
  target_ = follow_links(name_);
  if (target_.empty()) fail(name_.empty() ? ENOENT : errno);
  if (!target_.has_filename()) fail(EISDIR);
  make_folder(target_.parent_path());
  static std::atomic<unsigned> counter{0};
  // A name may be as long as the file system allows; its sibling's must not be longer.
  const auto stem = target_.filename().string().substr(0, 100);
  do {
    part_ = target_.parent_path() / fmt::format("{}.{}.{}.part", stem, ::getpid(), ++counter);
    fd_ = open_file(part_, O_WRONLY | O_CREAT | O_EXCL);
  } while (fd_ < 0 && errno == EEXIST);
  if (fd_ < 0) {
    const int cause = errno;
    part_.clear();
    fail(cause);
  }
  if (exists) static_cast<void>(::fchmod(fd_, info.st_mode & 07777));
}

AtomicWriter::~AtomicWriter() {
  if (fd_ >= 0) ::close(fd_);
  if (!part_.empty()) ::unlink(part_.c_str());
}

void AtomicWriter::fail(int cause) const {
  throw IoError("io.cannot_write",
                fmt::format("cannot write '{}': {}; is the folder writable and "
                            "is there space left?",
                            name_.string(), std::generic_category().message(cause)));
}

void AtomicWriter::write(const void* from, std::size_t count) {
  const auto* place = static_cast<const char*>(from);
  while (count > 0) {
    const auto done = ::write(fd_, place, count);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) boundary([&] { fail(done < 0 ? errno : ENOSPC); });
    place += done;
    position_ += static_cast<std::uint64_t>(done);
    count -= static_cast<std::size_t>(done);
  }
}

void AtomicWriter::commit() {
  boundary([&] {
    if (!flush_file(fd_)) fail(errno);
    const int fd = fd_;
    fd_ = -1;
    // Some file systems tell of a full disk only here.
    if (::close(fd) != 0 && errno != EINTR) fail(errno);
    if (part_.empty()) return;
    if (std::rename(part_.c_str(), target_.c_str()) != 0) fail(errno);
    part_.clear();
    flush_folder(target_.parent_path());
  });
}

}  // namespace fastcpp
