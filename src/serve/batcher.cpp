#include "serve/batcher.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0::serve_detail {
namespace {

// How long a thread that could not take or compute anything waits before it tries again.
constexpr auto kPause = std::chrono::milliseconds(10);

double seconds(std::chrono::steady_clock::duration time) {
  return std::chrono::duration<double>(time).count();
}

}  // namespace

Batcher::Batcher(Predictor predictor, const Options& options, Metrics& metrics)
    : predictor_(std::move(predictor)), options_(options), metrics_(metrics) {
  try {
    for (int i = 0; i < options_.threads; ++i) threads_.emplace_back([this] { work(); });
  } catch (...) {
    abandon();
    threads_.clear();
    throw;
  }
}

Batcher::~Batcher() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  changed_.notify_all();
  threads_.clear();
}

std::future<Computed> Batcher::submit(Tensors prepared) {
  std::future<Computed> result;
  {
    const std::lock_guard lock(mutex_);
    if (over_) throw Error("serve.stopping", "the server is being stopped");
    if (jobs_.size() >= options_.max_queue) {
      throw Error("serve.busy", fmt::format("{} pictures are waiting already", jobs_.size()));
    }
    jobs_.push_back({std::move(prepared), Clock::now(), {}});
    result = jobs_.back().result.get_future();
  }
  // A thread may be waiting for a first picture, another for its batch to fill.
  changed_.notify_all();
  return result;
}

std::size_t Batcher::waiting() const {
  const std::lock_guard lock(mutex_);
  return jobs_.size();
}

void Batcher::abandon() {
  std::deque<Job> left;
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
    left.swap(jobs_);
  }
  changed_.notify_all();
  for (auto& job : left) {
    job.result.set_exception(
        std::make_exception_ptr(Error("serve.stopping", "the server is being stopped")));
  }
}

// A thread ends with the batcher, whatever is thrown: without it later pictures would wait for ever. Who waits for a picture
// that was taken finds its promise broken.
void Batcher::work() noexcept {
  for (;;) {
    try {
      std::vector<Job> batch;
      if (!take(batch)) return;
      if (!batch.empty()) compute(std::move(batch));
    } catch (...) {
      // Want of memory, which others may give back.
      std::this_thread::sleep_for(kPause);
    }
  }
}

// Waits for a batch; empty where another thread was faster. False: there will be no more.
bool Batcher::take(std::vector<Job>& batch) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return over_ || !jobs_.empty(); });
  if (jobs_.empty()) return false;
  // Whichever picture is first may change meanwhile: another thread may take it.
  while (!over_ && !jobs_.empty() && jobs_.size() < options_.max_batch) {
    const auto until = jobs_.front().since + options_.max_wait;
    if (changed_.wait_until(lock, until) == std::cv_status::timeout && Clock::now() >= until) break;
  }
  const auto count = std::min(jobs_.size(), options_.max_batch);
  batch.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    batch.push_back(std::move(jobs_.front()));
    jobs_.pop_front();
  }
  return true;
}

void Batcher::compute(std::vector<Job> jobs) {
  const auto start = Clock::now();
  std::vector<Computed> done(jobs.size());
  try {
    std::vector<Tensors> items;
    for (const auto& job : jobs) items.push_back(job.prepared);
    const auto outputs = predictor_.compute(items);
    const auto compute = seconds(Clock::now() - start);
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      done[i] = {outputs[static_cast<std::int64_t>(i)], seconds(start - jobs[i].since), compute};
    }
  } catch (...) {
    // One of them may be the cause, or all together: too much memory.
    for (auto& job : jobs) compute_alone(job);
    return;
  }
  metrics_.batch(jobs.size());
  for (std::size_t i = 0; i < jobs.size(); ++i) jobs[i].result.set_value(std::move(done[i]));
}

void Batcher::compute_alone(Job& job) {
  const auto start = Clock::now();
  try {
    const auto outputs = predictor_.compute({job.prepared})[0];
    metrics_.batch(1);
    job.result.set_value({outputs, seconds(start - job.since), seconds(Clock::now() - start)});
  } catch (...) {
    job.result.set_exception(std::current_exception());
  }
}

}  // namespace fastcpp::serve_detail
