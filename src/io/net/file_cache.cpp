#include "io/net/file_cache.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <ctime>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "fastcpp/core/disk.hpp"
#include "fastcpp/core/error.hpp"
#include "io/net/digest.hpp"
#include "io/net/url_parts.hpp"

namespace fastcpp::inline v0 {
namespace {

constexpr const char* kCounter = ".bytes";

// The counter's file, locked for the life of the object. Where the file system cannot lock, processes may count wrong, which
// the next count mends.
class CounterLock {
 public:
  explicit CounterLock(const Path& folder)
      : file_(folder / kCounter), fd_(open_file(file_, O_RDWR | O_CREAT)) {
    if (fd_ < 0) io::cannot_write(file_, errno);
    while (::flock(fd_, LOCK_EX) != 0 && errno == EINTR) {
    }
  }
  ~CounterLock() { ::close(fd_); }
  CounterLock(const CounterLock&) = delete;
  CounterLock& operator=(const CounterLock&) = delete;

  // Below 0 when it is not known.
  std::int64_t read() const {
    char text[32];
    const auto got = ::pread(fd_, text, sizeof text, 0);
    std::int64_t count = -1;
    if (got <= 0) return -1;
    const auto [end, ec] = std::from_chars(text, text + got, count);
    // Without its end it may be the beginning of a longer one.
    return ec == std::errc() && end != text + got && *end == '\n' ? count : -1;
  }
  void write(std::int64_t count) const {
    const auto text = fmt::format("{}\n", count);
    if (::ftruncate(fd_, 0) != 0) io::cannot_write(file_, errno);
    io::write_all(fd_, text.data(), text.size(), std::int64_t{0}, file_);
  }

 private:
  Path file_;
  int fd_;
};

struct CachedFile {
  std::int64_t seconds = 0, nanoseconds = 0;  // of its last use
  std::int64_t size = 0;
  Path path;
};

// Whole files; parts that nobody has worked on for a day go.
std::vector<CachedFile> cached_files(const Path& folder) {
  constexpr std::time_t kDay = 24 * 60 * 60;
  std::vector<CachedFile> files;
  std::error_code ec;
  const auto now = std::time(nullptr);
  for (std::filesystem::directory_iterator it(folder, ec), end; !ec && it != end;
       it.increment(ec)) {
    struct stat info {};
    const auto name = it->path().filename().string();
    if (::lstat(it->path().c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    if (name.find(".part") != name.npos) {
      if (now - info.st_mtime > kDay) ::unlink(it->path().c_str());
    } else if (name[0] != '.') {
      files.push_back({info.st_mtim.tv_sec, info.st_mtim.tv_nsec, info.st_size, it->path()});
    }
  }
  return files;
}

std::int64_t sum_of(const std::vector<CachedFile>& files) {
  std::int64_t sum = 0;
  for (const auto& file : files) sum += file.size;
  return sum;
}

// The name in the cache: the digest, and the end of the address for people.
std::string name_of(const std::string& url) {
  constexpr std::size_t kDigits = 32, kLongest = 60;
  std::string_view tail = url;
  tail = tail.substr(0, tail.find_first_of("?#"));
  tail = tail.substr(tail.rfind('/') + 1);
  if (tail.size() > kLongest) tail.remove_prefix(tail.size() - kLongest);
  std::string name = sha256_text(url).substr(0, kDigits) + '-';
  for (const char c : tail) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                       c == '-' || c == '_' || c == '.';
    name += plain ? c : '_';
  }
  // Nothing but a part under construction may be called so.
  for (std::size_t at; (at = name.find(".part")) != name.npos;) name[at] = '_';
  return name;
}

DownloadUrlOptions within(DownloadUrlOptions download, std::int64_t max_bytes) {
  download.overwrite = false;
  download.max_bytes = std::min(download.max_bytes, max_bytes);
  return download;
}

}  // namespace

FileCache::FileCache(Path folder, std::int64_t max_bytes, DownloadUrlOptions download)
    : folder_(std::move(folder)),
      max_bytes_(max_bytes),
      download_(within(std::move(download), max_bytes)) {}

std::int64_t FileCache::bytes() const {
  return sum_of(cached_files(folder_));
}

std::unique_ptr<io::FileReader> FileCache::open_held(const Path& file) const {
  // Marks the use first: who looks for what has to go sees it.
  if (::utimensat(AT_FDCWD, file.c_str(), nullptr, 0) != 0 && errno == ENOENT) return nullptr;
  try {
    return std::make_unique<io::FileReader>(file);
  } catch (const IoError&) {
    // It may have gone meanwhile; what else is wrong shows again.
    if (::access(file.c_str(), F_OK) == 0) throw;
    return nullptr;
  }
}

std::unique_ptr<io::FileReader> FileCache::open(const std::string& url) {
  // Under a cache that is far too small for all who use it, a file may go before it is opened.
  constexpr int kTries = 20;
  const auto file = folder_ / name_of(url);
  for (int i = 0; i < kTries; ++i) {
    if (auto held = open_held(file)) return held;
    std::unique_lock lock(mutex_);
    loaded_.wait(lock, [&] { return loading_.count(url) == 0; });
    loading_.insert(url);
    lock.unlock();
    struct Done {
      FileCache& cache;
      const std::string& of;
      ~Done() {
        const std::scoped_lock again(cache.mutex_);
        cache.loading_.erase(of);
        cache.loaded_.notify_all();
      }
    } done{*this, url};
    if (auto held = open_held(file)) return held;
    download_url(url, file, download_);
    auto held = open_held(file);
    if (!held) continue;
    count_in(file);
    return held;
  }
  throw IoError("io.cannot_read",
                fmt::format("'{}' was taken out of the cache '{}' again and again before it could "
                            "be read: its limit of {} bytes (max_bytes) is too small for all who "
                            "use it",
                            shown_url(url), folder_.string(), max_bytes_));
}

void FileCache::forget(const std::string& url) {
  // The count is mended when something has to go.
  ::unlink((folder_ / name_of(url)).c_str());
}

void FileCache::count_in(const Path& file) {
  struct stat info {};
  const CounterLock lock(folder_);
  // A process that was killed may have left a file that nobody counted.
  auto count = counted_.exchange(true) ? lock.read() : -1;
  if (count >= 0 && ::stat(file.c_str(), &info) == 0) count += info.st_size;
  if (count >= 0 && count <= max_bytes_) return lock.write(count);
  auto files = cached_files(folder_);
  count = sum_of(files);
  if (count > max_bytes_) {
    std::sort(files.begin(), files.end(), [](const CachedFile& a, const CachedFile& b) {
      return std::pair(a.seconds, a.nanoseconds) < std::pair(b.seconds, b.nanoseconds);
    });
    // Of small files some more go than must, so that a cache which is full is not counted again for each that comes.
    const auto small = max_bytes_ / 100, enough = max_bytes_ - max_bytes_ / 10;
    for (const auto& old : files) {
      if (count <= (old.size > small ? max_bytes_ : enough)) break;
      // The one that has just come is within the bound by itself.
      if (old.path == file || (::unlink(old.path.c_str()) != 0 && errno != ENOENT)) continue;
      count -= old.size;
    }
  }
  lock.write(count);
}

}  // namespace fastcpp
