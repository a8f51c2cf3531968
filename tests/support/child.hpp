// Work done in a process of its own, for what would harm this one.
#pragma once

#include <cstdio>
#include <exception>
#include <functional>
#include <string>
#include <utility>

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace fastcpp::test {

struct ChildResult {
  int status = 0;        // as waitpid gives it; 0: ended by itself with 0
  std::string warnings;  // what it wrote to standard error
};

// Runs `f` in a forked process, whose exit status is what `f` returns (99 when it throws). No other thread may run.
inline ChildResult in_child(const std::function<int()>& f) {
  ChildResult result;
  int ends[2];
  if (::pipe(ends) != 0) return {-1, "no pipe"};
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(ends[1], STDERR_FILENO);
    ::close(ends[0]);
    ::close(ends[1]);
    int status = 99;
    try {
      status = f();
    } catch (const std::exception& e) {
      ::dprintf(STDERR_FILENO, "%s\n", e.what());
    } catch (...) {
    }
    ::_exit(status);
  }
  ::close(ends[1]);
  char buffer[4096];
  for (ssize_t got; (got = ::read(ends[0], buffer, sizeof buffer)) > 0;)
    result.warnings.append(buffer, static_cast<std::size_t>(got));
  ::close(ends[0]);
  ::waitpid(child, &result.status, 0);
  return result;
}

// A process that begins when it is told to, with what it is told: forked before this one has threads, used after.
class WaitingChild {
 public:
  explicit WaitingChild(const std::function<int(const std::string&)>& f) {
    int ends[2];
    if (::pipe(ends) != 0) return;
    child_ = ::fork();
    if (child_ == 0) {
      ::close(ends[1]);
      std::string told;
      char buffer[4096];
      for (ssize_t got; (got = ::read(ends[0], buffer, sizeof buffer)) > 0;)
        told.append(buffer, static_cast<std::size_t>(got));
      int status = 99;
      try {
        if (!told.empty()) status = f(told);
      } catch (...) {
      }
      ::_exit(status);
    }
    ::close(ends[0]);
    to_ = ends[1];
    ::fcntl(to_, F_SETFD, FD_CLOEXEC);
  }
  ~WaitingChild() { wait(); }
  WaitingChild(const WaitingChild&) = delete;
  WaitingChild& operator=(const WaitingChild&) = delete;

  void begin(const std::string& told) {
    const auto written = ::write(to_, told.data(), told.size());
    static_cast<void>(written);
    ::close(std::exchange(to_, -1));
  }
  void kill() { ::kill(child_, SIGKILL); }
  // Its status, as waitpid gives it.
  int wait() {
    if (to_ >= 0) ::close(std::exchange(to_, -1));
    if (child_ > 0) ::waitpid(std::exchange(child_, -1), &status_, 0);
    return status_;
  }

 private:
  pid_t child_ = -1;
  int to_ = -1, status_ = -1;
};

}  // namespace fastcpp::test
