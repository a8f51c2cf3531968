#include "fastcpp/io/download.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <memory>
#include <vector>

#include "fastcpp/core/error.hpp"
#include "fastcpp/core/progress.hpp"
#include "fastcpp/io/checksum.hpp"
#include "io/digest.hpp"
#include "io/http_transfer.hpp"
#include "io/part_lock.hpp"
#include "io/url_parts.hpp"

namespace fastcpp {
namespace {
namespace fs = std::filesystem;
using std::chrono::milliseconds;

bool is_there(const Path& path) {
  std::error_code ec;
  return fs::exists(path, ec);
}

void forget(const Path& path) {
  std::error_code ec;
  fs::remove(path, ec);
}

void write_all(int fd, const char* bytes, std::size_t count, const Path& file) {
  while (count > 0) {
    const ssize_t done = ::write(fd, bytes, count);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) {
      throw IoError("io.cannot_write",
                    fmt::format("cannot write '{}': {}", file.string(), std::strerror(errno)));
    }
    bytes += done;
    count -= static_cast<std::size_t>(done);
  }
}

// The process-wide bar, for the time of one download.
class Bar {
 public:
  explicit Bar(bool shown) : sink_(shown ? progress_sink() : nullptr) {}
  ~Bar() {
    if (begun_) sink_->end();
  }
  Bar(const Bar&) = delete;
  Bar& operator=(const Bar&) = delete;

  void update(std::int64_t done, std::int64_t total) {
    if (!sink_) return;
    if (!begun_)
      sink_->begin({.phase = ProgressPhase::kDownload, .total = std::max<std::int64_t>(total, 0)});
    begun_ = true;
    if (done != done_) sink_->update(done, "");
    done_ = done;
  }

 private:
  std::shared_ptr<ProgressSink> sink_;
  bool begun_ = false;
  std::int64_t done_ = -1;
};

class Download {
 public:
  Download(const std::string& url, const Path& dest, const DownloadUrlOptions& options,
           PartLock& lock)
      : url_(url),
        dest_(dest),
        options_(options),
        lock_(lock),
        info_(lock.path().string() + ".info"),
        bar_(options.show_progress) {}

  void run() {
    try {
      recall();
      load();
      place();
    } catch (...) {
      // Without a note of what it is a part of, no later call could use it.
      if (!is_there(info_) || lock_.unshared()) discard();
      throw;
    }
  }

  // For an address without a server.
  void copy(const Path& source) {
    try {
      restart();
      copy_bytes(source);
      if (const std::string fault = misfit(); !fault.empty()) {
        give_up({"download.checksum", fault, Retry::kNo});
      }
      place();
    } catch (...) {
      discard();
      throw;
    }
  }

 private:
  void load() {
    for (bool again = false;; again = true) {
      while (!complete()) fetch();
      const std::string fault = misfit();
      if (fault.empty()) return;
      // A part of unknown history may be to blame: once more from the beginning.
      if (again || !resumed_) give_up({"download.checksum", fault, Retry::kNo});
      restart();
    }
  }

  bool complete() const { return done_ || (remote_.total >= 0 && size_ == remote_.total); }

  // What an earlier call left behind is of use only if we know what it is a part of.
  void recall() {
    struct stat found {};
    if (::fstat(lock_.fd(), &found) != 0 || found.st_size == 0 || !is_there(info_))
      return restart();
    const std::string text = read_file(info_);
    std::vector<std::string> lines;
    for (std::size_t at = 0, end; (end = text.find('\n', at)) != text.npos; at = end + 1) {
      lines.push_back(text.substr(at, end - at));
    }
    if (lines.size() != 3 || lines[0] != sha256_text(url_) || lines[1].empty()) return restart();
    remote_.validator = lines[1];
    const std::string& total = lines[2];
    std::from_chars(total.data(), total.data() + total.size(), remote_.total);
    size_ = best_ = found.st_size;
    resumed_ = true;
    if (remote_.total >= 0 && size_ > remote_.total) restart();
  }

  void restart() {
    if (::ftruncate(lock_.fd(), 0) != 0) {
      throw IoError("io.cannot_write", fmt::format("cannot write '{}': {}", lock_.path().string(),
                                                   std::strerror(errno)));
    }
    forget(info_);
    remote_ = {};
    size_ = 0;
    resumed_ = done_ = false;
  }

  void remember(const RemoteFile& remote) {
    if (remote.validator.empty()) return forget(info_);
    write_file(info_,
               fmt::format("{}\n{}\n{}\n", sha256_text(url_), remote.validator, remote.total));
  }

  void fetch() {
    if (remote_.validator.empty() && size_ > 0) restart();
    resumed_ = resumed_ || size_ > 0;
    const TransferResult result = http_transfer({
        .url = url_,
        .options = &options_,
        .fd = lock_.fd(),
        .offset = size_,
        .remote = remote_,
        .on_start = [this](const RemoteFile& remote) { remember(remote); },
        .on_progress = [this](std::int64_t done, std::int64_t total) { bar_.update(done, total); },
    });
    ++attempts_;
    size_ = result.size;
    if (result.accepted) remote_ = result.remote;
    if (result.failure) return handle(*result.failure, result.retry_after);
    done_ = true;
  }

