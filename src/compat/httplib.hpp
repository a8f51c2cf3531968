// What differs between the cpp-httplib of Debian 12 (0.11) and later ones.
#pragma once

#include <httplib.h>

#include <csignal>
#include <functional>
#include <mutex>
#include <string>
#include <utility>

namespace fastcpp::inline v0::compat {

// What TaskQueue::enqueue returns: nothing, later whether there was room.
using Enqueued = decltype(std::declval<httplib::TaskQueue&>().enqueue(nullptr));

// httplib's server ignores SIGPIPE for the whole process, which is not a library's to decide; ours sends without it. One
// server at a time is made, else a second one would restore what the first has just set.
class KeepSigpipe {
 public:
  KeepSigpipe() : lock_(mutex()) { ::sigaction(SIGPIPE, nullptr, &before_); }
  void restore() {
    ::sigaction(SIGPIPE, &before_, nullptr);
    lock_.unlock();
  }

 private:
  static std::mutex& mutex() {
    static std::mutex one;
    return one;
  }
  std::unique_lock<std::mutex> lock_;
  struct sigaction before_ {};
};

// For classes made of httplib's server that read their connections themselves.
class Server : private KeepSigpipe, public httplib::Server {
 public:
  Server() { restore(); }

 protected:
  using Ready = std::function<void(httplib::Request&)>;

  // Reads one request and answers it. `ready` sees it once its header is there. False: the connection is of no more use.
  bool answer(httplib::Stream& stream, bool& closed, const Ready& ready) {
    return answer_by(*this, stream, closed, ready);
  }

 private:
  template <typename Self>
  static bool answer_by(Self& self, httplib::Stream& stream, bool& closed, const Ready& ready) {
    if constexpr (requires { self.process_request(stream, false, closed, ready); }) {
      return self.process_request(stream, false, closed, ready);
    } else {
      std::string remote, local;
      int remote_port = 0, local_port = 0;
      stream.get_remote_ip_and_port(remote, remote_port);
      stream.get_local_ip_and_port(local, local_port);
      return self.process_request(stream, remote, remote_port, local, local_port, false, closed,
                                  ready);
    }
  }
};

}  // namespace fastcpp::compat
