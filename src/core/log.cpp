#include "fastcpp/core/log.hpp"

#include <fmt/format.h>

#include <exception>
#include <memory>
#include <mutex>
#include <utility>

#include "core/console.hpp"
#include "core/sink_queue.hpp"

namespace fastcpp::inline v0 {
namespace {

void console_sink(LogLevel level, std::string_view message) {
  static ConsoleStream out(STDOUT_FILENO), err(STDERR_FILENO);
  const bool warning = level == LogLevel::kWarning;
  (warning ? err : out).write(fmt::format("{}{}\n", warning ? "warning: " : "", message));
}

struct Sink {
  LogSink call;
  bool has_thrown = false;  // touched inside the queue only

  void tell(LogLevel level, const std::string& message) {
    const auto cause = thrown_by([&] { call(level, message); });
    if (!cause || std::exchange(has_thrown, true)) return;
    thrown_by([&] {
      call(LogLevel::kWarning,
           fmt::format("the log sink threw an exception: {}; the work goes on, and further "
                       "exceptions of the sink are not told",
                       *cause));
    });
  }
};

struct LogState {
  std::mutex mutex;
  std::shared_ptr<Sink> sink = std::make_shared<Sink>(Sink{console_sink});
  SinkQueue queue;
};

LogState& log_state() {
  // Lives as long as anything that may log; a program's own sink goes when the program ends.
  static LogState& instance = *new LogState;
  static const struct AtExit {
    ~AtExit() {
      auto none = std::make_shared<Sink>();
      const std::scoped_lock lock(instance.mutex);
      instance.sink.swap(none);
    }
  } at_exit;
  return instance;
}

void log(LogLevel level, std::string_view message) {
  auto& log = log_state();
  std::shared_ptr<Sink> sink;
  {
    const std::scoped_lock lock(log.mutex);
    sink = log.sink;
  }
  if (!sink->call) return;
  try {
    log.queue.call([sink, level, text = std::string(message)] { sink->tell(level, text); });
  } catch (const std::exception&) {  // no memory for the message
  }
}

}  // namespace

LogSink set_log_sink(LogSink sink) {
  auto& log = log_state();
  auto changed = std::make_shared<Sink>(Sink{std::move(sink)});
  {
    const std::scoped_lock lock(log.mutex);
    log.sink.swap(changed);
  }
  log.queue.flush();
  return changed->call;
}

void log_info(std::string_view message) {
  log(LogLevel::kInfo, message);
}
void log_warning(std::string_view message) {
  log(LogLevel::kWarning, message);
}

}  // namespace fastcpp
