// The keys of the live view, as a learner obeys them.
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>
#include <torch/utils.h>

#include <cmath>

#include "fastcpp/train/callbacks/live_keys.hpp"
#include "support/catch.hpp"
#include "support/points.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

// Ten batches an epoch, four of validation.
Learner learner_with_keys(const Path& dir) {
  torch::manual_seed(1);
  return {bunch_of_points(dir),
          Model(torch::nn::Sequential(torch::nn::Linear(2, 2))),
          {.silent = true}};
}

// Calls `f` before the second batch of training, or of validation.
std::shared_ptr<Callback> in_second_batch(bool train, std::function<void()> f) {
  auto seen = std::make_shared<int>(0);
  return make_callback({.on_batch_begin = [=](Learner&, TrainState& state) {
    if (state.train == train && ++*seen == 2) f();
  }});
}

}  // namespace

TEST_CASE("the key to stop ends a training after the batch under way, without validation") {
  TempDir dir;
  auto learner = learner_with_keys(dir.path());
  const auto keys = std::make_shared<LiveKeys>();
  const auto view = keys->progress("points");
  CHECK(view.title == "points");
  CHECK(std::isnan(view.lr()));
  CHECK(learner.fit(3, 1e-2, {.callbacks = {keys, in_second_batch(true, view.on_stop)}}) ==
        FitOutcome::kEnded);
  CHECK(learner.recorder().losses.size() == 2);
  REQUIRE(learner.recorder().history.size() == 1);
  CHECK_FALSE(learner.recorder().history[0].valid_loss);
  CHECK(view.lr() == learner.recorder().lrs.back());
  // What was asked for is done.
  CHECK(learner.fit(1, 1e-2, {.callbacks = {keys}}) == FitOutcome::kFinished);
}

TEST_CASE("a validation under way is finished before the stop") {
  TempDir dir;
  auto learner = learner_with_keys(dir.path());
  const auto keys = std::make_shared<LiveKeys>();
  CHECK(
      learner.fit(3, 1e-2, {.callbacks = {keys, in_second_batch(false, [=] { keys->stop(); })}}) ==
      FitOutcome::kEnded);
  REQUIRE(learner.recorder().history.size() == 1);
  REQUIRE(learner.recorder().history[0].valid_loss);
  CHECK(*learner.recorder().history[0].valid_loss == Approx(learner.validate()[0]));
}

TEST_CASE("the key to save writes the model, and the training goes on") {
  TempDir dir;
  auto learner = learner_with_keys(dir.path());
  const auto keys = std::make_shared<LiveKeys>(LiveKeysOptions{.name = "now"});
  keys->stop();  // outside a fit: forgotten
  CHECK(learner.fit(1, 1e-2,
                    {.callbacks = {keys, in_second_batch(true, keys->progress().on_save)}}) ==
        FitOutcome::kFinished);
  CHECK(std::filesystem::exists(learner.model_dir() / "now.pth"));
  CHECK(learner.recorder().losses.size() == 10);
  CHECK(caught([] { LiveKeys(LiveKeysOptions{.name = ""}); }).code == "value.callback_file");
}
