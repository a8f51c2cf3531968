#include "fastcpp/io/fetch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "io/net/curl_support.hpp"
#include "io/net/part_lock.hpp"
#include "io/net/url_parts.hpp"

namespace fastcpp::inline v0 {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// As libcurl wants it: without blanks around, and everything behind the host escaped that is no ASCII letter or sign.
std::string escaped(std::string_view url) {
  constexpr std::string_view kBlank = " \t\r\n\v\f";
  const auto first = url.find_first_not_of(kBlank);
  if (first == url.npos) return {};
  url = url.substr(first, url.find_last_not_of(kBlank) - first + 1);
  const auto scheme = url.find("://");
  const auto behind = url.find_first_of("/?#", scheme == url.npos ? 0 : scheme + 3);
  if (behind == url.npos) return std::string(url);
  std::string text(url.substr(0, behind));
  for (const char c : url.substr(behind)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > ' ' && byte < 0x7F) {
      text += c;
    } else {
      text += fmt::format("%{:02X}", byte);
    }
  }
  return text;
}

bool can_be_fetched(std::string_view url) {
  if (url.find('\0') != url.npos) return false;  // to libcurl the address would end there
  const auto colon = url.substr(0, 8).find("://");
  std::string scheme(url.substr(0, colon == url.npos ? 0 : colon));
  for (char& c : scheme) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return scheme == "http" || scheme == "https";
}

// One attempt to fetch one address.
class Request {
 public:
  Request(std::size_t index, int failures, const std::string& url, const FetchOptions& options)
      : index_(index), failures_(failures), options_(options), easy_(curl_easy_init()) {
    if (!easy_) throw std::bad_alloc();  // it has no other reason
    set_request(easy(), url, options.timeout, options.max_redirects);
    set_option(easy(), CURLOPT_ERRORBUFFER, error_);
    set_option(easy(), CURLOPT_PRIVATE, this);
    set_option(easy(), CURLOPT_HEADERFUNCTION, &Request::on_header);
    set_option(easy(), CURLOPT_HEADERDATA, this);
    set_option(easy(), CURLOPT_WRITEFUNCTION, &Request::on_body);
    set_option(easy(), CURLOPT_WRITEDATA, this);
  }
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  CURL* easy() const { return easy_.get(); }
  std::size_t index() const { return index_; }
  // Attempts that failed before this one.
  int failures() const { return failures_; }
  std::string take_body() { return std::move(body_); }

  // What is spent outside of libcurl is not the server's fault.
  void forgive(Clock::duration time) {
    begin_ += time;
    activity_ += time;
  }

  std::optional<TransferFailure> late(Clock::time_point now) const {
    const std::chrono::duration<double> idle = now - activity_, all = now - begin_;
    if (now - activity_ >= options_.timeout) {
      return TransferFailure{"download.timeout",
                             fmt::format("no byte came for {:.1f} s, {} bytes had arrived",
                                         idle.count(), body_.size())};
    }
    if (now - begin_ >= options_.max_time) {
      return TransferFailure{
          "download.timeout",
          fmt::format("{} bytes came in {:.0f} s, and not the end", body_.size(), all.count()),
          Retry::kNo};
    }
    return {};
  }

  // The transfer is over: nothing when it went well.
  std::optional<TransferFailure> judge(CURLcode code) {
    if (no_memory_) throw std::bad_alloc();
    if (too_large_) {
      return TransferFailure{
          "download.too_large",
          fmt::format("it is longer than the limit of {} bytes (max_bytes)", options_.max_bytes),
          Retry::kNo};
    }
    long status = 0;
    curl_easy_getinfo(easy(), CURLINFO_RESPONSE_CODE, &status);
    const bool answered = code == CURLE_OK || code == CURLE_PARTIAL_FILE;
    if (answered && status != 200) {
      return TransferFailure{"download.http_status",
                             fmt::format("the server answered with status {}", status),
                             passing_status(status) ? Retry::kYes : Retry::kNo};
    }
    if (code == CURLE_OK) return {};
    return failure_of(code, *error_ ? error_ : curl_easy_strerror(code), options_.max_redirects);
  }

