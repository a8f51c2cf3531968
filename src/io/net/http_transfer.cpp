#include "io/net/http_transfer.hpp"

#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <exception>
#include <memory>
#include <new>
#include <string_view>
#include <utility>

#include "fastcpp/core/error.hpp"
#include "io/file_access.hpp"
#include "io/net/curl_support.hpp"
#include "io/net/parts.hpp"
#include "io/net/url_parts.hpp"

namespace fastcpp::inline v0 {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

std::string lower(std::string_view text) {
  std::string out(text);
  // Of ASCII only: tolower asks the locale, and Turkish has another small I.
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return out;
}

// "bytes 5-9/10" to {5, 10}; {-1, -1} when it is something else, a total of -1 when it is not told.
std::pair<std::int64_t, std::int64_t> content_range(std::string_view text) {
  std::int64_t first = -1, total = -1;
  if (!text.starts_with("bytes ")) return {-1, -1};
  text.remove_prefix(6);
  const auto slash = text.find('/');
  const bool good =
      slash != text.npos &&
      std::from_chars(text.data(), text.data() + text.size(), first).ec == std::errc();
  if (!good) return {-1, -1};
  const char* tail = text.data() + slash + 1;
  if (std::from_chars(tail, text.data() + text.size(), total).ec != std::errc()) total = -1;
  return {first, total};
}

class Attempt {
 public:
  explicit Attempt(const Transfer& transfer)
      : transfer_(transfer),
        options_(*transfer.options),
        size_(transfer.offset),
        easy_(curl_easy_init()),
        multi_(curl_multi_init()) {
    if (!easy_ || !multi_) throw std::bad_alloc();  // it has no other reason
    set_options();
  }
  ~Attempt() { curl_multi_remove_handle(multi_.get(), easy_.get()); }
  Attempt(const Attempt&) = delete;
  Attempt& operator=(const Attempt&) = delete;

  TransferResult run() {
    activity_ = Clock::now();
    const CURLMcode added = curl_multi_add_handle(multi_.get(), easy_.get());
    if (added != CURLM_OK) multi_failed(added);
    const CURLcode code = failure_ ? CURLE_OK : loop();
    if (!failure_ && !exception_) judge(code);
    curl_off_t wait = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_RETRY_AFTER, &wait);
    if (exception_) std::rethrow_exception(exception_);
    const milliseconds retry_after{std::clamp<curl_off_t>(wait, 0, 60) * 1000};
    return {failure_, accepted_, remote_, size_, retry_after};
  }

 private:
  template <typename T>
  void set(CURLoption option, T value) {
    set_option(easy_.get(), option, value);
  }

  void set_options() {
    set_request(easy_.get(), transfer_.url, options_.timeout, options_.max_redirects);
    set(CURLOPT_ERRORBUFFER, error_);
    set(CURLOPT_HEADERFUNCTION, &Attempt::on_header);
    set(CURLOPT_HEADERDATA, this);
    set(CURLOPT_WRITEFUNCTION, &Attempt::on_body);
    set(CURLOPT_WRITEDATA, this);
    set(CURLOPT_PREREQFUNCTION, &Attempt::on_connected);
    set(CURLOPT_PREREQDATA, this);
    if (transfer_.offset > 0) {
      // CURLOPT_RESUME_FROM would fail when the server sends the whole file; a plain range lets us
      // start anew.
      set(CURLOPT_RANGE, fmt::format("{}-", transfer_.offset).c_str());
      headers_.reset(curl_slist_append(
          nullptr, fmt::format("If-Range: {}", transfer_.remote.validator).c_str()));
      if (!headers_) throw std::bad_alloc();
      set(CURLOPT_HTTPHEADER, headers_.get());
    }
  }

