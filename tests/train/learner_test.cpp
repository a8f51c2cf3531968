#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/dropout.h>
#include <torch/nn/modules/linear.h>
#include <torch/utils.h>

#include <cmath>
#include <thread>

#include "fastcpp/core/progress.hpp"
#include "fastcpp/train/callbacks/callbacks.hpp"
#include "fastcpp/train/learner.hpp"
#include "support/catch.hpp"
#include "support/points.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace nn = torch::nn;

namespace {

DataBunch plane(const Path& path, std::int64_t bs = 16, int workers = 0) {
  return bunch_of_points(path, {.bs = bs, .num_workers = workers});
}

nn::Sequential network() {
  torch::manual_seed(3);
  return nn::Sequential(nn::Linear(2, 8), nn::BatchNorm1d(8), nn::ReLU(), nn::Dropout(0.2),
                        nn::Linear(8, 2));
}

Learner learner(const TempDir& dir, LearnerOptions options = {}) {
  options.silent = true;
  if (options.metrics.empty()) options.metrics = {accuracy, error_rate};
  return Learner(plane(dir.path()), Model(network()), options);
}

// Writes down the events of a fit.
class Events : public Callback {
 public:
  std::vector<std::string> seen;
  void on_train_begin(TrainState&) override { seen.push_back("train_begin"); }
  void on_epoch_begin(TrainState&) override { seen.push_back("epoch_begin"); }
  void on_batch_begin(TrainState&) override { seen.push_back("batch_begin"); }
  void on_loss_begin(TrainState&) override { seen.push_back("loss_begin"); }
  void on_backward_begin(TrainState&) override { seen.push_back("backward_begin"); }
  void on_backward_end(TrainState&) override { seen.push_back("backward_end"); }
  void on_step_end(TrainState&) override { seen.push_back("step_end"); }
  void on_batch_end(TrainState&) override { seen.push_back("batch_end"); }
  void on_epoch_end(TrainState&) override { seen.push_back("epoch_end"); }
  void on_train_end(TrainState&) override { seen.push_back("train_end"); }
};

// Collects the table.
class TableRows : public ProgressSink {
 public:
  std::vector<std::vector<std::string>> rows;
  void table_header(const std::vector<std::string>& names) override { rows.push_back(names); }
  void table_row(const TableRow& row) override { rows.push_back(row.cells); }
};

class WithTable {
 public:
  WithTable() : former_(set_progress_sink(table)) {}
  ~WithTable() { set_progress_sink(former_); }
  std::shared_ptr<TableRows> table = std::make_shared<TableRows>();

 private:
  std::shared_ptr<ProgressSink> former_;
};

}  // namespace

TEST_CASE("a model learns an easy problem") {
  TempDir dir;
  auto learn = learner(dir);
  const auto before = learn.validate();
  learn.fit_one_cycle(5, {.max_lr = 0.05});
  const auto after = learn.validate();
  CHECK(before.size() == 3);
  CHECK(after[0] < before[0]);
  CHECK(after[1] > 0.95);
  CHECK(after[1] + after[2] == Approx(1).margin(1e-6));
  const auto& recorder = learn.recorder();
  CHECK(recorder.history.size() == 5);
  CHECK(recorder.losses.size() == 50);
  CHECK(recorder.history.back().valid_loss == Approx(after[0]));
}

TEST_CASE("the events of a fit, in fastai's order") {
  TempDir dir;
  auto events = std::make_shared<Events>();
  auto data = DataBunch::create({points(8, 1), points(4, 2), nullptr, nullptr}, dir.path(),
                                {.bs = 4, .num_workers = 0, .device = torch::kCPU});
  Learner learn(data, Model(network()), {.callbacks = {events}, .silent = true});
  learn.fit(1);
  const std::vector<std::string> batch{"batch_begin",  "loss_begin", "backward_begin",
                                       "backward_end", "step_end",   "batch_end"};
  std::vector<std::string> expected{"train_begin", "epoch_begin"};
  for (int i = 0; i < 2; ++i) expected.insert(expected.end(), batch.begin(), batch.end());
  for (const char* name : {"batch_begin", "loss_begin", "batch_end", "epoch_end", "train_end"}) {
    expected.push_back(name);
  }
  CHECK(events->seen == expected);
}

