#include "core/sink_queue.hpp"

#include <exception>
#include <utility>

#if defined(__GLIBCXX__)
#include <cxxabi.h>
#endif

#include "fastcpp/core/boundary.hpp"

namespace fastcpp::inline v0 {

bool SinkQueue::call(std::function<void()> f, WhenBusy when_busy) {
  Call current{std::move(f), false};
  {
    const std::scoped_lock lock(mutex_);
    const bool from_inside = owner_ == std::this_thread::get_id();
    if (from_inside && from_inside_) return false;
    if (owner_ != std::thread::id()) {
      if (when_busy == WhenBusy::kSkip) return false;
      current.from_inside = from_inside;
      waiting_.push_back(std::move(current));
      ++accepted_;
      return true;
    }
    owner_ = std::this_thread::get_id();
    from_inside_ = false;
    ++accepted_;
  }
  // A thread that is cancelled in the sink leaves it to others.
  struct Leave {
    SinkQueue& queue;
    bool needed = true;
    ~Leave() {
      if (!needed) return;
      const std::scoped_lock lock(queue.mutex_);
      queue.owner_ = {};
      queue.changed_.notify_all();
    }
  } leave{*this};
  do {
    thrown_by(current.f);
  } while (next(current));
  leave.needed = false;
  return true;
}

// The next call to make; without one, the sink is free.
bool SinkQueue::next(Call& current) {
  current.f = nullptr;  // what it held goes before the lock is taken
  const std::scoped_lock lock(mutex_);
  ++finished_;
  changed_.notify_all();
  if (waiting_.empty()) {
    owner_ = {};
    return false;
  }
  current = std::move(waiting_.front());
  waiting_.pop_front();
  from_inside_ = current.from_inside;
  return true;
}

void SinkQueue::flush() {
  std::unique_lock lock(mutex_);
  if (owner_ == std::this_thread::get_id()) return;
  changed_.wait(lock, [this, until = accepted_] {
    return finished_ >= until || owner_ == std::thread::id();
  });
}

std::optional<std::string> thrown_by(const std::function<void()>& f) {
  try {
    f();
    return std::nullopt;
#if defined(__GLIBCXX__)
  } catch (const abi::__forced_unwind&) {
    throw;  // a thread that is being cancelled; the process ends when it is held up
#endif
  } catch (const std::exception& e) {
    return plain_message(e);
  } catch (...) {
    return "an exception of an unknown type";
  }
}

}  // namespace fastcpp
