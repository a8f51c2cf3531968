#include "fastcpp/serve/serve.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "serve/service.hpp"

namespace fastcpp::inline v0 {
namespace {

using namespace std::chrono_literals;
using serve_detail::Clock;

// After which a server that is being stopped and has nothing under way ends.
constexpr auto kQuiet = 100ms;
constexpr auto kTell = 1s;

void check(const ServeOptions& options) {
  const auto within = [](const char* name, std::int64_t value, std::int64_t low,
                         std::int64_t high) {
    if (value < low || value > high) {
      throw ValueError("value.serve", fmt::format("{} must be between {} and {}, found {}", name,
                                                  low, high, value));
    }
  };
  constexpr std::int64_t kMany = 1'000'000'000'000;
  within("port", options.port, 0, 65535);
  within("top_k", options.top_k, 1, kMany);
  within("max_batch", options.max_batch, 1, 65536);
  within("max_wait", options.max_wait.count(), 0, 60'000);
  within("max_queue", options.max_queue, 1, kMany);
  within("max_connections", options.max_connections, 1, 4096);
  within("max_pictures", options.max_pictures, 1, 65536);
  within("max_body", static_cast<std::int64_t>(std::min<std::size_t>(options.max_body, kMany + 1)),
         1, kMany);
  within("max_pixels", options.max_pixels, 1, kMaxImagePixels);
  within("request_time", options.request_time.count(), 1, 86'400'000);
  within("idle_time", options.idle_time.count(), 1, 86'400'000);
  within("grace", options.grace.count(), 0, 86'400'000);
  if (options.thresh && !(*options.thresh >= 0 && *options.thresh <= 1)) {
    throw ValueError("value.serve",
                     fmt::format("thresh must be between 0 and 1, found {}", *options.thresh));
  }
  if (options.host.empty()) {
    throw ValueError("value.serve", "host is empty: say 127.0.0.1, or 0.0.0.0 for all addresses");
  }
  // httplib decodes such signs in headers.
  if (options.api_key.find('%') != std::string::npos) {
    throw ValueError("value.serve", "api_key holds a '%': take another one");
  }
}

// Finds out now whether pictures can be predicted at all; the first one takes longer than the others.
void warm_up(const Predictor& predictor) {
  if (predictor.takes_rows()) return;
  try {
    const cv::Mat grey(256, 256, CV_8UC3, cv::Scalar(128, 128, 128));
    predictor.compute({predictor.prepare(Image::from_rgb(grey))});
  } catch (const MemoryError&) {
    throw;
  } catch (const Error& e) {
    throw ValueError("value.serve",
                     fmt::format("the predictor does not predict from pictures: {}", e.what()));
  }
}

// Listens on a thread of its own.
class Listening {
 public:
  explicit Listening(serve_detail::HttpServer& server) : server_(server) {
    thread_ = std::jthread([this] {
      try {
        server_.listen_after_bind();
      } catch (...) {
        failure_ = std::current_exception();
        server_.close_port();
      }
      const std::lock_guard lock(mutex_);
      over_ = true;
      changed_.notify_all();
    });
  }
  ~Listening() { end(); }
  Listening(const Listening&) = delete;
  Listening& operator=(const Listening&) = delete;

  // True: a stop is requested. False: the listening ended by itself.
  bool wait(std::stop_token stop) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, std::move(stop), [&] { return over_; });
    return !over_;
  }
  // Returns once every connection is closed; what takes longer than this is cut off.
  void end(Clock::time_point until = {}) {
    server_.begin_stop();
    while (!is_over()) {
      server_.end_listening();
      if (Clock::now() >= until) server_.abandon();
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, 10ms, [&] { return over_; });
    }
    if (thread_.joinable()) thread_.join();
  }
  bool is_over() {
    const std::lock_guard lock(mutex_);
    return over_;
  }
  void rethrow() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  serve_detail::HttpServer& server_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  bool over_ = false;
  std::exception_ptr failure_;
  std::jthread thread_;
};

// Lets what was accepted be answered, until the time is over.
void finish(serve_detail::HttpServer& server, serve_detail::Service& service,
            Clock::time_point until) {
  server.begin_stop();
  while (service.under_way() > 0 && Clock::now() < until) std::this_thread::sleep_for(5ms);
  if (service.under_way() > 0) {
    service.abandon();
    return;
  }
  // Who comes now is told that it is over, instead of meeting a closed port in the middle of a request; not for ever.
  const auto tell_until = std::min(until, Clock::now() + kTell);
  auto quiet_since = Clock::now();
  while (Clock::now() < tell_until && Clock::now() - quiet_since < kQuiet) {
    std::this_thread::sleep_for(5ms);
    if (server.busy()) quiet_since = Clock::now();
  }
}

std::string address(const std::string& host, int port) {
  const bool v6 = host.find(':') != std::string::npos;
  return fmt::format("http://{}:{}", v6 ? '[' + host + ']' : host, port);
}

}  // namespace

void serve(const Predictor& predictor, const ServeOptions& options) {
  check(options);
  boundary([&] {
    warm_up(predictor);
    serve_detail::HttpServer server({.connections = options.max_connections,
                                     .max_body = options.max_body,
                                     .request_time = options.request_time,
                                     .idle_time = options.idle_time});
    serve_detail::Service service(predictor, options, server);
    const int port = server.bind(options.host, options.port);
    if (port <= 0) {
      throw IoError("serve.cannot_listen",
                    fmt::format("cannot listen at {}, port {}: another program may use it, or the "
                                "address is none of this machine",
                                options.host, options.port));
    }
    Listening listening(server);
    if (options.on_ready) options.on_ready(address(options.host, port));
    const bool asked = listening.wait(options.stop);
    const auto until = Clock::now() + options.grace;
    if (asked) finish(server, service, until);
    listening.end(until);
    listening.rethrow();
    if (!asked) throw Error("serve.failed", "the system no longer lets the server listen");
  });
}

}  // namespace fastcpp
