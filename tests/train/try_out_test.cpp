// Fits of which nothing stays: dry runs, the batch size that fits; and a few batches learned by heart.
#include "fastcpp/train/try_out.hpp"

#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>
#include <torch/utils.h>

#include <algorithm>
#include <filesystem>
#include <new>
#include <stdexcept>

#include "fastcpp/core/path.hpp"
#include "fastcpp/train/callbacks/accumulate.hpp"
#include "fastcpp/train/callbacks/callbacks.hpp"
#include "fastcpp/train/callbacks/columns.hpp"
#include "fastcpp/train/callbacks/tracker.hpp"
#include "support/catch.hpp"
#include "support/points.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace nn = torch::nn;

namespace {

struct Tried {
  TempDir dir;
  nn::Sequential net = make();
  Learner learn;
  explicit Tried(std::int64_t bs = 16)
      : learn(bunch_of_points(dir.path(), {.bs = bs}), Model(net),
              {.metrics = {accuracy}, .silent = true}) {}
  static nn::Sequential make() {
    torch::manual_seed(3);
    return nn::Sequential(nn::Linear(2, 8), nn::BatchNorm1d(8), nn::ReLU(), nn::Linear(8, 2));
  }
  std::vector<torch::Tensor> tensors() const {
    std::vector<torch::Tensor> all;
    for (const auto& tensor : net->parameters()) all.push_back(tensor.detach().clone());
    for (const auto& tensor : net->buffers()) all.push_back(tensor.detach().clone());
    for (const auto& group : learn.opt().groups()) {
      for (const auto& state : group.states) {
        for (const auto& buffer : state.buffers) all.push_back(buffer.second.detach().clone());
      }
    }
    return all;
  }
  bool files() const {
    return std::filesystem::directory_iterator(dir.path()) != std::filesystem::directory_iterator();
  }
};

bool same(const std::vector<torch::Tensor>& a, const std::vector<torch::Tensor>& b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(),
                    [](const auto& x, const auto& y) { return torch::equal(x, y); });
}

// Refuses batches above a size as an allocator does.
struct LittleMemory : Callback {
  explicit LittleMemory(std::int64_t most_) : most(most_) {}
  bool in_lr_find() const override { return true; }
  void on_batch_begin(TrainState& state) override {
    if (state.last_input.size(0) > most) throw std::bad_alloc();
  }
  std::int64_t most;
};

}  // namespace

TEST_CASE("a dry run calls every callback and leaves nothing behind") {
  Tried s, plain;
  s.learn.fit(1, 1e-2);
  plain.learn.fit(1, 1e-2);
  const auto before = s.tensors();
  const auto lr = s.learn.opt().lr();
  const auto losses = s.learn.recorder().losses;
  std::int64_t trained = 0, validated = 0, epochs = 0;
  Path path;
  const auto count = make_callback({.on_batch_end =
                                        [&](Learner&, TrainState& state) {
                                          CHECK(state.dry_run);
                                          ++(state.train ? trained : validated);
                                        },
                                    .on_epoch_end =
                                        [&](Learner& learn, TrainState& state) {
                                          CHECK_FALSE(state.stop_epoch);
                                          CHECK(state.last_metrics.size() == 2);
                                          path = learn.path();
                                          learn.freeze_to(0);
                                          ++epochs;
                                        }});
  const auto saves = save_model({.every = SaveEvery::kEpoch});
  const auto record = s.learn.dry_run(
      {.n_batches = 3, .lr = 0.1, .callbacks = {count, saves, csv_logger(), track_epoch()}});
  CHECK(trained == 3);
  CHECK(validated == 3);
  CHECK(epochs == 1);
  CHECK(record.losses.size() == 3);
  REQUIRE(record.history.size() == 1);
  CHECK(record.history[0].valid_loss.has_value());

  CHECK_FALSE(s.files());
  CHECK(path != s.learn.path());
  CHECK_FALSE(std::filesystem::exists(path));
  CHECK(s.learn.path() == s.dir.path());
  CHECK(same(before, s.tensors()));
  CHECK(s.learn.opt().lr() == lr);
  CHECK(s.learn.recorder().losses == losses);
  CHECK(s.learn.recorder().fits().size() == 1);
  // The next fit is the one that it would have been.
  s.learn.fit(2, 1e-2);
  plain.learn.fit(2, 1e-2);
  CHECK(s.learn.recorder().losses == plain.learn.recorder().losses);
  CHECK(s.learn.recorder().val_losses == plain.learn.recorder().val_losses);
  CHECK(same(s.tensors(), plain.tensors()));
}

