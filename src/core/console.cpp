#include "core/console.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

#include <poll.h>
#include <signal.h>

#include "fastcpp/core/log.hpp"

namespace fastcpp::inline v0 {
namespace {

// Writing where nobody reads any more sends a signal that ends the process. For this thread and this write it becomes
// an error like any other; what the program does with the signal elsewhere stays as it is.
class WithoutSigpipe {
 public:
  WithoutSigpipe() {
    ::sigemptyset(&pipe_);
    ::sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    ::sigemptyset(&pending);
    ::sigpending(&pending);
    was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
    ::pthread_sigmask(SIG_BLOCK, &pipe_, &former_);
  }
  ~WithoutSigpipe() {
    const int cause = errno;
    if (!was_pending_) {
      const timespec at_once{};
      while (::sigtimedwait(&pipe_, nullptr, &at_once) < 0 && errno == EINTR) {
      }
    }
    ::pthread_sigmask(SIG_SETMASK, &former_, nullptr);
    errno = cause;
  }
  WithoutSigpipe(const WithoutSigpipe&) = delete;
  WithoutSigpipe& operator=(const WithoutSigpipe&) = delete;

 private:
  sigset_t pipe_, former_;
  bool was_pending_ = false;
};

// Not through the buffer of stdio: what could not be written would stay there, to be tried again when the process ends.
bool write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const auto done = ::write(descriptor, text.data(), text.size());
    if (done >= 0) {
      text.remove_prefix(static_cast<std::size_t>(done));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      pollfd ready{descriptor, POLLOUT, 0};
      ::poll(&ready, 1, -1);
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

}  // namespace

void ConsoleStream::write(std::string_view text) {
  if (given_up_) return;
  std::FILE* file = descriptor_ == STDERR_FILENO ? stderr : stdout;
  int cause = 0;
  {
    const WithoutSigpipe scope;
    errno = 0;
    std::fflush(file);
    const int descriptor = ::fileno(file);
    const bool good =
        descriptor >= 0
            ? write_all(descriptor, text)
            // A program may put a stream of its own in the place of stdout.
            : std::fwrite(text.data(), 1, text.size(), file) == text.size() && !std::fflush(file);
    if (good) return;
    cause = errno;
  }
  given_up_ = true;
  static std::atomic<bool> warned = false;
  if (descriptor_ == STDERR_FILENO || warned.exchange(true)) return;
  log_warning(fmt::format("cannot write to the standard output: {}; nothing more is shown there",
                          std::generic_category().message(cause)));
}

}  // namespace fastcpp
