// Early stopping, saving the best and lowering the rate beside the reference
// (tests/golden/schedules.json, "trackers").
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>
#include <torch/utils.h>

#include <filesystem>
#include <set>

#include "fastcpp/train/callbacks/tracker.hpp"
#include "fastcpp/train/learner.hpp"
#include "support/catch.hpp"
#include "support/deviation.hpp"
#include "support/support.hpp"
#include "train/golden_model.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

// Writes one scripted figure per epoch into the record, between the recorder and the trackers.
class Values : public Callback {
 public:
  Values(std::string column, std::vector<double> values)
      : column_(std::move(column)), values_(std::move(values)) {}
  int order() const override { return -5; }
  void on_batch_begin(TrainState& state) override {
    if (state.train && state.num_batch == 0) rates.push_back(learn().opt().lr());
  }
  void on_epoch_end(TrainState& state) override {
    // Figures are float32 in the reference.
    const double value = static_cast<float>(values_.at(static_cast<std::size_t>(state.epoch)));
    auto learner = learn();
    auto& recorder = learner.recorder();
    if (column_ == "train_loss") {
      recorder.losses.back() = value;
    } else if (column_ == "valid_loss") {
      recorder.val_losses.back() = value;
    } else {
      recorder.metrics.back().back() = value;
    }
  }
  std::vector<std::vector<double>> rates;

 private:
  std::string column_;
  std::vector<double> values_;
};

std::shared_ptr<Callback> tracker(const Json& item) {
  const auto kind = item.at("callback").get<std::string>();
  const auto monitor = item.at("monitor").get<std::string>();
  auto mode = TrackerMode::kAuto;
  if (item.contains("mode")) {
    const auto name = item.at("mode").get<std::string>();
    if (name != "auto") mode = name == "min" ? TrackerMode::kMin : TrackerMode::kMax;
  }
  if (kind == "EarlyStopping") {
    return std::make_shared<EarlyStoppingCallback>(
        EarlyStoppingOptions{.monitor = monitor,
                             .mode = mode,
                             .min_delta = item.value("min_delta", 0.0),
                             .patience = item.value("patience", 0)});
  }
  if (kind == "SaveModel") {
    const bool epochs = item.value("every", std::string("improvement")) == "epoch";
    return std::make_shared<SaveModelCallback>(
        SaveModelOptions{.monitor = monitor,
                         .mode = mode,
                         .every = epochs ? SaveEvery::kEpoch : SaveEvery::kImprovement,
                         .name = "best"});
  }
  REQUIRE(kind == "ReduceLROnPlateau");
  return std::make_shared<ReduceLROnPlateauCallback>(
      ReduceLrOnPlateauOptions{.monitor = monitor,
                               .mode = mode,
                               .patience = item.value("patience", 0),
                               .factor = item.value("factor", 0.2),
                               .min_delta = item.value("min_delta", 0.0),
                               .min_lr = item.value("min_lr", 0.001)});
}

Learner scripted_learner(const Path& dir, int groups, const std::string& column,
                         const std::shared_ptr<Callback>& script) {
  auto set = std::make_shared<TensorDataset>(torch::ones({2, 2}), torch::zeros({2}, torch::kLong));
  auto data = DataBunch::create({set, set, nullptr, nullptr}, dir,
                                {.bs = 1, .num_workers = 0, .device = torch::kCPU});
  torch::nn::Sequential network;
  for (int g = 0; g < groups; ++g) network->push_back(torch::nn::Linear(2, 2));
  const Metric figure(
      column, [](const torch::Tensor& output, const torch::Tensor&) { return output.mean(); });
  Learner learner(data, Model(network),
                  {.metrics = {figure}, .callbacks = {script}, .silent = true});
  std::vector<Layer> starts;
  for (std::size_t g = 1; g < static_cast<std::size_t>(groups); ++g)
    starts.push_back(network->ptr(g));
  learner.split(starts);
  return learner;
}

}  // namespace

