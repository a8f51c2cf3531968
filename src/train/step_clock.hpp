// Where the time of training steps goes, for Learner::profile.
#pragma once

#include <torch/types.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <typeinfo>
#include <utility>
#include <vector>

#include "compat/stream.hpp"
#include "fastcpp/train/callback.hpp"

namespace fastcpp::inline v0 {

// Cuts the time of a training into laps: each is charged to the part that was under way. On a device every lap waits for what
// was queued. Used from the thread that trains.
class StepClock {
 public:
  enum Part : std::size_t { kWait, kForward, kBackward, kStep, kCallbacks, kOther, kParts };
  // Seconds of one step.
  struct Step {
    std::array<double, kParts> parts{};
    // By object, which may be gone when this is read: the name of its class, and seconds.
    std::map<const Callback*, std::pair<const char*, double>> callbacks = {};
  };

  explicit StepClock(torch::Device device) : device_(device) {}

  // A step begins, or the first one of a pass: what was measured of an unfinished one is dropped.
  void begin() {
    step_ = {};
    mark_ = std::chrono::steady_clock::now();
  }
  void lap(Part part) { step_.parts[part] += since_mark(); }
  void lap(const Callback& callback) {
    const double seconds = since_mark();
    step_.parts[kCallbacks] += seconds;
    auto& [name, sum] = step_.callbacks[&callback];
    name = typeid(callback).name();
    sum += seconds;
  }
  void end_step() {
    lap(kOther);
    steps_.push_back(std::move(step_));
    begin();
  }

  const std::vector<Step>& steps() const { return steps_; }

 private:
  double since_mark() {
    if (device_.is_cuda()) {
      c10::Event done(device_.type());
      done.record(compat::current_stream(device_));
      compat::wait(done);
    }
    const auto now = std::chrono::steady_clock::now();
    const std::chrono::duration<double> seconds = now - mark_;
    mark_ = now;
    return seconds.count();
  }

  torch::Device device_;
  Step step_;
  std::vector<Step> steps_;
  std::chrono::steady_clock::time_point mark_;
};

}  // namespace fastcpp
