#include "support/http_server.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <sstream>
#include <stdexcept>

namespace fastcpp::test {
namespace {

// Bound to a free port of the loopback interface; returns socket and port.
std::pair<int, int> bound_socket() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (fd < 0 || ::bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("no socket on the loopback interface");
  }
  return {fd, ntohs(address.sin_port)};
}

bool readable(int fd, int milliseconds) {
  pollfd wait{fd, POLLIN, 0};
  return ::poll(&wait, 1, milliseconds) > 0;
}

HttpServer::Request parse(const std::string& head) {
  HttpServer::Request request;
  std::istringstream lines(head);
  std::string method, line;
  lines >> method >> request.path;
  std::getline(lines, line);
  while (std::getline(lines, line) && line != "\r") {
    const auto colon = line.find(':');
    std::string name = line.substr(0, colon);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const auto first = line.find_first_not_of(' ', colon + 1);
    request.headers[name] = line.substr(first, line.find_last_not_of("\r ") + 1 - first);
  }
  return request;
}

}  // namespace

int closed_port() {
  const auto [fd, port] = bound_socket();
  ::close(fd);
  return port;
}

HttpServer::HttpServer(Handler handler) : handler_(std::move(handler)) {
  std::tie(listener_, port_) = bound_socket();
  if (::listen(listener_, 64) != 0) throw std::runtime_error("cannot listen");
  thread_ = std::thread([this] { accept_all(); });
}

HttpServer::~HttpServer() {
  stopping_ = true;
  thread_.join();
  for (std::thread& connection : connections_) connection.join();
  ::close(listener_);
}

std::string HttpServer::url(const std::string& path) const {
  return fmt::format("http://127.0.0.1:{}{}", port_, path);
}

std::vector<HttpServer::Request> HttpServer::requests() const {
  std::scoped_lock lock(mutex_);
  return requests_;
}

void HttpServer::accept_all() {
  while (!stopping_) {
    if (!readable(listener_, 10)) continue;
    const int connection = ::accept(listener_, nullptr, nullptr);
    if (connection < 0) continue;
    connections_.emplace_back([this, connection] {
      serve(connection);
      ::close(connection);
    });
  }
}

void HttpServer::send_all(int connection, const std::string& bytes) const {
  for (std::size_t at = 0; at < bytes.size();) {
    const auto sent = ::send(connection, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
    if (sent <= 0) return;
    at += static_cast<std::size_t>(sent);
  }
}

void HttpServer::stall(int connection) const {
  char byte;
  while (!stopping_) {
    if (readable(connection, 10) && ::recv(connection, &byte, 1, 0) <= 0) return;
  }
}

void HttpServer::serve(int connection) {
  std::string head;
  while (head.find("\r\n\r\n") == head.npos) {
    if (stopping_) return;
    if (!readable(connection, 10)) continue;
    char buffer[4096];
    const auto got = ::recv(connection, buffer, sizeof buffer, 0);
    if (got <= 0) return;
    head.append(buffer, static_cast<std::size_t>(got));
  }
  const Request request = parse(head);
  Response response;
  {
    std::scoped_lock lock(mutex_);
    requests_.push_back(request);
    response = handler_(request, static_cast<int>(requests_.size()) - 1);
  }
  if (response.stall_headers) return stall(connection);

  std::string body = response.body;
  std::string headers;
  const auto range = request.headers.find("range");
  const auto condition = request.headers.find("if-range");
  const bool same = condition == request.headers.end() || condition->second == response.etag;
  if (response.status == 200 && response.ranges && same && range != request.headers.end()) {
    const auto first = static_cast<std::size_t>(
        std::strtoull(range->second.c_str() + std::string("bytes=").size(), nullptr, 10));
    const std::size_t total = body.size();
    response.status = first < total ? 206 : 416;
    body = first < total ? body.substr(first) : "";
    headers += fmt::format(
        "Content-Range: {}\r\n",
        response.claimed_range.value_or(fmt::format("bytes {}-{}/{}", first, total - 1, total)));
  }
  if (!response.etag.empty()) headers += fmt::format("ETag: {}\r\n", response.etag);
  for (const auto& [name, value] : response.headers) headers += name + ": " + value + "\r\n";
  if (response.send_length) {
    headers += fmt::format("Content-Length: {}\r\n",
                           response.claimed_length.value_or(static_cast<long long>(body.size())));
  }
  send_all(connection, fmt::format("HTTP/1.1 {} Test\r\n{}Connection: close\r\n\r\n",
                                   response.status, headers));
  const auto sent = response.stall_after ? response.stall_after : response.cut_after;
  send_all(connection, body.substr(0, sent.value_or(body.size())));
  if (response.stall_after) return stall(connection);
  // Without this, closing may throw away what is still on its way.
  ::shutdown(connection, SHUT_WR);
}

}  // namespace fastcpp::test
