#include "serve/client.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#include "deploy/tiny_model.hpp"
#include "fastcpp/io/json.hpp"

namespace fastcpp::test {

RunningServer::RunningServer(const Predictor& predictor, ServeOptions options) {
  std::promise<int> ready;
  auto port = ready.get_future();
  options.port = 0;
  options.stop = stop_.get_token();
  options.on_ready = [&](const std::string& address) {
    ready.set_value(std::atoi(address.substr(address.rfind(':') + 1).c_str()));
  };
  ended_ = std::async(std::launch::async, [predictor, options] { serve(predictor, options); });
  while (port.wait_for(std::chrono::milliseconds(10)) != std::future_status::ready) {
    if (ended_.wait_for(std::chrono::seconds(0)) == std::future_status::ready) ended_.get();
  }
  port_ = port.get();
}

void RunningServer::stop() {
  stop_.request_stop();
  if (ended_.valid()) ended_.get();
}

Value Answer::json() const {
  return from_json(body);
}

std::string Answer::code() const {
  if (body.empty() || body[0] != '{') return {};
  const auto value = json();
  const auto* error = value.find("error");
  return error ? error->at("code").as_string() : std::string();
}

Client::Client(int port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0) {
    socket_ = socket;
  } else {
    ::close(socket);
  }
}

Client::~Client() {
  if (socket_ >= 0) ::close(socket_);
}

bool Client::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto n = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

void Client::end_sending() {
  ::shutdown(socket_, SHUT_WR);
}

namespace {

// False: nothing came, or the end.
bool receive(int socket, std::string& to, std::chrono::steady_clock::time_point until) {
  if (socket < 0) return false;  // poll would wait for it until the time is over
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
  pollfd one{socket, POLLIN, 0};
  if (::poll(&one, 1, std::max(0, static_cast<int>(left.count()))) <= 0) return false;
  char bytes[65536];
  const auto n = ::recv(socket, bytes, sizeof bytes, 0);
  if (n <= 0) return false;
  to.append(bytes, static_cast<std::size_t>(n));
  return true;
}

std::string header(const std::string& head, const std::string& name) {
  const auto at = head.find("\r\n" + name + ": ");
  if (at == std::string::npos) return {};
  const auto from = at + name.size() + 4;
  return head.substr(from, head.find("\r\n", from) - from);
}

}  // namespace

Answer Client::read(std::chrono::milliseconds patience, bool with_body) {
  const auto until = std::chrono::steady_clock::now() + patience;
  std::size_t end;
  while ((end = rest_.find("\r\n\r\n")) == std::string::npos) {
    if (!receive(socket_, rest_, until)) return {};
  }
  Answer answer;
  answer.head = rest_.substr(0, end + 2);
  rest_.erase(0, end + 4);
  answer.status = std::atoi(answer.head.substr(9, 3).c_str());
  const auto size =
      static_cast<std::size_t>(std::atol(header(answer.head, "Content-Length").c_str()));
  if (!with_body) return answer;
  while (rest_.size() < size) {
    if (!receive(socket_, rest_, until)) return {};
  }
  answer.body = rest_.substr(0, size);
  rest_.erase(0, size);
  return answer;
}

bool Client::is_closed(std::chrono::milliseconds patience) {
  pollfd one{socket_, POLLIN, 0};
  if (::poll(&one, 1, static_cast<int>(patience.count())) <= 0) return false;
  char byte;
  return ::recv(socket_, &byte, 1, MSG_PEEK) <= 0;
}

std::string get_text(const std::string& path, const std::string& headers) {
  return "GET " + path + " HTTP/1.1\r\nHost: test\r\n" + headers + "\r\n";
}

std::string post_text(const std::string& path, std::string_view body, const std::string& headers) {
  return "POST " + path +
         " HTTP/1.1\r\nHost: test\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
         headers + "\r\n" + std::string(body);
}

std::string form(const std::vector<std::pair<std::string, std::string>>& parts,
                 std::string& headers) {
  headers = "Content-Type: multipart/form-data; boundary=xXxXx\r\n";
  std::string body;
  for (const auto& [name, bytes] : parts) {
    body += "--xXxXx\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" + name +
            "\"\r\nContent-Type: image/png\r\n\r\n" + bytes + "\r\n";
  }
  return body + "--xXxXx--\r\n";
}

Answer ask(int port, const std::string& text) {
  Client client(port);
  client.send(text);
  return client.read();
}

Answer post(int port, std::string_view body, const std::string& path, const std::string& headers) {
  return ask(port, post_text(path, body, headers));
}

std::string png(int rows, int cols, int seed) {
  const TempDir dir;
  torch::manual_seed(static_cast<std::uint64_t>(seed));
  Image::from_tensor(torch::rand({3, rows, cols})).save(dir / "one.png");
  return read_file(dir / "one.png");
}

Predictor small_predictor() {
  const TempDir dir;
  return Predictor(tiny_learner(pictures(dir)));
}

}  // namespace fastcpp::test
