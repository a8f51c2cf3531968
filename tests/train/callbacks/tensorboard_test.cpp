// What a training leaves for TensorBoard, read back by a reader that knows nothing of the library.
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>
#include <torch/utils.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <stop_token>

#include "fastcpp/core/path.hpp"
#include "fastcpp/train/callbacks/callbacks.hpp"
#include "fastcpp/train/callbacks/tensorboard.hpp"
#include "fastcpp/train/try_out.hpp"
#include "support/catch.hpp"
#include "support/event_file.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

// Four batches of four small pictures an epoch.
Learner learner_of_pictures(const Path& dir) {
  torch::manual_seed(3);
  auto set =
      std::make_shared<TensorDataset>(torch::rand({16, 3, 8, 8}), torch::arange(16).remainder(2));
  auto data = DataBunch::create({set, set, nullptr, nullptr}, dir,
                                {.bs = 4, .num_workers = 0, .device = torch::kCPU});
  return {data,
          Model(torch::nn::Sequential(torch::nn::Flatten(), torch::nn::Linear(192, 2))),
          {.metrics = {accuracy}, .silent = true}};
}

// Losses and gradients of all training batches.
struct Watcher : Callback {
  std::map<std::int64_t, double> loss;
  std::map<std::int64_t, std::vector<torch::Tensor>> gradients;
  int order() const override { return 60; }
  void on_backward_end(TrainState& state) override {
    for (const auto& parameter : learn().model()->parameters())
      gradients[state.iteration].push_back(parameter.grad().clone());
  }
  void on_batch_end(TrainState& state) override {
    if (state.train) loss[state.iteration] = state.last_loss.item<double>();
  }
};

std::vector<ReadEvent> events_in(const Path& folder) {
  const auto files = ls(folder);
  REQUIRE(files.size() == 1);
  return events_of(read_file(files[0]));
}

std::vector<std::int64_t> steps_of(const std::vector<ReadEvent>& events, const std::string& tag) {
  std::vector<std::int64_t> steps;
  for (const auto& event : events_of(events, tag)) steps.push_back(event.step);
  return steps;
}

using Steps = std::vector<std::int64_t>;

}  // namespace

TEST_CASE("a training leaves its losses, metrics, weights, gradients, pictures and graph") {
  TempDir dir;
  auto learner = learner_of_pictures(dir.path());
  const auto watcher = std::make_shared<Watcher>();
  learner.fit(
      2, 1e-2,
      {.callbacks = {watcher,
                     learner_tensorboard_writer(
                         {.name = "first", .loss_iters = 2, .hist_iters = 4, .stats_iters = 3})}});
  const auto events = events_in(dir / "tensorboard" / "first");

  CHECK(steps_of(events, "metrics/train_loss") == Steps{2, 4, 6});
  for (const auto& event : events_of(events, "metrics/train_loss"))
    CHECK(event.scalar() == static_cast<float>(watcher->loss.at(event.step)));

  const auto& history = learner.recorder().history;
  for (const auto* tag : {"metrics/valid_loss", "metrics/accuracy"}) {
    INFO(tag);
    const auto column = events_of(events, tag);
    CHECK(steps_of(events, tag) == Steps{4, 8});
    for (std::size_t i = 0; i < column.size(); ++i) {
      const auto expected =
          std::string(tag) == "metrics/accuracy" ? history[i].metrics[0] : *history[i].valid_loss;
      CHECK(column[i].scalar() == static_cast<float>(expected));
    }
  }

  CHECK(steps_of(events, "model/weights/1.weight") == Steps{4});
  CHECK(steps_of(events, "model/weights/1.bias") == Steps{4});
  const auto histogram = field_of(events_of(events, "model/weights/1.weight")[0].value, 5).bytes;
  CHECK(field_of(histogram, 3).as_double() == 384);

  for (const std::int64_t step : {3, 6}) {
    INFO(step);
    const auto& gradients = watcher->gradients.at(step);
    std::vector<double> norms;
    double highest = -1e9, mean = 0;
    for (const auto& gradient : gradients) {
      norms.push_back(gradient.norm().item<double>());
      highest = std::max(highest, gradient.max().item<double>());
      mean += gradient.mean().item<double>() / static_cast<double>(gradients.size());
    }
    REQUIRE(norms.size() == 2);
    const auto figure = [&](const std::string& name) {
      for (const auto& event : events_of(events, "model_stats/gradients/" + name)) {
        if (event.step == step) return static_cast<double>(event.scalar());
      }
      FAIL("no " << name);
      return 0.0;
    };
    CHECK(figure("avg_norm") == Approx((norms[0] + norms[1]) / 2));
    CHECK(figure("median_norm") == Approx((norms[0] + norms[1]) / 2));
    CHECK(figure("max_norm") == Approx(std::max(norms[0], norms[1])));
    CHECK(figure("min_norm") == Approx(std::min(norms[0], norms[1])));
    CHECK(figure("max_gradient") == Approx(highest));
    CHECK(figure("avg_gradient") == Approx(mean).margin(1e-8));
    CHECK(figure("num_zeros") == 0);
  }
  CHECK(steps_of(events, "model_stats/gradients/median_gradient") == Steps{3, 6});

  const auto pictures = events_of(events, "batch/train");
  REQUIRE(pictures.size() == 1);
  CHECK(pictures[0].step == 0);
  CHECK(field_of(field_of(pictures[0].value, 4).bytes, 1).bits == 8);
  CHECK(field_of(field_of(pictures[0].value, 4).bytes, 2).bits == 4 * 10 - 2);

  REQUIRE_FALSE(events[1].graph.empty());
  CHECK(fields_of(events[1].graph, 1).size() == 4);  // input, two layers, output
}

