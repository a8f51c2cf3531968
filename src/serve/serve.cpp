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

namespace fastcpp {
namespace {

using namespace std::chrono_literals;
using serve_detail::Clock;

// After which a server that is being stopped and has nothing under way ends.
constexpr auto kQuiet = 100ms;

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
}

// Finds out now whether pictures can be predicted at all; the first one takes longer than the others.
void warm_up(const Predictor& predictor) {
  try {
    const cv::Mat grey(256, 256, CV_8UC3, cv::Scalar(128, 128, 128));
    predictor.compute({predictor.prepare(Image::from_rgb(grey))});
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
      }
      const std::lock_guard lock(mutex_);
      over_ = true;
      changed_.notify_all();
    });
  }
  ~Listening() { end(); }

  // True: a stop is requested. False: the listening ended by itself.
  bool wait(std::stop_token stop) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, std::move(stop), [&] { return over_; });
    return !over_;
  }
  // Returns once every connection is closed.
  void end() {
    while (!is_over()) {
      // Until the system listens there is nothing to stop.
      server_.stop();
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

// Lets what was accepted be answered.
void finish(serve_detail::HttpServer& server, serve_detail::Service& service,
            std::chrono::milliseconds grace) {
  server.begin_stop();
  const auto until = Clock::now() + grace;
  auto quiet_since = Clock::now();
  while (Clock::now() < until && Clock::now() - quiet_since < kQuiet) {
    std::this_thread::sleep_for(5ms);
    if (server.busy()) quiet_since = Clock::now();
  }
  if (server.busy()) {
    service.abandon();
    server.abandon();
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
    if (asked) finish(server, service, options.grace);
    listening.end();
    listening.rethrow();
    if (!asked) throw Error("serve.failed", "the system no longer lets the server listen");
  });
}

}  // namespace fastcpp
