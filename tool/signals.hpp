// How a user stops what runs for long.
#pragma once

#include <stop_token>
#include <thread>

namespace tool {

// While it lives, SIGINT and SIGTERM request a stop instead of ending the program; a second one ends it at once, with
// kStopped. One at a time. Afterwards they end the program again: what follows is short.
class StopOnSignal {
 public:
  StopOnSignal();
  ~StopOnSignal();
  StopOnSignal(const StopOnSignal&) = delete;
  StopOnSignal& operator=(const StopOnSignal&) = delete;
  std::stop_token token() const { return source_.get_token(); }
  // For whoever else may ask for the stop; may outlive this.
  std::stop_source source() const { return source_; }

 private:
  std::stop_source source_;
  std::jthread watcher_;
};

}  // namespace tool
