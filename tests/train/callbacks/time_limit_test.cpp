// A training that ends in time, and one that validates first.
#include "fastcpp/train/callbacks/time_limit.hpp"

#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>
#include <torch/utils.h>

#include <cmath>
#include <filesystem>
#include <stdexcept>

#include "fastcpp/core/path.hpp"
#include "fastcpp/train/callbacks/tracker.hpp"
#include "support/catch.hpp"
#include "support/points.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace nn = torch::nn;

namespace {

Learner timed_learner(const Path& dir) {
  torch::manual_seed(3);
  return {bunch_of_points(dir),
          Model(nn::Sequential(nn::Linear(2, 2))),
          {.metrics = {accuracy}, .silent = true}};
}

// A clock that a training moves by a minute a batch.
struct Minutes {
  double now = 1000;
  TimeLimitOptions limit(int minutes) {
    return {.after = std::chrono::minutes(minutes),
            .clock = [this] { return std::chrono::duration<double>(60 * now); }};
  }
  std::shared_ptr<Callback> moved() {
    return make_callback(
        {.on_batch_begin = [this](Learner&, TrainState&) { ++now; }, .order = -100});
  }
};

}  // namespace

TEST_CASE("a time limit ends the training inside an epoch, validated and saved") {
  TempDir dir;
  auto learn = timed_learner(dir.path());
  CapturedLog log;
  Minutes clock;
  // An epoch is ten training batches and four of the validation.
  const auto outcome =
      learn.fit(5, 1e-2,
                {.callbacks = {clock.moved(), time_limit(clock.limit(17)), track_epoch(),
                               save_model({.every = SaveEvery::kEpoch, .name = "timed"})}});
  CHECK(outcome == FitOutcome::kEnded);
  CHECK(learn.recorder().nb_batches == std::vector<std::int64_t>{10, 3});
  REQUIRE(learn.recorder().history.size() == 2);
  CHECK(learn.recorder().history.back().valid_loss.has_value());
  CHECK(clock.now == 1000 + 14 + 3 + 4);  // the whole validation
  CHECK(std::filesystem::exists(dir / "models/timed_1.pth"));
  // The epoch that was cut short does not count as finished.
  CHECK(read_file(dir / "models/epoch") == "0");
  REQUIRE(!log.info.empty());
  CHECK(log.info.back() == "the time of 17:00 is over: the training ends with epoch 1");
}

TEST_CASE("a time that ends in a validation ends the training after it, one that suffices never") {
  TempDir dir;
  auto learn = timed_learner(dir.path());
  Minutes clock;
  CHECK(learn.fit(3, 1e-2, {.callbacks = {clock.moved(), time_limit(clock.limit(12))}}) ==
        FitOutcome::kEnded);
  CHECK(learn.recorder().nb_batches == std::vector<std::int64_t>{10});
  CHECK(learn.fit(2, 1e-2, {.callbacks = {clock.moved(), time_limit(clock.limit(28))}}) ==
        FitOutcome::kFinished);
  CHECK(learn.fit(2, 1e-2, {.callbacks = {time_limit({})}}) == FitOutcome::kFinished);
  for (const double seconds : {0.0, -1.0, std::nan("")}) {
    CHECK(caught([&] { time_limit({.after = std::chrono::duration<double>(seconds)}); }).code ==
          "value.time_limit");
  }
}

TEST_CASE("a validation that fails is found before the first batch is trained") {
  TempDir dir;
  auto learn = timed_learner(dir.path());
  std::int64_t trained = 0, validated = 0;
  const auto count = make_callback({.on_batch_end = [&](Learner&, TrainState& state) {
    ++(state.train ? trained : validated);
  }});
  std::int64_t items = 0;
  const auto counted = [&](const torch::Tensor& output, const torch::Tensor&) {
    items += output.size(0);
    return output.sum();
  };
  Learner counts(bunch_of_points(dir.path()), learn.model(),
                 {.metrics = {Metric("counted", counted)}, .silent = true});
  counts.fit(0, 1e-2, {.callbacks = {validate_first()}});
  CHECK(items == 32);
  counts.fit(0, 1e-2, {.callbacks = {validate_first(100)}});
  CHECK(items == 32 + 50);

  const auto broken = [](const torch::Tensor&, const torch::Tensor&) -> torch::Tensor {
    throw std::runtime_error("a metric for three classes");
  };
  Learner breaks(bunch_of_points(dir.path()), learn.model(),
                 {.metrics = {Metric("broken", broken)}, .silent = true});
  CHECK_FALSE(caught([&] {
                breaks.fit(1, 1e-2, {.callbacks = {count, validate_first()}});
              }).code.empty());
  CHECK(trained == 0);
  CHECK(caught([] { validate_first(0); }).code == "value.n_batches");
}

TEST_CASE("a training that validates first is the same training") {
  TempDir dir;
  auto plain = timed_learner(dir.path()), first = timed_learner(dir.path());
  plain.fit(2, 1e-2);
  first.fit(2, 1e-2, {.callbacks = {validate_first()}});
  CHECK(plain.recorder().losses == first.recorder().losses);
  CHECK(plain.recorder().val_losses == first.recorder().val_losses);
}
