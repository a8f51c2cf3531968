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
#include "fastcpp/core/error.hpp"

namespace fastcpp {
namespace {

// Never 0, 1 or 2: in a program that has closed its standard output, what is printed would land in the file.
int open_file(const Path& file, int flags) {
  const int fd = ::open(file.c_str(), flags | O_WRONLY | O_CLOEXEC, 0666);
  if (fd < 0 || fd > STDERR_FILENO) return fd;
  const int higher = ::fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  const int cause = errno;
  ::close(fd);
  errno = cause;
  return higher;
}

// Where a symbolic link leads, also when nothing is there yet.
Path followed(Path file) {
  for (int links = 0; links < 40; ++links) {
    std::error_code none;
    const Path next = std::filesystem::read_symlink(file, none);
    if (none) return file;
    file = file.parent_path() / next;
  }
  errno = ELOOP;
  return {};
}

// Devices and some network file systems cannot flush; there is nothing to do about that.
bool flushed(int fd) {
  while (::fsync(fd) != 0) {
    if (errno == EINVAL || errno == ENOTSUP || errno == EROFS) return true;
    if (errno != EINTR) return false;
  }
  return true;
}

// So that the new name survives a power failure too. The file is whole either way.
void flush_folder(const Path& folder) {
  const int fd = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  flushed(fd);
  ::close(fd);
}

}  // namespace

AtomicWriter::AtomicWriter(const Path& file) : name_(file) {
  boundary([&] { open(); });
}

void AtomicWriter::open() {
  struct stat info {};
  const bool exists = ::stat(name_.c_str(), &info) == 0;
  if (exists && S_ISDIR(info.st_mode)) fail(EISDIR);
  if (exists && !S_ISREG(info.st_mode)) {
    if ((fd_ = open_file(name_, 0)) < 0) fail(errno);
    return;
  }
  target_ = followed(name_);
  if (target_.empty()) fail(name_.empty() ? ENOENT : errno);
  if (!target_.has_filename()) fail(EISDIR);
  make_folder(target_.parent_path());
  static std::atomic<unsigned> counter{0};
  // A name may be as long as the file system allows; its sibling's must not be longer.
  const auto stem = target_.filename().string().substr(0, 100);
  do {
    part_ = target_.parent_path() / fmt::format("{}.{}.{}.part", stem, ::getpid(), ++counter);
    fd_ = open_file(part_, O_CREAT | O_EXCL);
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
    if (done < 0) boundary([&] { fail(errno); });
    place += done;
    position_ += static_cast<std::uint64_t>(done);
    count -= static_cast<std::size_t>(done);
  }
}

void AtomicWriter::commit() {
  boundary([&] {
    if (!flushed(fd_)) fail(errno);
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