TEST_CASE("the table of a fit and of the LR finder") {
  TempDir dir;
  WithTable sink;
  CapturedLog log;
  Learner learn(plane(dir.path()), Model(network()), {.metrics = {error_rate}});
  learn.fit(2, 1e-3);
  REQUIRE(sink.table->rows.size() == 3);
  CHECK(sink.table->rows[0] ==
        std::vector<std::string>{"epoch", "train_loss", "valid_loss", "error_rate", "time"});
  CHECK(sink.table->rows[2][0] == "1");
  CHECK(sink.table->rows[2][1].size() == 8);  // 0.123456
  CHECK(sink.table->rows[2][4].size() == 5);  // mm:ss
  sink.table->rows.clear();
  learn.lr_find({.num_it = 10});
  REQUIRE(sink.table->rows.size() == 2);
  CHECK(sink.table->rows[1].size() == 4);
  CHECK(sink.table->rows[1][2] == "#na#");
  CHECK(log.info.back() == "LR Finder is complete: learn.recorder().plot() draws the curve.");
}

TEST_CASE("one seed gives one training, whatever the workers") {
  TempDir dir;
  std::vector<std::vector<double>> losses;
  for (int workers : {0, 1, 3}) {
    Learner learn(plane(dir.path(), 16, workers), Model(network()), {.silent = true});
    learn.fit_one_cycle(2);
    learn.fit(1, 1e-3);
    losses.push_back(learn.recorder().losses);
  }
  CHECK(losses[0] == losses[1]);
  CHECK(losses[0] == losses[2]);
}

TEST_CASE("the LR finder leaves the weights as they were") {
  TempDir dir;
  CapturedLog log;
  auto learn = learner(dir);
  learn.fit(1);
  const auto before = learn.validate();
  learn.lr_find({.num_it = 20});
  CHECK(learn.validate() == before);
  CHECK(learn.recorder().lrs.front() == Approx(1e-7));
  CHECK(caught([&] { learn.lr_find({.num_it = 0}); }).code == "value.lr_find");
}

TEST_CASE("freezing keeps batch norm trainable and rebuilds the optimizer") {
  TempDir dir;
  auto net = network();
  Learner learn(plane(dir.path()), Model(net), {.silent = true});
  CHECK(caught([&] { learn.freeze(); }).code == "value.freeze");
  learn.split({net->ptr(4)});
  REQUIRE(learn.layer_groups().size() == 2);
  learn.freeze();
  CHECK_FALSE(net->ptr(0)->parameters()[0].requires_grad());
  CHECK(net->ptr(1)->parameters()[0].requires_grad());
  CHECK(net->ptr(4)->parameters()[0].requires_grad());
  const auto frozen = net->ptr(0)->parameters()[0].clone();
  const auto mean = net->ptr(1)->buffers()[0].clone();
  learn.fit(1);
  CHECK(torch::equal(frozen, net->ptr(0)->parameters()[0]));
  CHECK_FALSE(torch::equal(mean, net->ptr(1)->buffers()[0]));
  learn.unfreeze();
  learn.fit(1);
  CHECK_FALSE(torch::equal(frozen, net->ptr(0)->parameters()[0]));
  CHECK(caught([&] { learn.freeze_to(5); }).code == "value.freeze");
}

TEST_CASE("a stop token ends a fit between batches") {
  TempDir dir;
  class StopSoon : public Callback {
   public:
    std::stop_source source;
    int batches = 0;
    void on_batch_end(TrainState&) override {
      if (++batches == 3) source.request_stop();
    }
  };
  auto stop = std::make_shared<StopSoon>();
  auto learn = learner(dir);
  learn.fit(5, 1e-3, {.callbacks = {stop}, .stop = stop->source.get_token()});
  CHECK(stop->batches == 3);
  CHECK(learn.recorder().history.empty());
}

TEST_CASE("a callback's exception ends the fit, after on_train_end") {
  TempDir dir;
  class Throws : public Events {
   public:
    void on_backward_end(TrainState&) override { throw ValueError("value.test", "no"); }
    void on_train_end(TrainState& state) override {
      Events::on_train_end(state);
      failed = state.exception != nullptr;
    }
    bool failed = false;
  };
  auto throws = std::make_shared<Throws>();
  auto learn = learner(dir);
  CHECK(caught([&] { learn.fit(1, 1e-3, {.callbacks = {throws}}); }).code == "value.test");
  CHECK(throws->seen.back() == "train_end");
  CHECK(throws->failed);
}