TEST_CASE("a training that goes on at a later epoch counts on") {
  TempDir dir;
  auto learner = learner_of_pictures(dir.path());
  learner.fit_one_cycle(
      3, {.callbacks = {learner_tensorboard_writer({.base_dir = dir / "runs", .loss_iters = 2})},
          .start_epoch = 1});
  const auto events = events_in(dir / "runs");
  CHECK(events[1].step == 4);
  CHECK(field_of(events[1].session, 1).bits == 1);
  CHECK(steps_of(events, "metrics/train_loss") == Steps{4, 6, 8, 10});
  CHECK(steps_of(events, "metrics/valid_loss") == Steps{8, 12});
}

TEST_CASE("a training that goes on within an epoch counts on, and a dry run leaves nothing") {
  TempDir dir;
  const auto writer = [&](const char* runs) {
    return learner_tensorboard_writer({.base_dir = dir / runs, .loss_iters = 1});
  };
  {
    auto learner = learner_of_pictures(dir.path());
    std::stop_source source;
    const auto stop = make_callback({.on_step_end = [&](Learner&, TrainState& state) {
      if (state.iteration == 5) source.request_stop();
    }});
    learner.fit(2, 1e-3,
                {.callbacks = {writer("first"), stop},
                 .stop = source.get_token(),
                 .checkpoint = CheckpointOptions{}});
  }
  auto learner = learner_of_pictures(dir.path());
  learner.resume({.callbacks = {writer("second")}});
  const auto events = events_in(dir / "second");
  CHECK(events[1].step == 6);
  CHECK(steps_of(events, "metrics/train_loss") == Steps{6, 7});
  CHECK(steps_of(events, "metrics/valid_loss") == Steps{8});
  learner.dry_run({.callbacks = {writer("third")}});
  CHECK_FALSE(std::filesystem::exists(dir / "third"));
}

TEST_CASE("the learning-rate finder leaves nothing for TensorBoard") {
  TempDir dir;
  auto learner = learner_of_pictures(dir.path());
  learner.callback_fns().push_back(learner_tensorboard_writer());
  learner.lr_find({.num_it = 3});
  CHECK_FALSE(std::filesystem::exists(dir / "tensorboard"));
}

TEST_CASE("a writer for TensorBoard refuses what it cannot do") {
  CHECK(caught([] { learner_tensorboard_writer({.loss_iters = 0}); }).code == "value.summary");
  CHECK(caught([] { LearnerTensorboardWriter({.hist_iters = 0}); }).code == "value.summary");
  CHECK(caught([] { LearnerTensorboardWriter({.stats_iters = -1}); }).code == "value.summary");
  TempDir dir;
  write_file(dir / "tensorboard", "a file");
  auto learner = learner_of_pictures(dir.path());
  CHECK(caught([&] { learner.fit(1, 1e-3, {.callbacks = {learner_tensorboard_writer()}}); }).code ==
        "io.cannot_create");
}