  void handle(const TransferFailure& failure, milliseconds retry_after) {
    constexpr std::int64_t kProgress = std::int64_t{1} << 20;
    if (size_ >= best_ + kProgress) {
      best_ = size_;
      failures_ = 0;
    }
    const int allowed = failure.retry == Retry::kNo     ? 0
                        : failure.retry == Retry::kOnce ? std::min(1, options_.retries)
                                                        : options_.retries;
    if (failure.restart) restart();
    if (++failures_ > allowed) give_up(failure);
    // Doubling beyond 30 s would only look like a hang.
    constexpr milliseconds kLongest{30000};
    const auto first = std::min(options_.retry_delay, kLongest);
    const auto delay = std::min<milliseconds>(first * (1 << std::min(failures_ - 1, 16)), kLongest);
    if (!sleep_unless_stopped(std::max(delay, retry_after), options_.stop)) stopped();
  }

  [[noreturn]] void give_up(const TransferFailure& failure) {
    const bool unusable =
        failure.code == "download.too_large" || failure.code == "download.checksum";
    if (unusable) discard();
    const bool kept = !unusable && size_ > 0 && is_there(info_) && !lock_.unshared();
    throw DownloadError(
        failure.code,
        fmt::format(
            "cannot download '{}': {} (attempts made: {}).{} To place the file by hand, load "
            "that address with a browser, save it as '{}' and run this again.",
            shown_url(url_), failure.text, attempts_,
            kept ? " What has arrived is kept, the next call goes on from there." : "",
            dest_.string()));
  }

  void discard() {
    forget(info_);
    forget(lock_.path());
  }

  // Why this is not the file that was asked for; empty when it is.
  std::string misfit() const {
    if (options_.expected_size && size_ != *options_.expected_size) {
      return fmt::format("the file should have {} bytes, {} arrived", *options_.expected_size,
                         size_);
    }
    const std::string& digits = options_.sha256_prefix;
    if (digits.empty()) return {};
    const std::string found = sha256_file(lock_.path());
    if (found.starts_with(digits)) return {};
    return fmt::format("its SHA-256 should begin with {}, found {}", digits, found);
  }

  void copy_bytes(const Path& source) {
    std::ifstream in(source, std::ios::binary);
    std::error_code ec;
    const auto total = static_cast<std::int64_t>(fs::file_size(source, ec));
    std::vector<char> buffer(std::size_t{1} << 20);
    while (in) {
      if (options_.stop.stop_requested()) stopped();
      in.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
      size_ += in.gcount();
      if (size_ > options_.max_bytes) {
        give_up({"download.too_large",
                 fmt::format("the file is longer than the limit of {} bytes (max_bytes)",
                             options_.max_bytes),
                 Retry::kNo});
      }
      write_all(lock_.fd(), buffer.data(), static_cast<std::size_t>(in.gcount()), lock_.path());
      bar_.update(size_, total);
    }
    if (!in.eof()) {
      throw IoError("io.cannot_read", fmt::format("reading '{}' failed", source.string()));
    }
  }

  [[noreturn]] void stopped() const {
    throw IoError("io.cancelled", fmt::format("the download of '{}' was stopped", shown_url(url_)));
  }

  void place() {
    std::error_code ec;
    fs::rename(lock_.path(), dest_, ec);
    if (ec) {
      throw IoError("io.cannot_write",
                    fmt::format("cannot write '{}': {}", dest_.string(), ec.message()));
    }
    forget(info_);
  }

  const std::string& url_;
  const Path& dest_;
  const DownloadUrlOptions& options_;
  PartLock& lock_;
  const Path info_;
  Bar bar_;
  RemoteFile remote_;
  std::int64_t size_ = 0, best_ = 0;
  int attempts_ = 0, failures_ = 0;
  bool done_ = false, resumed_ = false;
};

void check(const DownloadUrlOptions& o) {
  const bool good = o.timeout.count() > 0 && o.stall_timeout.count() > 0 && o.retries >= 0 &&
                    o.retry_delay.count() >= 0 && o.max_bytes > 0 && o.max_redirects >= 0;
  if (good) return;
  throw ValueError("value.download_options",
                   fmt::format("time-outs and max_bytes must be > 0, retries, retry_delay and "
                               "max_redirects >= 0; found timeout {} ms, stall_timeout {} ms, "
                               "max_bytes {}, retries {}, retry_delay {} ms, max_redirects {}",
                               o.timeout.count(), o.stall_timeout.count(), o.max_bytes, o.retries,
                               o.retry_delay.count(), o.max_redirects));
}

}  // namespace

void download_url(const std::string& url, const Path& dest, const DownloadUrlOptions& options) {
  check(options);
  if (!options.overwrite && is_there(dest)) return;
  const auto source = local_file(url);
  if (!source && !url.starts_with("http://") && !url.starts_with("https://")) {
    throw ValueError("value.url",
                     fmt::format("the address '{}' must begin with http://, https:// or "
                                 "file://",
                                 shown_url(url)));
  }
  std::error_code ec;
  if (source && !fs::is_regular_file(*source, ec)) {
    throw IoError(
        "io.cannot_read",
        fmt::format("'{}' stands for the file '{}', which does not exist", url, source->string()));
  }
  make_folder(dest.parent_path());
  PartLock lock(dest.string() + ".part", PartLock::Kind::kFile, options.stop);
  if (!options.overwrite && is_there(dest)) {
    forget(lock.path());
    return;
  }
  Download download(url, dest, options, lock);
  source ? download.copy(*source) : download.run();
}

}  // namespace fastcpp