TEST_CASE("faults are reported so that a user can act") {
  TempDir dir;
  SECTION("no full batch") {
    Learner learn(plane(dir.path(), 1000), Model(network()), {.silent = true});
    const auto error = caught([&] { learn.fit(1); });
    CHECK(error.code == "train.empty_loader");
    CHECK(error.message.find("batch size of 1000") != std::string::npos);
  }
  SECTION("a model of another input size") {
    Learner learn(plane(dir.path()), Model(nn::Sequential(nn::Linear(3, 2))), {.silent = true});
    const auto error = caught([&] { learn.fit(1); });
    CHECK(error.code == "train.failed");
    CHECK(error.message.find("frame #") == std::string::npos);
  }
  SECTION("no memory") {
    class Greedy : public Callback {
      void on_batch_begin(TrainState&) override { torch::empty({1LL << 50}); }
    };
    auto learn = learner(dir);
    const auto error =
        caught([&] { learn.fit(1, 1e-3, {.callbacks = {std::make_shared<Greedy>()}}); });
    CHECK(error.code == "train.out_of_memory");
    CHECK(error.message.find("batches of 16") != std::string::npos);
    CHECK(error.message.find("bs = 8") != std::string::npos);
  }
  SECTION("a loss that is no number") {
    CapturedLog log;
    auto learn = learner(dir);
    learn.fit(1, 1e30);
    REQUIRE(log.warnings.size() == 1);
    CHECK(log.warnings[0].find("diverged") != std::string::npos);
  }
  SECTION("nothing recorded") {
    CHECK(caught([&] { learner(dir).recorder(); }).code == "train.nothing_recorded");
  }
}

TEST_CASE("predictions") {
  TempDir dir;
  auto learn = learner(dir);
  learn.fit_one_cycle(5, {.max_lr = 0.05});
  const auto all = learn.get_preds(DatasetType::Valid, {.with_loss = true});
  CHECK(all.preds.sizes() == torch::IntArrayRef({50, 2}));
  CHECK(torch::allclose(all.preds.sum(1), torch::ones(50)));
  // Losses come from the raw outputs: minus the logarithm of the probability of the truth.
  const auto truth = all.preds.gather(1, all.targets.unsqueeze(1)).squeeze(1);
  CHECK(torch::allclose(all.losses, -truth.log(), 1e-4, 1e-5));
  CHECK(all.losses.mean().item<double>() == Approx(learn.validate()[0]).epsilon(1e-5));
  const auto one = learn.predict(torch::tensor({3.f, 0.f}));
  CHECK(one.category == "right");
  CHECK(one.index.item<std::int64_t>() == 1);
  CHECK(one.probabilities.sum().item<double>() == Approx(1));
  CHECK(learn.get_preds(DatasetType::Fix).preds.size(0) == 160);
  CHECK(learn.get_preds(DatasetType::Fix, {.n_batch = 2}).preds.size(0) == 32);
  CHECK(learn.pred_batch().sizes() == torch::IntArrayRef({16, 2}));
}

TEST_CASE("metrics") {
  const auto out =
      torch::tensor({{2.f, -1.f, 0.f}, {0.f, 1.f, 3.f}, {1.f, 2.f, .5f}, {-1.f, -2.f, -.5f}});
  const auto target = torch::tensor({0, 2, 0, 2});
  CHECK(Metric(accuracy)(out, target) == Approx(0.75));
  CHECK(Metric(error_rate)(out, target) == Approx(0.25));
  CHECK(top_k_accuracy(2)(out, target) == Approx(1.0));
  CHECK(top_k_accuracy(9)(out, target) == Approx(1.0));
  CHECK(top_k_accuracy().name() == "top_k_accuracy");
  CHECK(caught([] { top_k_accuracy(0); }).code == "value.k");
  // Weighted by batch size, not averaged over batches.
  auto state = Metric(accuracy).start();
  state->update(out.slice(0, 0, 3), target.slice(0, 0, 3));
  state->update(out.slice(0, 3, 4), target.slice(0, 3, 4));
  CHECK(state->value() == Approx(0.75));
}
