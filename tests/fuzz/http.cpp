// What a server answers to a download: the answers to the first, second, ... request, separated by lines of "====". They
// come from a proxy on the loopback interface, so that redirects lead nowhere else.
#include <arpa/inet.h>
#include <sys/socket.h>

#include <mutex>
#include <thread>

#include "../support/environment.hpp"
#include "fastcpp/core/log.hpp"
#include "fastcpp/io/download.hpp"
#include "fastcpp/io/fetch.hpp"
#include "fuzz.hpp"

using namespace fastcpp;
namespace fs = std::filesystem;

namespace {

class Proxy {
 public:
  Proxy() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* place = reinterpret_cast<sockaddr*>(&address);
    fuzz::require(::bind(listener_, place, length) == 0 && ::listen(listener_, 16) == 0 &&
                      ::getsockname(listener_, place, &length) == 0,
                  "no port on the loopback interface");
    port_ = ntohs(address.sin_port);
    std::thread([this] { serve(); }).detach();  // for the life of the program
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  void answer_with(std::string_view answers) {
    const std::lock_guard lock(mutex_);
    answers_ = answers;
  }

 private:
  std::string next() {
    constexpr std::string_view kLine = "====\n";
    const std::lock_guard lock(mutex_);
    const auto end = answers_.find(kLine);
    const auto answer = answers_.substr(0, end);
    answers_.erase(0, end == answers_.npos ? end : end + kLine.size());
    return answer;
  }
  void serve() {
    while (true) {
      const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection < 0) continue;
      std::string request;
      char bytes[4096];
      ssize_t got = 1;
      while (request.find("\r\n\r\n") == request.npos && got > 0) {
        got = ::recv(connection, bytes, sizeof bytes, 0);
        if (got > 0) request.append(bytes, static_cast<std::size_t>(got));
      }
      const auto answer = next();
      (void)!::send(connection, answer.data(), answer.size(), MSG_NOSIGNAL);
      ::shutdown(connection, SHUT_WR);
      while (::recv(connection, bytes, sizeof bytes, MSG_DONTWAIT) > 0) {
      }
      ::close(connection);
    }
  }

  int listener_, port_ = 0;
  std::mutex mutex_;
  std::string answers_;
};

}  // namespace

FASTCPP_FUZZ_TARGET(http)(std::string_view input) {
  using std::chrono::milliseconds;
  constexpr std::int64_t kMost = 64;  // small, so that small answers come to the limit
  static Proxy& proxy = *new Proxy;
  const auto quiet = set_log_sink([](LogLevel, std::string_view) {});
  const test::ScopedEnv http("http_proxy", proxy.url()), https("https_proxy", proxy.url()),
      all("all_proxy", proxy.url()), none("no_proxy");
  const fuzz::Folder folder;
  const auto dest = folder.path() / "file";
  proxy.answer_with(input);
  const bool good = fuzz::accepted([&] {
    download_url("http://fuzz.invalid/file", dest,
                 {.show_progress = false,
                  .timeout = milliseconds(500),
                  .retries = 2,
                  .max_bytes = kMost,
                  .max_redirects = 2,
                  .stall_timeout = milliseconds(500),
                  .retry_delay = milliseconds(0)});
  });
  fuzz::require(fs::exists(dest) == good, "a file that did not arrive, or none that did");
  if (good) {
    fuzz::require(static_cast<std::int64_t>(fs::file_size(dest)) <= kMost, "longer than allowed");
    fuzz::require(!fs::exists(folder.path() / "file.part"), "a part beside the whole file");
  }
  proxy.answer_with(input);
  fuzz::accepted([&] {
    fetch_all({"http://fuzz.invalid/file"},
              {.timeout = milliseconds(500),
               .max_time = milliseconds(500),
               .retries = 2,
               .max_bytes = kMost,
               .max_redirects = 2,
               .retry_delay = milliseconds(0)},
              [&](std::size_t, const FetchResult& result) {
                fuzz::require(static_cast<std::int64_t>(result.body.size()) <= kMost,
                              "longer than allowed");
                fuzz::require(result.code != "core.unexpected", result.message);
              });
  });
  set_log_sink(quiet);
}
