// Servers of a test, and clients that behave as badly as they like.
#pragma once

#include <torch/types.h>

#include <chrono>
#include <future>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>

#include "fastcpp/io/value.hpp"
#include "fastcpp/serve/serve.hpp"

namespace fastcpp::test {

// A server that runs until the object ends.
class RunningServer {
 public:
  explicit RunningServer(const Predictor& predictor, ServeOptions options = {});
  ~RunningServer() { stop(); }
  int port() const { return port_; }
  // Returns once it has ended, and throws what it threw.
  void stop();
  // Does not wait.
  void request_stop() { stop_.request_stop(); }

 private:
  std::stop_source stop_;
  std::future<void> ended_;
  int port_ = 0;
};

struct Answer {
  int status = 0;  // 0: there was none
  std::string head, body;
  // The code of the error in it; empty where there is none.
  std::string code() const;
  Value json() const;
};

class Client {
 public:
  explicit Client(int port);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  bool connected() const { return socket_ >= 0; }
  // False: the other side no longer takes it.
  bool send(std::string_view bytes);
  void end_sending();
  // Of the next answer; waits at most this long.
  Answer read(std::chrono::milliseconds patience = std::chrono::seconds(60), bool with_body = true);
  // Whether the other side closed the connection, within some time.
  bool is_closed(std::chrono::milliseconds patience = std::chrono::seconds(10));

 private:
  int socket_ = -1;
  std::string rest_;
};

std::string get_text(const std::string& path, const std::string& headers = "");
std::string post_text(const std::string& path, std::string_view body,
                      const std::string& headers = "");
// A form with pictures, for post_text; `headers` gets what names its boundary.
std::string form(const std::vector<std::pair<std::string, std::string>>& parts,
                 std::string& headers);

// One request over a connection of its own.
Answer ask(int port, const std::string& text);
Answer post(int port, std::string_view body, const std::string& path = "/predict",
            const std::string& headers = "");

// Content of a picture file.
std::string png(int rows, int cols, int seed = 1);

// Knows pictures of any size; made in no time.
Predictor small_predictor();

}  // namespace fastcpp::test
