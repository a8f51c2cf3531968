// Work done in a process of its own, for what would harm this one.
#pragma once

#include <functional>
#include <string>

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

}  // namespace fastcpp::test
