#include "fastcpp/train/callbacks/time_limit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <vector>

#include "fastcpp/core/log.hpp"
#include "fastcpp/core/progress.hpp"
#include "train/callbacks/expect.hpp"
#include "train/callbacks/factory.hpp"

namespace fastcpp::inline v0 {
namespace {

using Seconds = std::chrono::duration<double>;

Seconds steady_time() {
  return std::chrono::steady_clock::now().time_since_epoch();
}

// The first items in order, at most `count`.
class FirstItems : public Sampler {
 public:
  explicit FirstItems(std::int64_t count) : count_(count) {}
  std::int64_t size(std::int64_t n) const override { return std::min(n, count_); }
  std::vector<std::int64_t> order(std::int64_t n, Rng&) const override {
    std::vector<std::int64_t> items(static_cast<std::size_t>(size(n)));
    std::iota(items.begin(), items.end(), 0);
    return items;
  }

 private:
  std::int64_t count_;
};

}  // namespace

TimeLimit::TimeLimit(const TimeLimitOptions& options) : options_(options) {
  expect(positive(options.after.count()), "value.time_limit", "after",
         "a finite number of seconds > 0", options.after.count());
  if (!options_.clock) options_.clock = steady_time;
}

void TimeLimit::on_train_begin(TrainState&) {
  end_ = options_.clock() + options_.after;
  told_ = cut_ = false;
}

bool TimeLimit::over(int epoch) {
  if (options_.clock() < end_) return false;
  if (!told_) {
    log_info(fmt::format("the time of {} is over: the training ends with epoch {}",
                         format_time(options_.after.count()), epoch));
  }
  return told_ = true;
}

void TimeLimit::on_batch_end(TrainState& state) {
  // A validation that has begun is finished.
  if (state.train && over(state.epoch)) cut_ = state.stop_epoch = state.stop_training = true;
}

void TimeLimit::on_epoch_end(TrainState& state) {
  const bool last = state.epoch + 1 == state.n_epochs && !cut_;  // it ends anyway
  if (last || !over(state.epoch)) return;
  // The batches of the validation have taken this back.
  state.stop_epoch = state.stop_epoch || cut_;
  state.stop_training = true;
}

ValidateFirst::ValidateFirst(int n_batches) : n_batches_(n_batches) {
  expect(n_batches >= 1, "value.n_batches", "n_batches", "a number of batches >= 1", n_batches);
}

void ValidateFirst::on_train_begin(TrainState&) {
  auto learner = learn();
  const auto data = learner.data();
  if (data.empty_val()) return;
  // A loader of its own: the passes of the learner's count on.
  const auto loader = data.valid_dl();
  const auto items = loader.batch_size() * n_batches_;
  learner.validate({.dl = loader.with({.sampler = std::make_shared<FirstItems>(items)})});
}

CallbackFn time_limit(const TimeLimitOptions& options) {
  return factory_of<TimeLimit>(options);
}

CallbackFn validate_first(int n_batches) {
  return factory_of<ValidateFirst>(n_batches);
}

}  // namespace fastcpp
