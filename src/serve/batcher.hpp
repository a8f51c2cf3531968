// Pictures of several requests, computed together.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

#include <torch/types.h>

#include "fastcpp/deploy/predictor.hpp"
#include "serve/metrics.hpp"

namespace fastcpp::inline v0::serve_detail {

// What becomes of one picture.
struct Computed {
  torch::Tensor outputs;  // c, activated
  double queue = 0, compute = 0;
};

// Thread-safe. Its threads end with it, after what still waits was computed.
class Batcher {
 public:
  struct Options {
    int threads = 1;
    std::size_t max_batch = 8, max_queue = 256;
    std::chrono::milliseconds max_wait{5};
  };
  // The metrics must outlive it.
  Batcher(Predictor predictor, const Options& options, Metrics& metrics);
  ~Batcher();
  Batcher(const Batcher&) = delete;
  Batcher& operator=(const Batcher&) = delete;

  // The future holds what the computation throws. Throws Error `serve.busy` when too many wait.
  std::future<Computed> submit(Tensors prepared);
  std::size_t waiting() const;
  // From now on nothing is computed: what waits fails with `serve.stopping`.
  void abandon();

 private:
  using Clock = std::chrono::steady_clock;
  struct Job {
    Tensors prepared;
    Clock::time_point since;
    std::promise<Computed> result;
  };
  void work() noexcept;
  bool take(std::vector<Job>& batch);
  void compute(std::vector<Job> jobs);
  void compute_alone(Job& job);

  const Predictor predictor_;
  const Options options_;
  Metrics& metrics_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;
  bool over_ = false;
  std::vector<std::jthread> threads_;
};

}  // namespace fastcpp::serve_detail
