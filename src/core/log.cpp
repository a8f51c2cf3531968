#include "fastcpp/core/log.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <mutex>
#include <utility>

namespace fastcpp {
namespace {

void console_sink(LogLevel level, std::string_view message) {
  if (level == LogLevel::kWarning) {
    fmt::print(stderr, "warning: {}\n", message);
  } else {
    fmt::print("{}\n", message);
    std::fflush(stdout);
  }
}

struct State {
  std::mutex mutex;
  LogSink sink = console_sink;
};

State& state() {
  static State instance;
  return instance;
}

void log(LogLevel level, std::string_view message) {
  std::scoped_lock lock(state().mutex);
  if (state().sink) state().sink(level, message);
}

}  // namespace

LogSink set_log_sink(LogSink sink) {
  std::scoped_lock lock(state().mutex);
  return std::exchange(state().sink, std::move(sink));
}

void log_info(std::string_view message) {
  log(LogLevel::kInfo, message);
}
void log_warning(std::string_view message) {
  log(LogLevel::kWarning, message);
}

}  // namespace fastcpp
