#include "fastcpp/core/path.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>

#include <unistd.h>

#include "fastcpp/core/error.hpp"

namespace fastcpp {
namespace fs = std::filesystem;

std::vector<Path> ls(const Path& folder) {
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
}

void make_folder(const Path& folder) {
  std::error_code ec;
  if (folder.empty() || fs::is_directory(folder, ec)) return;
  fs::create_directories(folder, ec);
  if (ec) {
    throw IoError("io.cannot_create",
                  fmt::format("cannot create the folder '{}': {}", folder.string(), ec.message()));
  }
}

std::string read_file(const Path& file) {
  errno = 0;
  std::ifstream in(file, std::ios::binary);
  std::error_code ec;
  if (!in || fs::is_directory(file, ec)) {
    throw IoError("io.cannot_read", fmt::format("cannot read '{}': {}", file.string(),
                                                errno ? std::strerror(errno) : "not a file"));
  }
  std::string bytes;
  const auto size = fs::file_size(file, ec);
  if (!ec && size > 0) {
    bytes.resize(size);
    in.read(bytes.data(), static_cast<std::streamsize>(size));
    bytes.resize(static_cast<std::size_t>(in.gcount()));
  } else {
    bytes.assign(std::istreambuf_iterator<char>(in), {});
  }
  if (in.bad()) {
    throw IoError("io.cannot_read", fmt::format("reading '{}' failed", file.string()));
  }
  return bytes;
}

void write_file(const Path& file, std::string_view bytes) {
  static std::atomic<unsigned> counter{0};
  make_folder(file.parent_path());
  const Path part = fmt::format("{}.{}.{}.part", file.string(), ::getpid(), ++counter);
  errno = 0;
  std::ofstream out(part, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  std::error_code ec;
  if (out) fs::rename(part, file, ec);
  if (!out || ec) {
    const std::string cause = ec ? ec.message() : std::strerror(errno);
    fs::remove(part, ec);
    throw IoError("io.cannot_write", fmt::format("cannot write '{}': {}; is the folder writable "
                                                 "and is there space left?",
                                                 file.string(), cause));
  }
}

}  // namespace fastcpp
