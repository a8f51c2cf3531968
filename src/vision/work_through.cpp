#include "vision/work_through.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <vector>

#include "fastcpp/core/error.hpp"
#include "fastcpp/core/progress.hpp"

namespace fastcpp::inline v0::detail {
namespace {

constexpr int kMostWorkers = 1024;

// What the threads share; they end before it does.
class Work {
 public:
  Work(std::size_t count, const std::stop_token& stop, const std::function<void(std::size_t)>& work)
      : count_(count), stop_(stop), work_(work) {}

  void run() noexcept {
    try {
      for (std::size_t i; !over() && (i = next_++) < count_; ++done_) work_(i);
    } catch (...) {
      const std::scoped_lock lock(mutex_);
      if (!cause_) cause_ = std::current_exception();
      failed_ = true;
    }
    const std::scoped_lock lock(mutex_);
    ++ended_;
    wake_.notify_all();
  }

  // Until so many threads have ended.
  void wait(int threads, ProgressBar* bar) {
    std::unique_lock lock(mutex_);
    while (
        !wake_.wait_for(lock, std::chrono::milliseconds(100), [&] { return ended_ == threads; })) {
      lock.unlock();
      if (bar) bar->update(static_cast<std::int64_t>(done_.load()));
      lock.lock();
    }
  }

  // Whether everything is done; throws what the work threw.
  bool complete() const {
    if (cause_) std::rethrow_exception(cause_);
    return done_ == count_;
  }

 private:
  bool over() const { return failed_ || stop_.stop_requested(); }

  const std::size_t count_;
  const std::stop_token& stop_;
  const std::function<void(std::size_t)>& work_;
  std::atomic<std::size_t> next_{0}, done_{0};
  std::atomic<bool> failed_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
  int ended_ = 0;
  std::exception_ptr cause_;
};

}  // namespace

bool work_through(std::size_t count, const WorkOptions& options,
                  const std::function<void(std::size_t)>& work) {
  if (count == 0) return true;
  std::optional<ProgressBar> bar;
  if (options.show_progress) {
    bar.emplace(progress_sink(), ProgressTask{.phase = ProgressPhase::kCheck,
                                              .total = static_cast<std::int64_t>(count),
                                              .what = options.what});
  }
  Work shared(count, options.stop, work);
  {
    const auto threads =
        std::min<std::size_t>(count, static_cast<std::size_t>(std::max(options.workers, 1)));
    std::vector<std::jthread> pool;
    pool.reserve(threads);
    try {
      while (pool.size() < threads) pool.emplace_back([&shared] { shared.run(); });
    } catch (const std::system_error&) {
      // The system has no more threads: those that run are enough.
    }
    if (pool.empty()) shared.run();
    shared.wait(static_cast<int>(std::max<std::size_t>(pool.size(), 1)), bar ? &*bar : nullptr);
  }
  const bool complete = shared.complete();
  if (bar && complete) bar->update(static_cast<std::int64_t>(count));
  return complete;
}

void work_through_all(std::size_t count, const WorkOptions& options,
                      const std::function<void(std::size_t)>& work) {
  if (work_through(count, options, work)) return;
  throw IoError("io.cancelled", fmt::format("stopped before all of the {} files were read", count));
}

void check_workers(int workers) {
  if (workers >= 0 && workers <= kMostWorkers) return;
  throw ValueError("value.num_workers",
                   fmt::format("max_workers must be 0..{}, found {}", kMostWorkers, workers));
}

}  // namespace fastcpp::detail
