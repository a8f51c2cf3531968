#include "serve/http_server.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace fastcpp::inline v0::serve_detail {
namespace {

constexpr std::size_t kMaxHeader = 64 << 10;
// Later versions of httplib take no more, and do not say why.
constexpr std::size_t kMaxHeaderLines = 100, kMaxHeaderLine = 8000;
// How long what a client still sends after its answer is thrown away. Closed at once, its system might throw the answer away.
constexpr auto kRest = std::chrono::seconds(2);
// How long a new connection may stay without a request where others wait for its thread.
constexpr auto kFirst = std::chrono::milliseconds(500);
// How often a thread that waits looks whether it should not.
constexpr auto kLook = std::chrono::milliseconds(50);

constexpr const char* kSlowHeader =
    R"({"error":{"code":"serve.too_slow","message":"the request did not arrive in time"}})";
constexpr const char* kLongHeader =
    R"({"error":{"code":"serve.too_large","message":"the header of the request is too long"}})";

// Whether both sides agree where the body ends; else what follows might be taken for a request that nobody sent.
bool has_clear_length(const httplib::Request& request) {
  if (request.has_header("Transfer-Encoding")) return false;
  const auto count = request.get_header_value_count("Content-Length");
  const auto length = request.get_header_value("Content-Length");
  return count == 0 || (count == 1 && !length.empty() && length.size() < 19 &&
                        length.find_first_not_of("0123456789") == std::string::npos);
}

thread_local Connection* t_current = nullptr;

int milliseconds_until(Clock::time_point until) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now());
  return static_cast<int>(std::clamp<std::chrono::milliseconds>(left, {}, kLook).count());
}

void address(const sockaddr_storage& from, std::string& ip, int& port) {
  char text[INET6_ADDRSTRLEN] = "";
  if (from.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(from);
    ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    port = ntohs(v4.sin_port);
  } else if (from.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(from);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    port = ntohs(v6.sin6_port);
  }
  ip = text;
}

}  // namespace

Connection::~Connection() {
  if (must_close_ && answered_) throw_away_rest();
  ::close(socket_);
}

Connection* Connection::current() {
  return t_current;
}

// Waits until the socket is ready. False: the time is over, or the server gives up.
bool Connection::wait(short events, Clock::time_point until) const {
  while (!abandoned_) {
    pollfd one{socket_, events, 0};
    const int ready = ::poll(&one, 1, milliseconds_until(until));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
    if (ready == 0 && Clock::now() >= until) return false;
  }
  return false;
}

bool Connection::wait_for_request(const std::function<bool()>& hurry) {
  if (at_ < end_) return true;
  const auto start = Clock::now();
  const auto until = start + limits_.idle_time;
  // A client that has just connected is about to send; at least one look: what has arrived was accepted.
  const auto first = std::exchange(fresh_, false) ? std::min(until, start + kFirst) : start;
  const auto may_end = [&] { return hurry() && Clock::now() >= first; };
  do {
    pollfd one{socket_, POLLIN, 0};
    const int ready =
        ::poll(&one, 1, hurry() ? milliseconds_until(first) : milliseconds_until(until));
    if (ready > 0) {
      char byte;
      const auto n = ::recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
      if (n > 0) return true;
      if (n == 0 || (errno != EINTR && errno != EAGAIN)) return false;
    }
    if (ready < 0 && errno != EINTR) return false;
  } while (!may_end() && !abandoned_ && Clock::now() < until);
  return false;
}

void Connection::begin_request() {
  until_ = Clock::now() + limits_.request_time;
  received_ = lines_ = line_ = 0;
  allowed_ = kMaxHeader;
  answered_ = false;
}

void Connection::header_is_there(httplib::Request& request) {
  request_ = &request;
  received_ = 0;
  // Bodies in chunks are longer than what is in them.
  allowed_ = 2 * limits_.max_body + kMaxHeader;
}