  milliseconds retry_after() const {
    curl_off_t seconds = 0;
    curl_easy_getinfo(easy(), CURLINFO_RETRY_AFTER, &seconds);
    return milliseconds{std::clamp<curl_off_t>(seconds, 0, 60) * 1000};
  }

 private:
  static std::size_t on_header(char*, std::size_t one, std::size_t count, void* self) {
    static_cast<Request*>(self)->activity_ = Clock::now();
    return one * count;
  }

  static std::size_t on_body(char* bytes, std::size_t one, std::size_t count, void* self) {
    return static_cast<Request*>(self)->add({bytes, one * count}) ? one * count : 0;
  }

  bool add(std::string_view bytes) noexcept {
    activity_ = Clock::now();
    curl_off_t length = -1;
    curl_easy_getinfo(easy(), CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    const auto here = static_cast<std::int64_t>(body_.size() + bytes.size());
    too_large_ = std::max<std::int64_t>(length, here) > options_.max_bytes;
    if (too_large_) return false;
    try {
      body_ += bytes;
    } catch (const std::exception&) {
      no_memory_ = true;  // exceptions must not travel through libcurl
    }
    return !no_memory_;
  }

  std::size_t index_;
  int failures_;
  const FetchOptions& options_;
  char error_[CURL_ERROR_SIZE] = "";
  std::string body_;
  bool too_large_ = false, no_memory_ = false;
  Clock::time_point begin_ = Clock::now(), activity_ = begin_;
  std::unique_ptr<CURL, FreeEasy> easy_;
};

// An address whose next attempt must wait.
struct Waiting {
  std::size_t index = 0;
  int failures = 0;
  Clock::time_point due;
};

class Fetch {
 public:
  using Done = std::function<void(std::size_t, FetchResult)>;

  Fetch(const std::vector<std::string>& urls, const FetchOptions& options, const Done& done)
      : urls_(urls), options_(options), done_(done), multi_(curl_multi_init()) {
    if (!multi_) throw std::bad_alloc();
  }
  ~Fetch() {
    for (const auto& request : active_) curl_multi_remove_handle(multi_.get(), request->easy());
  }
  Fetch(const Fetch&) = delete;
  Fetch& operator=(const Fetch&) = delete;

  void run() {
    while (true) {
      check_stop();
      start_some();
      if (active_.empty() && waiting_.empty()) return;
      if (active_.empty()) {
        sleep_unless_stopped(time_until_due(), options_.stop);
        continue;
      }
      int running = 0;
      check(curl_multi_perform(multi_.get(), &running));
      if (finish_some()) continue;
      check(curl_multi_poll(multi_.get(), nullptr, 0, 50, nullptr));
    }
  }

 private:
  void check_stop() const {
    if (!options_.stop.stop_requested()) return;
    throw IoError("io.cancelled", "the download was stopped; what was finished is kept");
  }

  static void check(CURLMcode code) {
    if (code == CURLM_OUT_OF_MEMORY) throw std::bad_alloc();
    if (code == CURLM_OK) return;
    throw DownloadError("download.failed",
                        fmt::format("libcurl failed: {}", curl_multi_strerror(code)));
  }

  milliseconds time_until_due() const {
    const auto first =
        std::min_element(waiting_.begin(), waiting_.end(),
                         [](const Waiting& a, const Waiting& b) { return a.due < b.due; });
    return std::chrono::ceil<milliseconds>(std::max(first->due - Clock::now(), Clock::duration{}));
  }

  // Those that failed before have waited longest.
  void start_some() {
    while (static_cast<int>(active_.size()) < options_.max_workers) {
      const auto now = Clock::now();
      const auto due = std::find_if(waiting_.begin(), waiting_.end(),
                                    [&](const Waiting& w) { return w.due <= now; });
      if (due != waiting_.end()) {
        const Waiting job = *due;
        waiting_.erase(due);
        start(job.index, job.failures);
      } else if (next_ < urls_.size()) {
        start(next_++, 0);
      } else {
        return;
      }
    }
  }

