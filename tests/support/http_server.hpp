// A web server on the loopback interface that does what a test tells it, also what no server should
// do.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace fastcpp::test {

class HttpServer {
 public:
  struct Request {
    std::string path;
    std::map<std::string, std::string> headers;  // names in lower case
  };
  struct Response {
    int status = 200;
    std::string body = {};
    std::string etag = {};  // sent, and compared with If-Range, when not empty
    bool ranges = true;     // a Range is answered with 206
    std::vector<std::pair<std::string, std::string>> headers = {};
    bool send_length = true;
    std::optional<long long> claimed_length =
        std::nullopt;  // sent as Content-Length instead of the truth
    std::optional<std::string> claimed_range =
        std::nullopt;  // sent as Content-Range instead of the truth
    std::optional<std::size_t> cut_after =
        std::nullopt;  // the connection ends after so many bytes of the body
    std::optional<std::size_t> stall_after =
        std::nullopt;            // nothing more comes after so many bytes of the body
    bool stall_headers = false;  // nothing comes at all
  };
  // Called for each request, with its number from 0; from one thread at a time.
  using Handler = std::function<Response(const Request&, int)>;

  explicit HttpServer(Handler handler);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::string url(const std::string& path) const;
  std::vector<Request> requests() const;

 private:
  void accept_all();
  void serve(int connection);
  void send_all(int connection, const std::string& bytes) const;
  void stall(int connection) const;

  Handler handler_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;
  std::vector<Request> requests_;
  std::vector<std::thread> connections_;
  std::thread thread_;
};

// A port where nobody listens.
int closed_port();

}  // namespace fastcpp::test