void Connection::close_afterwards() {
  must_close_ = true;
  if (!request_) return;
  request_->headers.erase("Connection");
  request_->headers.emplace("Connection", "close");
}

ssize_t Connection::receive(char* to, std::size_t size) {
  for (;;) {
    if (!wait(POLLIN, until_)) {
      trouble_ = abandoned_ ? Trouble::kGone : Trouble::kSlow;
      return -1;
    }
    const auto n = ::recv(socket_, to, size, MSG_DONTWAIT);
    if (n >= 0) return n;
    if (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK) continue;
    trouble_ = Trouble::kGone;
    return -1;
  }
}

ssize_t Connection::read(char* to, std::size_t size) {
  if (trouble_ != Trouble::kNone) return -1;
  const bool in_header = !has_header();
  if (received_ >= allowed_ ||
      (in_header && (lines_ >= kMaxHeaderLines || line_ > kMaxHeaderLine))) {
    trouble_ = Trouble::kLong;
    return -1;
  }
  if (at_ == end_) {
    // Also for a client whose bytes never stop coming.
    if (Clock::now() >= until_) {
      trouble_ = Trouble::kSlow;
      return -1;
    }
    const auto n = receive(buffer_.data(), buffer_.size());
    if (n <= 0) return n;
    at_ = 0;
    end_ = static_cast<std::size_t>(n);
  }
  const auto n = std::min({size, end_ - at_, allowed_ - received_});
  std::copy_n(buffer_.data() + at_, n, to);
  for (std::size_t i = 0; in_header && i < n; ++i) {
    const bool end = to[i] == '\n';
    lines_ += end;
    line_ = end ? 0 : line_ + 1;
  }
  at_ += n;
  received_ += n;
  return static_cast<ssize_t>(n);
}

ssize_t Connection::write(const char* from, std::size_t size) {
  answered_ = true;
  // An answer has as much time as a request, however long that took.
  const auto until = Clock::now() + limits_.request_time;
  std::size_t sent = 0;
  while (sent < size) {
    if (!wait(POLLOUT, until)) return -1;
    const auto n = ::send(socket_, from + sent, size - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0) sent += static_cast<std::size_t>(n);
    if (n < 0 && errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK) return -1;
  }
  return static_cast<ssize_t>(size);
}

void Connection::throw_away_rest() {
  ::shutdown(socket_, SHUT_WR);
  const auto until = Clock::now() + kRest;
  while (Clock::now() < until && wait(POLLIN, until)) {
    const auto n = ::recv(socket_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) return;
  }
}

bool Connection::is_readable() const {
  return at_ < end_ || wait(POLLIN, until_);
}

bool Connection::is_writable() const {
  return wait(POLLOUT, Clock::now() + limits_.request_time);
}

void Connection::get_remote_ip_and_port(std::string& ip, int& port) const {
  sockaddr_storage from{};
  socklen_t size = sizeof from;
  if (::getpeername(socket_, reinterpret_cast<sockaddr*>(&from), &size) == 0) {
    address(from, ip, port);
  }
}

void Connection::get_local_ip_and_port(std::string& ip, int& port) const {
  sockaddr_storage from{};
  socklen_t size = sizeof from;
  if (::getsockname(socket_, reinterpret_cast<sockaddr*>(&from), &size) == 0) {
    address(from, ip, port);
  }
}

// One request of a connection.
class Answering {
 public:
  Answering(Connection& connection, std::atomic<int>& active)
      : connection_(connection), active_(active) {
    t_current = &connection;
    ++active_;
    connection.begin_request();
  }
  ~Answering() {
    --active_;
    t_current = nullptr;
    connection_.request_ = nullptr;
  }
  Answering(const Answering&) = delete;
  Answering& operator=(const Answering&) = delete;

 private:
  Connection& connection_;
  std::atomic<int>& active_;
};

