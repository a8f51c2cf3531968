// Files of checkpoints: of an older training under the same name, and when memory is short.
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/dropout.h>
#include <torch/nn/modules/linear.h>
#include <torch/utils.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <limits>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "fastcpp/io/checkpoint.hpp"
#include "fastcpp/train/callbacks/callbacks.hpp"
#include "fastcpp/train/learner.hpp"
#include "support/catch.hpp"
#include "support/points.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace fs = std::filesystem;
namespace nn = torch::nn;
using std::chrono::milliseconds;

namespace {

constexpr std::int64_t kBatchesOfFit = 4;  // an epoch

Learner learner_of_files(const Path& path) {
  torch::manual_seed(3);
  return {bunch_of_points(path, {.n_train = 64, .n_valid = 32, .bs = 16}),
          Model(nn::Sequential(nn::Linear(2, 4), nn::ReLU(), nn::Dropout(0.2), nn::Linear(4, 2))),
          {.metrics = {accuracy}, .silent = true}};
}

CheckpointOptions often(bool resume = false) {
  return {.every = milliseconds(0), .keep = 9, .best = "valid_loss", .resume = resume};
}

// Files with their content.
using Files = std::vector<std::pair<Path, std::string>>;

Files files_of(const Path& folder) {
  Files files;
  for (const auto& entry : fs::directory_iterator(folder))
    files.emplace_back(entry.path(), read_file(entry.path()));
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<std::string> names_of(const Path& folder) {
  std::vector<std::string> names;
  for (const auto& [file, content] : files_of(folder)) names.push_back(file.filename().string());
  return names;
}

// Counts training batches, and stops behind so many.
struct Counted : Callback {
  explicit Counted(std::int64_t most_ = std::numeric_limits<std::int64_t>::max()) : most(most_) {}
  void on_batch_end(TrainState& state) override {
    if (state.train && ++batches == most) source.request_stop();
  }
  std::int64_t most, batches = 0;
  std::stop_source source;
};

FitOutcome fit_with(Learner& learn, double lr, const CheckpointOptions& checkpoint,
                    const std::shared_ptr<Counted>& counted = std::make_shared<Counted>()) {
  return learn.fit(
      1, lr,
      {.callbacks = {counted}, .stop = counted->source.get_token(), .checkpoint = checkpoint});
}

double lr_in(const Path& file) {
  return load_checkpoint(file).at("plan").at("lr").items().at(0).as_double();
}

constexpr double kOldLr = 1e-2, kNewLr = 2e-2;

// Two fits, to the end.
void train_the_old_one(const Path& path) {
  auto learn = learner_of_files(path);
  fit_with(learn, kOldLr, often());
  fit_with(learn, kOldLr, often());
}

}  // namespace

TEST_CASE("a new training under the name of an older one never goes on from that one's files") {
  const TempDir dir;
  train_the_old_one(dir.path());
  const auto models = dir / "models";
  const auto old = files_of(models);
  REQUIRE(old.size() ==
          12);  // of each fit four batches, the end of the epoch among them, the best and the end
  {
    auto learn = learner_of_files(dir.path());
    CHECK(fit_with(learn, kNewLr, often(), std::make_shared<Counted>(2)) == FitOutcome::kStopped);
  }
  // Nothing of the old one is left, of its second fit neither.
  CHECK(names_of(models) ==
        std::vector<std::string>{"checkpoint_000_0000000001.pth", "checkpoint_000_0000000002.pth"});
  // Killed between its first file and the removal of any: all else of the old one is still there.
  for (const auto& [file, content] : old) {
    if (!fs::exists(file)) write_file(file, content);
  }
  {
    auto again = learner_of_files(dir.path());
    const auto counted = std::make_shared<Counted>();
    CHECK(again.resume({.callbacks = {counted}}) == FitOutcome::kFinished);
    CHECK(counted->batches == kBatchesOfFit - 2);
    CHECK(again.recorder().lrs.back() == Approx(kNewLr));
    // The next fit has no file of its own yet.
    const auto second = std::make_shared<Counted>();
    CHECK(fit_with(again, kNewLr, often(true), second) == FitOutcome::kFinished);
    CHECK(second->batches == kBatchesOfFit);
  }
  const auto names = names_of(models);
  CHECK(names.size() == old.size());
  for (const auto& name : names) CHECK(lr_in(models / name) == kNewLr);
}

TEST_CASE("an older training stays whole until the new one has a file") {
  const TempDir dir, undisturbed;
  for (const auto& path : {dir.path(), undisturbed.path()}) {
    auto learn = learner_of_files(path);
    fit_with(learn, kOldLr, often());
    fit_with(learn, kOldLr, often(), std::make_shared<Counted>(3));
  }
  const auto before = files_of(dir / "models");
  {
    auto learn = learner_of_files(dir.path());
    struct Fails : Callback {
      void on_batch_end(TrainState&) override { throw TrainError("train.test", "killed"); }
    };
    CHECK(caught([&] {
            learn.fit(1, kNewLr, {.callbacks = {std::make_shared<Fails>()}, .checkpoint = often()});
          }).code == "train.test");
  }
  CHECK(files_of(dir / "models") == before);
  std::vector<double> losses;
  for (const auto& path : {dir.path(), undisturbed.path()}) {
    auto again = learner_of_files(path);
    CHECK(again.resume({.callbacks = {std::make_shared<Counted>()}}) == FitOutcome::kFinished);
    losses.push_back(again.recorder().val_losses.back());
  }
  CHECK(losses[0] == losses[1]);
}

TEST_CASE("a fit that begins anew takes later ones with it, and leaves earlier ones") {
  const TempDir dir;
  train_the_old_one(dir.path());
  {
    // The first fit is passed over; the second is asked to begin anew, the third is of the old training.
    auto learn = learner_of_files(dir.path());
    fit_with(learn, kOldLr, often(true));
    fit_with(learn, kOldLr, often(true));
    fit_with(learn, kOldLr, often(true));
  }
  auto learn = learner_of_files(dir.path());
  const auto first = std::make_shared<Counted>(), second = std::make_shared<Counted>(),
             third = std::make_shared<Counted>();
  fit_with(learn, kOldLr, often(true), first);
  fit_with(learn, kNewLr, often(), second);
  fit_with(learn, kOldLr, often(true), third);
  CHECK(first->batches == 0);
  CHECK(second->batches == kBatchesOfFit);
  CHECK(third->batches == kBatchesOfFit);
}

TEST_CASE("a best checkpoint that a kill left behind is written when the training goes on") {
  const TempDir dir;
  train_the_old_one(dir.path());
  const auto models = dir / "models";
  const auto best = models / "checkpoint_000_best.pth";
  const auto old_best = read_file(best);
  {
    auto learn = learner_of_files(dir.path());
    fit_with(learn, kNewLr, often());
  }
  const auto new_best = read_file(best);
  REQUIRE(lr_in(best) == kNewLr);
  // Killed behind the checkpoint of the epoch, before the best one took the other's place, or was there for the first time.
  for (const bool first : {false, true}) {
    fs::remove(models / "checkpoint_000_finished.pth");
    if (first) {
      fs::remove(best);
    } else {
      write_file(best, old_best);
    }
    auto again = learner_of_files(dir.path());
    CHECK(again.resume({.callbacks = {std::make_shared<Counted>()}}) == FitOutcome::kFinished);
    CHECK(lr_in(best) == kNewLr);
    CHECK(load_checkpoint(best).at("number").as_int() == kBatchesOfFit);
  }
}

namespace {

// No machine has the memory for a copy, nor, with `negative`, for writing it.
torch::Tensor huge(bool negative) {
  const auto one = torch::ones({1});
  return (negative ? one._neg_view() : one).expand({std::int64_t{1} << 45});
}

// Has such a tensor behind the second batch.
struct Huge : Callback {
  explicit Huge(bool negative_) : negative(negative_) {}
  void on_batch_begin(TrainState& state) override {
    if (state.train) iteration = state.iteration;
  }
  Value state() const override {
    return iteration == 1 ? Value(huge(negative)) : Value(std::int64_t{0});
  }
  void load_state(const Value&) override {}
  bool negative;
  std::int64_t iteration = 0;
};

}  // namespace

TEST_CASE("when there is no memory for a copy the training goes on") {
  for (const bool negative : {false, true}) {
    INFO(negative);
    const TempDir dir;
    auto learn = learner_of_files(dir.path());
    CapturedLog log;
    auto options = often();
    options.best = "";
    options.background = true;
    CHECK(learn.fit(2, kOldLr,
                    {.callbacks = {std::make_shared<Huge>(negative)}, .checkpoint = options}) ==
          FitOutcome::kFinished);
    // Behind the second batch it is written at once, or left out.
    const std::string second = "checkpoint_000_0000000002.pth";
    auto names = names_of(dir / "models");
    CHECK(std::count(names.begin(), names.end(), second) == (negative ? 0 : 1));
    CHECK(names.size() == (negative ? 8 : 9));
    REQUIRE(log.warnings.size() == (negative ? 2 : 1));
    CHECK(log.warnings[0].find("not in the background") != std::string::npos);
    CHECK(log.warnings[0].find("not enough memory") != std::string::npos);
    if (negative) CHECK(log.warnings[1].find("the training goes on") != std::string::npos);
  }
}

TEST_CASE("a fit whose last checkpoint finds no memory fails") {
  // Otherwise a program of several fits would train it once more without a word.
  struct Grows : Callback {
    void on_train_end(TrainState&) override {
      learn().model()->register_buffer("huge", huge(/*negative=*/true));
    }
  };
  for (const bool background : {false, true}) {
    INFO(background);
    const TempDir dir;
    CapturedLog log;
    auto learn = learner_of_files(dir.path());
    auto options = often();
    options.background = background;
    const auto error = caught([&] {
      learn.fit(1, kOldLr, {.callbacks = {std::make_shared<Grows>()}, .checkpoint = options});
    });
    CHECK(error.code == "train.out_of_memory");
    CHECK(names_of(dir / "models").size() == kBatchesOfFit + 1);
  }
}
