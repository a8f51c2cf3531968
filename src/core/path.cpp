#include "fastcpp/core/path.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fastcpp/core/atomic_writer.hpp"
#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0 {
namespace fs = std::filesystem;
namespace {

// Closes when it goes.
struct Descriptor {
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
  int fd;
};

[[noreturn]] void cannot_read(const Path& file, int cause) {
  throw IoError("io.cannot_read", fmt::format("cannot read '{}': {}", file.string(),
                                              std::generic_category().message(cause)));
}

}  // namespace

std::vector<Path> ls(const Path& folder) {
  return boundary([&] {
    std::error_code ec;
    std::vector<Path> entries;
    for (fs::directory_iterator it(folder, ec), end; !ec && it != end; it.increment(ec)) {
      entries.push_back(it->path());
    }
    if (ec) {
      throw IoError("io.cannot_list",
                    fmt::format("cannot list the folder '{}': {}", folder.string(), ec.message()));
    }
    std::sort(entries.begin(), entries.end());
    return entries;
  });
}

void make_folder(const Path& folder) {
  boundary([&] {
    std::error_code ec;
    if (folder.empty() || fs::is_directory(folder, ec)) return;
    fs::create_directories(folder, ec);
    // Somebody else may have made it at the same moment.
    std::error_code none;
    if (!ec || fs::is_directory(folder, none)) return;
    throw IoError("io.cannot_create",
                  fmt::format("cannot create the folder '{}': {}", folder.string(), ec.message()));
  });
}

std::string read_file(const Path& file) {
  return boundary([&] {
    const Descriptor in{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
    struct stat info {};
    if (in.fd < 0 || ::fstat(in.fd, &info) != 0) cannot_read(file, errno);
    if (S_ISDIR(info.st_mode)) cannot_read(file, EISDIR);
    std::string bytes;
    std::size_t done = 0;
    // One byte more than the file has shows its end; files of the kernel have no size at all.
    for (bytes.resize(static_cast<std::size_t>(info.st_size) + 1);;) {
      const auto got = ::read(in.fd, bytes.data() + done, bytes.size() - done);
      if (got < 0 && errno != EINTR) cannot_read(file, errno);
      if (got == 0) break;
      if (got > 0) done += static_cast<std::size_t>(got);
      if (done == bytes.size()) bytes.resize(2 * done + 4096);
    }
    bytes.resize(done);
    return bytes;
  });
}

bool is_web_address(std::string_view name) {
  return name.starts_with("http://") || name.starts_with("https://");
}

void write_file(const Path& file, std::string_view bytes) {
  AtomicWriter out(file);
  out.write(bytes);
  out.commit();
}

}  // namespace fastcpp