  // The multi interface, because its loop is ours: time-outs in milliseconds, stopping, progress
  // outside of callbacks.
  CURLcode loop() {
    for (int running = 1;;) {
      if (const CURLMcode code = curl_multi_perform(multi_.get(), &running); code != CURLM_OK) {
        multi_failed(code);
        return CURLE_OK;
      }
      if (started_ && transfer_.on_progress) transfer_.on_progress(size_, remote_.total);
      if (running == 0) break;
      if (options_.stop.stop_requested()) {
        throw IoError("io.cancelled",
                      fmt::format("the download of '{}' was stopped", shown_url(transfer_.url)));
      }
      const auto idle = std::chrono::duration_cast<milliseconds>(Clock::now() - activity_);
      if (connected_ && idle >= options_.stall_timeout) {
        fail({"download.timeout", fmt::format("no byte came for {:.1f} s, {} bytes had arrived",
                                              idle.count() / 1000.0, size_)});
        return CURLE_OK;
      }
      const auto wait =
          std::clamp(options_.stall_timeout - idle, milliseconds(1), milliseconds(100));
      const auto time = static_cast<int>(wait.count());
      if (const CURLMcode code = curl_multi_poll(multi_.get(), nullptr, 0, time, nullptr);
          code != CURLM_OK) {
        multi_failed(code);
        return CURLE_OK;
      }
    }
    int left = 0;
    const CURLMsg* message = curl_multi_info_read(multi_.get(), &left);
    return message ? message->data.result : CURLE_FAILED_INIT;
  }

  void multi_failed(CURLMcode code) {
    if (code == CURLM_OUT_OF_MEMORY) throw std::bad_alloc();
    fail({"download.failed", curl_multi_strerror(code), Retry::kNo});
  }

  static int on_connected(void* self, char*, char*, int, int) {
    auto& attempt = *static_cast<Attempt*>(self);
    attempt.connected_ = true;
    attempt.activity_ = Clock::now();
    return CURL_PREREQFUNC_OK;
  }

  static size_t on_header(char* bytes, size_t one, size_t count, void* self) {
    auto& attempt = *static_cast<Attempt*>(self);
    attempt.activity_ = Clock::now();
    return attempt.guarded([&] { attempt.header({bytes, one * count}); }) ? one * count : 0;
  }

  static size_t on_body(char* bytes, size_t one, size_t count, void* self) {
    auto& attempt = *static_cast<Attempt*>(self);
    attempt.activity_ = Clock::now();
    return attempt.guarded([&] { attempt.body(bytes, one * count); }) ? one * count : 0;
  }

  // Exceptions must not travel through libcurl.
  template <typename F>
  bool guarded(F&& f) noexcept {
    try {
      f();
    } catch (...) {
      exception_ = std::current_exception();
    }
    return !failure_ && !exception_;
  }

  void header(std::string_view line) {
    if (line.starts_with("HTTP/")) {
      etag_.clear();
      modified_.clear();
      range_.clear();
      return;
    }
    const auto colon = line.find(':');
    if (colon == line.npos) return;
    const std::string name = lower(io::trim(line.substr(0, colon)));
    const std::string_view value = io::trim(line.substr(colon + 1));
    if (name == "etag") etag_ = value;
    if (name == "last-modified") modified_ = value;
    if (name == "content-range") range_ = value;
  }

  void body(const char* bytes, std::size_t count) {
    if (!started_) start();
    if (failure_) return;
    if (size_ + static_cast<std::int64_t>(count) > options_.max_bytes) return too_large();
    io::write_all(transfer_.fd, bytes, count, transfer_.part);
    size_ += static_cast<std::int64_t>(count);
  }

