// How sinks are called.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace fastcpp::inline v0 {

// The calls to one sink: one at a time, in order, and with no lock held. Who finds the sink free calls it; who finds it
// busy leaves the call to the thread that is in there and goes on. So a sink may call the library, or wait for a thread
// that does.
class SinkQueue {
 public:
  enum class WhenBusy { kWait, kSkip };

  // Makes the call, or leaves it to the thread in the sink; false when it will never be made. Calls that a sink causes
  // while it is called are made afterwards; what those cause in turn is left out, or it might never end.
  bool call(std::function<void()> f, WhenBusy when_busy = WhenBusy::kWait);
  // Until all calls so far are made; at once from inside the sink.
  void flush();

 private:
  struct Call {
    std::function<void()> f;
    bool from_inside;
  };
  bool next(Call& current);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::thread::id owner_;  // the thread in the sink
  bool from_inside_ = false;
  std::deque<Call> waiting_;
  std::uint64_t accepted_ = 0, finished_ = 0;
};

// What `f` threw, in words; nothing when it threw nothing.
std::optional<std::string> thrown_by(const std::function<void()>& f);

}  // namespace fastcpp
