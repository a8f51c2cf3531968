// The connections of a server. Each has its limits, so that none keeps a thread or memory for ever, and a request that was
// taken is answered, whenever the server is stopped.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "compat/httplib.hpp"

namespace fastcpp::inline v0::serve_detail {

using Clock = std::chrono::steady_clock;

struct Limits {
  int connections = 64;
  std::size_t max_body = 0;
  Clock::duration request_time{}, idle_time{};
};

// The bytes of one connection, as httplib reads and writes them. Used by one thread.
class Connection final : public httplib::Stream {
 public:
  // Why there are no further bytes.
  enum class Trouble { kNone, kSlow, kLong, kGone };

  // What is referred to must outlive it.
  Connection(socket_t socket, const Limits& limits, const std::atomic<bool>& abandoned)
      : socket_(socket), limits_(limits), abandoned_(abandoned) {}
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // The connection that this thread answers; only while it does.
  static Connection* current();

  // Whether a request begins before the time is over or `hurry` says that others wait; a new connection gets a moment.
  bool wait_for_request(const std::function<bool()>& hurry);
  void begin_request();
  // From here on come the bytes of the body.
  void header_is_there(httplib::Request& request);
  // The answer says so, and what the client still sends is thrown away.
  void close_afterwards();

  Trouble trouble() const { return trouble_; }
  bool must_close() const { return must_close_; }
  bool answered() const { return answered_; }
  // Whether what is read now is the body.
  bool has_header() const { return request_ != nullptr; }

  bool is_readable() const;
  bool wait_readable() const { return is_readable(); }
  bool is_writable() const;
  bool wait_writable() const { return is_writable(); }
  time_t duration() const { return 0; }
  ssize_t read(char* to, std::size_t size) override;
  ssize_t write(const char* from, std::size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  socket_t socket() const override { return socket_; }

 private:
  friend class Answering;
  bool wait(short events, Clock::time_point until) const;
  ssize_t receive(char* to, std::size_t size);
  void throw_away_rest();

  const socket_t socket_;
  const Limits& limits_;
  const std::atomic<bool>& abandoned_;
  std::array<char, 16384> buffer_{};
  std::size_t at_ = 0, end_ = 0;            // what of the buffer is still to be read
  std::size_t received_ = 0, allowed_ = 0;  // bytes of this part of the request
  std::size_t lines_ = 0, line_ = 0;        // of its header; bytes of the last one
  Clock::time_point until_ = {};
  httplib::Request* request_ = nullptr;
  Trouble trouble_ = Trouble::kNone;
  bool fresh_ = true;  // no request yet
  bool must_close_ = false;
  bool answered_ = false;
};

// Threads that each answer one connection at a time. As many may wait for their turn, further ones in the system's queue.
class Pool final : public httplib::TaskQueue {
 public:
  // `stopping` becomes true when the listening ends, for whatever reason.
  Pool(int threads, std::atomic<int>& waiting, std::atomic<bool>& stopping);
  ~Pool() override { shutdown(); }
  compat::Enqueued enqueue(std::function<void()> task) override;
  // After all that was enqueued is done.
  void shutdown() override;

 private:
  void work();
  const std::size_t most_;
  std::atomic<int>& waiting_;
  std::atomic<bool>& stopping_;
  std::mutex mutex_;
  std::condition_variable changed_, room_;
  std::deque<std::function<void()>> tasks_;
  bool over_ = false;
  std::vector<std::jthread> threads_;
};

class HttpServer final : public compat::Server {
 public:
  explicit HttpServer(const Limits& limits);

  // Binds to a port, 0: any. Connections may wait for their turn in numbers. Returns the port, or -1.
  int bind(const std::string& host, int port);
  // Connections end with the request under way. What comes in meanwhile is still read, to be refused in words.
  void begin_stop() { stopping_ = true; }
  bool stopping() const { return stopping_; }
  // Whether a connection waits for its turn, also at the system, or is in the middle of a request.
  bool busy() const;
  // Does nothing while it does not listen yet, or no more.
  void end_listening();
  // For a listening that failed before it began.
  void close_port();
  // Nothing is read or written any more.
  void abandon() { abandoned_ = true; }
  int active() const { return active_; }

 private:
  bool process_and_close_socket(socket_t socket) override;
  static void refuse_header(Connection& connection);
  static void prepare(httplib::Request& request);

  const Limits limits_;
  std::atomic<bool> stopping_{false}, abandoned_{false};
  std::atomic<int> waiting_{0}, active_{0};
};

}  // namespace fastcpp::serve_detail