Pool::Pool(int threads, std::atomic<int>& waiting, std::atomic<bool>& stopping)
    : most_(static_cast<std::size_t>(threads)), waiting_(waiting), stopping_(stopping) {
  try {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
  } catch (...) {
    shutdown();
    throw;
  }
}

compat::Enqueued Pool::enqueue(std::function<void()> task) {
  {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] { return tasks_.size() < most_; });
    tasks_.push_back(std::move(task));
    ++waiting_;
  }
  changed_.notify_one();
  return compat::Enqueued(true);
}

void Pool::shutdown() {
  stopping_ = true;
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  changed_.notify_all();
  threads_.clear();
}

void Pool::work() {
  for (;;) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return over_ || !tasks_.empty(); });
    if (tasks_.empty()) return;
    const auto task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    room_.notify_one();
    // Whatever a task throws concerns its connection alone, not those that this thread is to answer next.
    try {
      task();
    } catch (...) {
    }
  }
}

HttpServer::HttpServer(const Limits& limits) : limits_(limits) {
  new_task_queue = [this] { return new Pool(limits_.connections, waiting_, stopping_); };
  // Not httplib's default, which lets two programs share one port.
  set_socket_options([](socket_t socket) {
    const int yes = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  });
  set_tcp_nodelay(true);
  set_keep_alive_timeout(std::chrono::ceil<std::chrono::seconds>(limits_.idle_time).count());
  set_keep_alive_max_count(1'000'000);
}

int HttpServer::bind(const std::string& host, int port) {
  if (port == 0) {
    port = bind_to_any_port(host);
  } else if (!bind_to_port(host, port)) {
    port = -1;
  }
  // httplib lets five wait, and the system tells no client beyond that.
  if (port > 0) ::listen(svr_sock_, SOMAXCONN);
  return port;
}

bool HttpServer::busy() const {
  if (waiting_ > 0 || active_ > 0) return true;
  pollfd one{svr_sock_, POLLIN, 0};
  return ::poll(&one, 1, 0) > 0;
}

void HttpServer::end_listening() {
  if (svr_sock_ != INVALID_SOCKET) stop();
}

void HttpServer::close_port() {
  const auto socket = svr_sock_.exchange(INVALID_SOCKET);
  if (socket != INVALID_SOCKET) ::close(socket);
}

bool HttpServer::process_and_close_socket(socket_t socket) {
  --waiting_;
  // What goes wrong here concerns this connection alone.
  try {
    Connection connection(socket, limits_, abandoned_);
    const auto hurry = [&] { return stopping_ || waiting_ > 0; };
    while (connection.wait_for_request(hurry)) {
      const Answering answering(connection, active_);
      bool closed = false;
      const bool useful = answer(connection, closed, [&](httplib::Request& request) {
        connection.header_is_there(request);
        prepare(request);
        // The answer says that the connection ends, where it would not be waited for.
        if (hurry() || !has_clear_length(request)) connection.close_afterwards();
      });
      if (!connection.answered()) refuse_header(connection);
      if (!useful || closed || connection.must_close()) break;
    }
  } catch (...) {
  }
  return true;
}

// httplib says nothing where a header does not end.
void HttpServer::refuse_header(Connection& connection) {
  using Trouble = Connection::Trouble;
  const auto trouble = connection.trouble();
  if (trouble != Trouble::kSlow && trouble != Trouble::kLong) return;
  connection.close_afterwards();
  const bool slow = trouble == Trouble::kSlow;
  const std::string body = slow ? kSlowHeader : kLongHeader;
  const std::string text =
      std::string("HTTP/1.1 ") +
      (slow ? "408 Request Timeout" : "431 Request Header Fields Too Large") +
      "\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: " +
      std::to_string(body.size()) + "\r\n\r\n" + body;
  connection.write(text.data(), text.size());
}

// Answers are short, and made once: neither compressed nor given in parts.
void HttpServer::prepare(httplib::Request& request) {
  request.headers.erase("Accept-Encoding");
  request.ranges.clear();
}

}  // namespace fastcpp::serve_detail