  void start(std::size_t index, int failures) {
    check_stop();
    const std::string url = escaped(urls_[index]);
    if (!can_be_fetched(url)) {
      return hand_over(index, {.url = shown_url(urls_[index]),
                               .body = {},
                               .code = "value.url",
                               .message = fmt::format("the address '{}' must begin with http:// or "
                                                      "https:// and hold no zero byte",
                                                      shown_url(urls_[index])),
                               .attempts = 0});
    }
    auto request = std::make_unique<Request>(index, failures, url, options_);
    check(curl_multi_add_handle(multi_.get(), request->easy()));
    active_.push_back(std::move(request));
  }

  bool finish_some() {
    bool any = false;
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const CURL* easy = message->easy_handle;
      const CURLcode code = message->data.result;
      const auto request = take([&](const auto& r) { return r->easy() == easy; });
      finish(*request, request->judge(code));
      any = true;
    }
    const auto now = Clock::now();
    while (const auto request = take([&](const auto& r) { return r->late(now).has_value(); })) {
      finish(*request, request->late(now));
      any = true;
    }
    return any;
  }

  template <typename F>
  std::unique_ptr<Request> take(F&& which) {
    const auto at = std::find_if(active_.begin(), active_.end(), std::forward<F>(which));
    if (at == active_.end()) return nullptr;
    auto request = std::move(*at);
    active_.erase(at);
    curl_multi_remove_handle(multi_.get(), request->easy());
    return request;
  }

  void finish(Request& request, const std::optional<TransferFailure>& failure) {
    const auto index = request.index();
    const int attempts = request.failures() + 1;
    if (!failure) {
      return hand_over(index, {.url = shown_url(urls_[index]),
                               .body = request.take_body(),
                               .code = {},
                               .message = {},
                               .attempts = attempts});
    }
    const int allowed = failure->retry == Retry::kNo     ? 0
                        : failure->retry == Retry::kOnce ? std::min(1, options_.retries)
                                                         : options_.retries;
    if (attempts <= allowed) {
      constexpr milliseconds kLongest{30000};
      const auto first = std::min(options_.retry_delay, kLongest);
      const auto delay =
          std::min<milliseconds>(first * (1 << std::min(attempts - 1, 16)), kLongest);
      waiting_.push_back({index, attempts, Clock::now() + std::max(delay, request.retry_after())});
      return;
    }
    hand_over(index, {.url = shown_url(urls_[index]),
                      .body = {},
                      .code = failure->code,
                      .message = fmt::format("cannot download '{}': {} (attempts made: {})",
                                             shown_url(urls_[index]), failure->text, attempts),
                      .attempts = attempts});
  }

  void hand_over(std::size_t index, FetchResult result) {
    const auto begin = Clock::now();
    done_(index, std::move(result));
    const auto spent = Clock::now() - begin;
    for (const auto& request : active_) request->forgive(spent);
  }

  const std::vector<std::string>& urls_;
  const FetchOptions& options_;
  const Done& done_;
  std::unique_ptr<CURLM, FreeMulti> multi_;
  std::vector<std::unique_ptr<Request>> active_;
  std::vector<Waiting> waiting_;
  std::size_t next_ = 0;
};

void check_options(const FetchOptions& o) {
  const bool good = o.max_workers >= 1 && o.max_workers <= 1000 && o.timeout.count() > 0 &&
                    o.max_time.count() > 0 && o.retries >= 0 && o.retry_delay.count() >= 0 &&
                    o.max_bytes > 0 && o.max_redirects >= 0;
  if (good) return;
  throw ValueError(
      "value.download_options",
      fmt::format("max_workers must be 1..1000, time-outs and max_bytes > 0, retries, retry_delay "
                  "and max_redirects >= 0; found max_workers {}, timeout {} ms, max_time {} ms, "
                  "max_bytes {}, retries {}, retry_delay {} ms, max_redirects {}",
                  o.max_workers, o.timeout.count(), o.max_time.count(), o.max_bytes, o.retries,
                  o.retry_delay.count(), o.max_redirects));
}

}  // namespace

void fetch_all(const std::vector<std::string>& urls, const FetchOptions& options,
               const std::function<void(std::size_t index, FetchResult result)>& done) {
  boundary([&] {
    check_options(options);
    start_curl();
    Fetch(urls, options, done).run();
  });
}

}  // namespace fastcpp