  // The headers of the final answer are known: does it continue what we have, begin anew, or is it
  // no file at all?
  void start() {
    started_ = true;
    long status = 0;
    curl_off_t length = -1;
    curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(easy_.get(), CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    remote_.validator = !etag_.empty() && !etag_.starts_with("W/") ? etag_ : modified_;
    remote_.total = length;
    if (status == 206 && transfer_.offset > 0) {
      const auto [first, total] = content_range(range_);
      const std::int64_t known = transfer_.remote.total;
      if (first != transfer_.offset || (known >= 0 && total >= 0 && known != total))
        return misfit();
      remote_.total = total >= 0 ? total : known;
      if (remote_.validator.empty()) remote_.validator = transfer_.remote.validator;
    } else if (status == 200) {
      size_ = 0;
    } else if (status == 206 || status == 416) {
      return misfit();
    } else {
      return fail({"download.http_status",
                   fmt::format("the server answered with status {}", status),
                   passing_status(status) ? Retry::kYes : Retry::kNo});
    }
    if (remote_.total > options_.max_bytes) return too_large();
    if (options_.expected_size && remote_.total >= 0 && remote_.total != *options_.expected_size) {
      return fail({"download.checksum",
                   fmt::format("the file should have {} bytes, the server offers one of {}",
                               *options_.expected_size, remote_.total),
                   Retry::kNo});
    }
    check_space();
    if (::ftruncate(transfer_.fd, size_) != 0 || ::lseek(transfer_.fd, size_, SEEK_SET) != size_) {
      io::cannot_write(transfer_.part, errno);
    }
    if (transfer_.on_start) transfer_.on_start(remote_);
    accepted_ = true;
  }

  // Better now than after an hour.
  void check_space() const {
    struct statvfs disk {};
    if (remote_.total < 0 || ::fstatvfs(transfer_.fd, &disk) != 0) return;
    const double room = static_cast<double>(disk.f_bavail) * static_cast<double>(disk.f_frsize);
    const double needed = static_cast<double>(remote_.total - transfer_.offset);
    if (needed <= room) return;
    throw IoError("io.cannot_write", fmt::format("no room for '{}': it has {} bytes, the disk of "
                                                 "'{}' has {:.0f} left; make room there, or "
                                                 "choose another folder",
                                                 shown_url(transfer_.url), remote_.total,
                                                 transfer_.part.string(), room));
  }

  void judge(CURLcode code) {
    // An answer without a body never came to body().
    if (code == CURLE_OK && !started_) guarded([&] { start(); });
    if (failure_ || exception_) return;
    if (code == CURLE_OK) {
      if (remote_.total >= 0 && size_ < remote_.total) cut();
      return;
    }
    TransferFailure failure =
        failure_of(code, *error_ ? error_ : curl_easy_strerror(code), options_.max_redirects);
    if (started_ && failure.code == "download.incomplete") return cut();
    fail(std::move(failure));
  }

  void cut() {
    const std::string total =
        remote_.total >= 0 ? std::to_string(remote_.total) : "an unknown number of";
    fail({"download.incomplete",
          fmt::format("the connection ended after {} of {} bytes", size_, total)});
  }
  void misfit() {
    fail({"download.incomplete", "the server cannot continue the part that is here", Retry::kYes,
          true});
  }
  void too_large() {
    fail({"download.too_large",
          fmt::format("the file is longer than the limit of {} bytes (max_bytes)",
                      options_.max_bytes),
          Retry::kNo});
  }
  void fail(TransferFailure failure) {
    if (!failure_) failure_ = std::move(failure);
  }

  const Transfer& transfer_;
  const DownloadUrlOptions& options_;
  std::int64_t size_;
  char error_[CURL_ERROR_SIZE] = "";
  std::unique_ptr<curl_slist, FreeList> headers_;
  std::unique_ptr<CURL, FreeEasy> easy_;
  std::unique_ptr<CURLM, FreeMulti> multi_;
  std::string etag_, modified_, range_;
  RemoteFile remote_;
  bool connected_ = false, started_ = false, accepted_ = false;
  Clock::time_point activity_;
  std::optional<TransferFailure> failure_;
  std::exception_ptr exception_;
};

}  // namespace

TransferResult http_transfer(const Transfer& transfer) {
  start_curl();
  return Attempt(transfer).run();
}

}  // namespace fastcpp