TEST_CASE("trackers epoch by epoch") {
  Deviation deviation("schedules.trackers");
  for (const auto& item : golden("schedules.json").at("trackers")) {
    INFO(item.at("callback") << " on " << item.at("monitor"));
    const auto column = item.at("monitor").get<std::string>();
    TempDir dir;
    CapturedLog log;
    auto script = std::make_shared<Values>(column, numbers(item.at("values")));
    auto learner = scripted_learner(dir.path(), item.value("groups", 1), column, script);
    learner.fit(item.at("epochs").get<int>(), learning_rate(item.at("lr")),
                {.callbacks = {tracker(item)}});

    CHECK(learner.recorder().history.size() == item.at("epochs_run").get<std::size_t>());
    CHECK(log.info == item.at("text").get<std::vector<std::string>>());
    if (item.contains("saved")) {
      std::set<std::string> expected, found;
      for (const auto& name : item.at("saved")) expected.insert(name.get<std::string>() + ".pth");
      for (const auto& entry : std::filesystem::directory_iterator(learner.model_dir()))
        found.insert(entry.path().filename().string());
      CHECK(found == expected);
    }
    if (item.contains("lr_per_epoch")) {
      const auto& want = item.at("lr_per_epoch");
      REQUIRE(script->rates.size() == want.size());
      for (std::size_t e = 0; e < want.size(); ++e) {
        for (std::size_t g = 0; g < script->rates[e].size(); ++g)
          CHECK(deviation(script->rates[e][g], number(want[e][g])) < 1e-12);
      }
    }
  }
}

TEST_CASE("a tracker of a column that does not exist warns and does nothing") {
  TempDir dir;
  CapturedLog log;
  auto script = std::make_shared<Values>("accuracy", std::vector<double>{1, 1});
  auto learner = scripted_learner(dir.path(), 1, "accuracy", script);
  const EarlyStoppingOptions options{.monitor = "dice"};
  learner.fit(2, 1e-3, {.callbacks = {std::make_shared<EarlyStoppingCallback>(options)}});
  CHECK(learner.recorder().history.size() == 2);
  REQUIRE(log.warnings.size() == 2);
  CHECK(log.warnings.front().find("'dice'") != std::string::npos);
  CHECK(log.warnings.front().find("train_loss, valid_loss, accuracy") != std::string::npos);
}

TEST_CASE("the best weights are there after the training") {
  TempDir dir;
  CapturedLog log;
  auto script = std::make_shared<Values>("valid_loss", std::vector<double>{3, 1, 2});
  auto learner = scripted_learner(dir.path(), 1, "figure", script);
  struct Keep : Callback {
    std::vector<torch::Tensor> weights;
    void on_epoch_end(TrainState&) override {
      weights.push_back(learn().model()->parameters().front().clone());
    }
  };
  auto keep = std::make_shared<Keep>();
  learner.fit(3, 1e-2, {.callbacks = {keep, std::make_shared<SaveModelCallback>()}});
  REQUIRE(keep->weights.size() == 3);
  const auto now = learner.model()->parameters().front();
  CHECK(torch::equal(now, keep->weights[1]));
  CHECK_FALSE(torch::equal(now, keep->weights[2]));
}

TEST_CASE("a training goes on after the epoch written down") {
  TempDir dir;
  auto script = std::make_shared<Values>("train_loss", std::vector<double>(6, 1.0));
  auto learner = scripted_learner(dir.path(), 1, "figure", script);
  auto track = std::make_shared<TrackEpochCallback>();
  auto stop = std::make_shared<EarlyStoppingCallback>(
      EarlyStoppingOptions{.monitor = "train_loss", .patience = 1});
  CapturedLog log;
  // The figure never improves: the fit ends after the epochs 0, 1 and 2.
  learner.fit_one_cycle(5, {.callbacks = {track, stop}});
  CHECK(learner.recorder().history.back().epoch == 2);
  learner.fit_one_cycle(5, {.callbacks = {track}});
  CHECK(learner.recorder().history.front().epoch == 3);
  CHECK(learner.recorder().history.back().epoch == 4);
}

TEST_CASE("a loss that is no number ends the training") {
  TempDir dir;
  CapturedLog log;
  auto script = std::make_shared<Values>("train_loss", std::vector<double>(3, 1.0));
  auto learner = scripted_learner(dir.path(), 1, "figure", script);
  torch::NoGradGuard no_grad;
  learner.model()->parameters().front().fill_(std::nan(""));
  torch::AutoGradMode grad(true);
  learner.fit(3, 1e-2, {.callbacks = {std::make_shared<TerminateOnNaNCallback>()}});
  CHECK(learner.recorder().history.size() == 1);
  CHECK_FALSE(learner.recorder().history.front().valid_loss);
  CHECK(log.info ==
        std::vector<std::string>{"Epoch/Batch (0/0): Invalid loss, terminating training."});
}