TEST_CASE("a dry run before the first fit, with absolute names, and one that fails") {
  Tried s;
  const auto initial = s.net->ptr(0)->parameters()[0].detach().clone();
  s.learn.save("stage");
  const auto loads = make_callback({.on_train_begin = [](Learner& learn, TrainState&) {
    learn.load("stage");
    learn.save("again");
  }});
  const auto elsewhere = (s.dir / "elsewhere").string();
  s.learn.dry_run(
      {.callbacks = {loads, csv_logger({.filename = elsewhere}), track_epoch({.name = elsewhere}),
                     save_model({.every = SaveEvery::kEpoch, .name = elsewhere}),
                     json_logger({.filename = elsewhere})}});
  CHECK(std::filesystem::exists(s.dir / "models/stage.pth"));
  CHECK_FALSE(std::filesystem::exists(s.dir / "models/again.pth"));
  for (const auto* end : {"", ".csv", "_0.pth", ".jsonl"}) {
    CHECK_FALSE(std::filesystem::exists(elsewhere + end));
  }
  CHECK(caught([&] { s.learn.recorder(); }).code == "train.nothing_recorded");

  const auto breaks = make_callback(
      {.on_epoch_end = [](Learner&, TrainState&) { throw std::runtime_error("no such column"); }});
  const auto error = caught([&] { s.learn.dry_run({.callbacks = {breaks}}); });
  CHECK(error.message.find("no such column") != std::string::npos);
  CHECK(torch::equal(initial, s.net->ptr(0)->parameters()[0]));
  CHECK(s.learn.path() == s.dir.path());
  CHECK(caught([&] { s.learn.dry_run({.n_batches = 0}); }).code == "value.n_batches");
  const auto nested =
      make_callback({.on_epoch_begin = [](Learner& learn, TrainState&) { learn.dry_run(); }});
  CHECK(caught([&] { s.learn.fit(1, 1e-2, {.callbacks = {nested}}); }).code == "train.nested_fit");
}

TEST_CASE("a few batches are seen over and over, in validation too") {
  Tried s;
  const auto all = s.learn.data();
  const auto few = all.overfit_batches(2);
  CHECK(few.train_dl().size() == 2);
  CHECK(few.valid_dl().size() == 2);
  CHECK(all.train_dl().size() == 10);
  std::vector<std::vector<std::int64_t>> passes;
  for (const auto& loader : {few.train_dl(), few.train_dl(), few.valid_dl()}) {
    passes.emplace_back();
    for (const auto& batch : loader) {
      passes.back().insert(passes.back().end(), batch.indices.begin(), batch.indices.end());
    }
  }
  CHECK(passes[0].size() == 32);
  CHECK(passes[0] == passes[1]);
  CHECK(passes[0] == passes[2]);
  std::sort(passes[0].begin(), passes[0].end());
  CHECK(std::unique(passes[0].begin(), passes[0].end()) == passes[0].end());
  CHECK(s.learn.data().overfit_batches(100).train_dl().size() == 10);
  CHECK(caught([&] { s.learn.data().overfit_batches(0); }).code == "value.n_batches");
  // Learned by heart.
  s.learn.set_data(few);
  s.learn.fit(200, 3e-2, {.wd = 0});
  CHECK(s.learn.validate().at(1) > 0.95);
  CHECK(s.learn.validate().at(0) < 0.15);
}

TEST_CASE("the largest batch that fits is found, and the batch that was wanted is kept") {
  Tried s(64);
  const auto memory = std::make_shared<LittleMemory>(23);
  s.learn.callbacks().push_back(memory);
  const auto before = s.tensors();
  const auto found = s.learn.find_batch_size();
  CHECK(found.largest == 23);
  CHECK(found.bs == 16);
  CHECK(found.n_step == 4);
  CHECK(found.effective == 64);
  REQUIRE(found.trials.size() >= 3);
  CHECK(found.trials[0].bs == 64);
  CHECK_FALSE(found.trials[0].fits);
  for (const auto& trial : found.trials) CHECK(trial.fits == (trial.bs <= 23));
  CHECK(found.str().find(".n_step = 4") != std::string::npos);
  CHECK(same(before, s.tensors()));
  CHECK(s.learn.data().batch_size() == 64);
  CHECK_FALSE(s.files());

  // More items than are wanted fit; a number that nothing divides; what is out of range.
  memory->most = 1000;
  const auto all = s.learn.find_batch_size({.max = 160});
  CHECK(all.largest == 160);
  CHECK(all.bs == 64);
  CHECK(all.n_step == 1);
  memory->most = 20;
  const auto prime = s.learn.find_batch_size({.effective = 37});
  CHECK(prime.largest == 20);
  CHECK(prime.bs == 19);
  CHECK(prime.n_step == 2);
  memory->most = 0;
  CHECK(caught([&] { s.learn.find_batch_size(); }).code == "train.out_of_memory");
  CHECK(caught([&] { s.learn.find_batch_size({.effective = 0}); }).code == "value.batch_size");
  CHECK(caught([&] { s.learn.find_batch_size({.max = 161}); }).code == "value.batch_size");
  CHECK(caught([&] { s.learn.find_batch_size({.n_batches = 0}); }).code == "value.n_batches");
  CHECK(same(before, s.tensors()));
}

TEST_CASE("the batch size that was found is used on request") {
  Tried s(64);
  s.learn.callbacks().push_back(std::make_shared<LittleMemory>(40));
  const auto found = s.learn.find_batch_size({.apply = true});
  CHECK(found.bs == 32);
  CHECK(s.learn.data().batch_size() == 32);
  CHECK(s.learn.data().valid_dl().batch_size() == 32);
  REQUIRE(s.learn.callbacks().size() == 2);
  CHECK(std::dynamic_pointer_cast<AccumulateScheduler>(s.learn.callbacks().back()));
  CHECK(s.learn.fit(1) == FitOutcome::kFinished);
}
