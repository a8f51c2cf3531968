#include "fastcpp/core/disk.hpp"

#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

namespace fastcpp::inline v0 {

Path follow_links(Path file) {
  for (int links = 0; links < 40; ++links) {
    std::error_code none;
    const Path next = std::filesystem::read_symlink(file, none);
    if (none) return file;
    file = file.parent_path() / next;
  }
  errno = ELOOP;
  return {};
}

int above_streams(int fd) {
  if (fd < 0 || fd > STDERR_FILENO) return fd;
  const int higher = ::fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  const int cause = errno;
  ::close(fd);
  errno = cause;
  return higher;
}

int open_file(const Path& file, int flags, unsigned mode) {
  return above_streams(::open(file.c_str(), flags | O_CLOEXEC, mode));
}

bool flush_file(int fd) {
  while (::fsync(fd) != 0) {
    // Devices and some network file systems cannot flush; there is nothing to do about that.
    if (errno == EINVAL || errno == ENOTSUP || errno == EROFS) return true;
    if (errno != EINTR) return false;
  }
  return true;
}

void flush_folder(const Path& folder) {
  const int fd = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  flush_file(fd);
  ::close(fd);
}

}  // namespace fastcpp
