#include "fastcpp/io/download.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <optional>
#include <system_error>
#include <vector>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/disk.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/progress.hpp"
#include "fastcpp/io/checksum.hpp"
#include "io/file_access.hpp"
#include "io/net/digest.hpp"
#include "io/net/http_transfer.hpp"
#include "io/net/part_lock.hpp"
#include "io/net/parts.hpp"
#include "io/net/url_parts.hpp"

namespace fastcpp::inline v0 {
namespace {
namespace fs = std::filesystem;
using std::chrono::milliseconds;

void forget(const Path& path) {
  std::error_code ec;
  fs::remove(path, ec);
}

class Download {
 public:
  Download(const std::string& url, const Path& dest, const DownloadUrlOptions& options,
           PartLock& lock)
      : url_(url),
        dest_(dest),
        options_(options),
        lock_(lock),
        info_(lock.path().string() + ".info") {}

  void run() {
    try {
      recall();
      load();
      place();
    } catch (...) {
      // Without a note of what it is a part of, no later call could use it.
      if (!io::is_there(info_) || lock_.unshared()) discard();
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
    if (::fstat(lock_.fd(), &found) != 0 || found.st_size == 0 || !io::is_there(info_))
      return restart();
    std::string text;
    try {
      text = read_file(info_);
    } catch (const IoError&) {
      return restart();
    }
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
      io::cannot_write(lock_.path(), errno);
    }
    forget(info_);
    remote_ = {};
    size_ = 0;
    resumed_ = done_ = false;
  }

  void remember(const RemoteFile& remote) {
    if (remote.validator.empty()) return forget(info_);
    try {
      write_file(info_,
                 fmt::format("{}\n{}\n{}\n", sha256_text(url_), remote.validator, remote.total));
    } catch (const IoError&) {
      // The file can arrive all the same; only a later call could not go on with it.
      forget(info_);
    }
  }

  void fetch() {
    if (remote_.validator.empty() && size_ > 0) restart();
    resumed_ = resumed_ || size_ > 0;
    const TransferResult result = http_transfer({
        .url = url_,
        .options = &options_,
        .part = lock_.path(),
        .fd = lock_.fd(),
        .offset = size_,
        .remote = remote_,
        .on_start = [this](const RemoteFile& remote) { remember(remote); },
        .on_progress = [this](std::int64_t done, std::int64_t total) { show(done, total); },
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
    const bool kept = !unusable && size_ > 0 && io::is_there(info_) && !lock_.unshared();
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
    const io::FileReader in(source);
    const auto total = static_cast<std::int64_t>(in.size());
    if (total > options_.max_bytes) {
      give_up({"download.too_large",
               fmt::format("the file is longer than the limit of {} bytes (max_bytes)",
                           options_.max_bytes),
               Retry::kNo});
    }
    std::vector<char> buffer(std::size_t{1} << 20);
    do {
      if (options_.stop.stop_requested()) stopped();
      const auto count = static_cast<std::size_t>(
          std::min(total - size_, static_cast<std::int64_t>(buffer.size())));
      in.read(static_cast<std::uint64_t>(size_), buffer.data(), count);
      io::write_all(lock_.fd(), buffer.data(), count, lock_.path());
      size_ += static_cast<std::int64_t>(count);
      show(size_, total);
    } while (size_ < total);
  }

  // The bar appears when the length is known, or known not to be told.
  void show(std::int64_t done, std::int64_t total) {
    if (!options_.show_progress) return;
    if (!bar_) {
      bar_.emplace(progress_sink(), ProgressTask{.phase = ProgressPhase::kDownload,
                                                 .total = std::max<std::int64_t>(total, 0),
                                                 .what = dest_.filename().string()});
    }
    if (done != shown_) bar_->update(done);
    shown_ = done;
  }

  [[noreturn]] void stopped() const {
    throw IoError("io.cancelled", fmt::format("the download of '{}' was stopped", shown_url(url_)));
  }

  // Flushed first: after a power failure, too, the name stands for the whole file.
  void place() {
    struct stat former {};
    if (::stat(dest_.c_str(), &former) == 0)
      static_cast<void>(::fchmod(lock_.fd(), former.st_mode & 07777));
    if (!flush_file(lock_.fd())) io::cannot_write(lock_.path(), errno);
    if (std::rename(lock_.path().c_str(), dest_.c_str()) != 0) io::cannot_write(dest_, errno);
    flush_folder(dest_.parent_path());
    forget(info_);
  }

  const std::string& url_;
  const Path& dest_;
  const DownloadUrlOptions& options_;
  PartLock& lock_;
  const Path info_;
  std::optional<ProgressBar> bar_;
  std::int64_t shown_ = -1;
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

// Nothing else than a file is ever taken for one, or replaced by one.
void refuse_other_than_file(const Path& file) {
  struct stat found {};
  if (::stat(file.c_str(), &found) != 0 || S_ISREG(found.st_mode)) return;
  if (S_ISDIR(found.st_mode)) io::cannot_write(file, EISDIR);
  throw IoError("io.cannot_write",
                fmt::format("cannot write '{}': it is a device or a pipe; choose another name",
                            file.string()));
}

// Where the file will lie, its folder made: links are followed, as when a file is saved. What no file can be called is
// found here, and not after the last byte.
Path place_for(const Path& dest) {
  const Path target = follow_links(dest);
  if (target.empty()) io::cannot_write(dest, dest.empty() ? ENOENT : errno);
  if (!target.has_filename()) io::cannot_write(dest, EISDIR);
  make_folder(target.parent_path());
  struct stat found {};
  if (::lstat(target.c_str(), &found) != 0 && errno != ENOENT) io::cannot_write(dest, errno);
  refuse_other_than_file(target);
  return target;
}

}  // namespace

void download_url(const std::string& url, const Path& dest, const DownloadUrlOptions& options) {
  boundary([&] {
    check(options);
    if (!options.overwrite && io::is_there(dest)) return refuse_other_than_file(dest);
    const auto source = local_file(url);
    if (!source && !url.starts_with("http://") && !url.starts_with("https://")) {
      throw ValueError("value.url",
                       fmt::format("the address '{}' must begin with http://, https:// or file://",
                                   shown_url(url)));
    }
    std::error_code ec;
    if (source && !fs::is_regular_file(*source, ec)) {
      throw IoError("io.cannot_read",
                    fmt::format("'{}' stands for the file '{}', which {}; correct the address or "
                                "place the file there",
                                url, source->string(),
                                fs::exists(*source, ec) ? "is no regular file" : "does not exist"));
    }
    const Path target = place_for(dest);
    PartLock lock(part_of(target), PartLock::Kind::kFile, options.stop);
    if (!options.overwrite && io::is_there(target)) return forget(lock.path());
    Download download(url, target, options, lock);
    source ? download.copy(*source) : download.run();
  });
}

}  // namespace fastcpp
