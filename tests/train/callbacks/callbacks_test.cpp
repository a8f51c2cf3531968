// Callbacks that no golden file covers.
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>
#include <torch/utils.h>

#include <fstream>
#include <functional>
#include <sstream>

#include "fastcpp/core/rng.hpp"
#include "fastcpp/train/callbacks/callbacks.hpp"
#include "fastcpp/train/callbacks/general_sched.hpp"
#include "fastcpp/train/callbacks/mixup.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

Learner small_learner(const Path& dir, std::uint64_t seed = 0) {
  auto set = std::make_shared<TensorDataset>(torch::arange(64).reshape({16, 4}).to(torch::kFloat),
                                             torch::arange(16).remainder(3));
  auto data = DataBunch::create({set, set, nullptr, nullptr}, dir,
                                {.bs = 8, .num_workers = 0, .device = torch::kCPU, .seed = seed});
  return {data,
          Model(torch::nn::Sequential(torch::nn::Linear(4, 3))),
          {.metrics = {accuracy}, .silent = true}};
}

// What reaches the model.
struct Inputs : Callback {
  std::vector<torch::Tensor> x, y;
  std::vector<bool> train;
  int order() const override { return 100; }
  void on_loss_begin(TrainState& state) override {
    x.push_back(state.last_input);
    y.push_back(state.last_target);
    train.push_back(state.train);
  }
};

std::string text_of(const Path& file) {
  std::ifstream in(file);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace

TEST_CASE("mix-up mixes training batches only, and gives the loss back") {
  TempDir dir;
  auto learner = small_learner(dir.path());
  const auto loss = learner.loss_func().name();
  auto inputs = std::make_shared<Inputs>();
  learner.mixup().fit(1, 1e-3, {.callbacks = {inputs}});
  REQUIRE(inputs->x.size() == 4);
  for (std::size_t i = 0; i < inputs->x.size(); ++i) {
    if (!inputs->train[i]) {
      CHECK(inputs->y[i].dim() == 1);
      CHECK(torch::equal(inputs->x[i], inputs->x[i].round()));
      continue;
    }
    REQUIRE(inputs->y[i].sizes() == torch::IntArrayRef({8, 3}));
    const auto lambda = inputs->y[i].select(1, 2);
    CHECK(lambda.min().item<float>() >= 0.5F);
    CHECK(lambda.max().item<float>() <= 1.0F);
  }
  CHECK(learner.loss_func().name() == loss);
}

TEST_CASE("mix-up of targets, and the same mixtures for the same seed") {
  std::vector<torch::Tensor> runs;
  for (const std::uint64_t seed : {5U, 5U, 6U}) {
    TempDir dir;
    auto learner = small_learner(dir.path(), seed);
    learner.set_loss_func(Loss("first", [](const torch::Tensor& out, const torch::Tensor& y) {
      return (out.select(1, 0) - y).square();
    }));
    auto inputs = std::make_shared<Inputs>();
    learner.mixup({.stack_y = false}).fit(1, 1e-3, {.callbacks = {inputs}});
    CHECK(inputs->y.front().dim() == 1);
    runs.push_back(inputs->x.front());
  }
  CHECK(torch::equal(runs[0], runs[1]));
  CHECK_FALSE(torch::equal(runs[0], runs[2]));
  CHECK(caught([] { MixUpCallback({.alpha = 0}); }).code == "value.mixup");
}

namespace {

// Mixes by itself what it is given with partners; what it is given alone it takes as it is.
struct MixesItselfImpl : torch::nn::Module {
  MixesItselfImpl() { layer = register_module("layer", torch::nn::Linear(4, 3)); }
  torch::Tensor forward(const torch::Tensor& x) { return layer(x); }
  torch::Tensor forward(const torch::Tensor& x, const torch::Tensor& partner,
                        const torch::Tensor& lambda) {
    const auto share = lambda.unsqueeze(1);
    return layer(x * share + partner * (1 - share));
  }
  torch::nn::Linear layer{nullptr};
};

}  // namespace

TEST_CASE("mix-up leaves the mixing to the network") {
  TempDir dir;
  std::vector<std::vector<double>> losses;
  for (const bool stack_x : {false, true}) {
    auto plain = small_learner(dir.path());
    torch::manual_seed(1);
    Learner learner(plain.data(), Model(std::make_shared<MixesItselfImpl>()), {.silent = true});
    auto inputs = std::make_shared<Inputs>();
    learner.mixup({.stack_x = stack_x}).fit(2, 1e-3, {.callbacks = {inputs}});
    losses.push_back(learner.recorder().losses);
  }
  REQUIRE(losses[0].size() == 4);
  for (std::size_t i = 0; i < 4; ++i) CHECK(losses[0][i] == Approx(losses[1][i]).epsilon(1e-6));
}

TEST_CASE("a factory of mix-up that learners share gives each the mixtures of its own") {
  TempDir dir;
  const auto make = mixup();
  std::vector<torch::Tensor> first, second;
  for (int i = 0; i < 2; ++i) {
    auto learner = small_learner(dir.path(), 5);
    learner.callback_fns().push_back(make);
    for (auto* drawn : {&first, &second}) {
      auto inputs = std::make_shared<Inputs>();
      learner.fit(1, 1e-3, {.callbacks = {inputs}});
      drawn->push_back(inputs->y.front().select(1, 2));
    }
  }
  CHECK(torch::equal(first[0], first[1]));
  CHECK(torch::equal(second[0], second[1]));
  CHECK_FALSE(torch::equal(first[0], second[0]));
}

TEST_CASE("mix-up draws from Beta(alpha, alpha)") {
  TempDir dir;
  for (const double alpha : {0.4, 1.0, 3.0}) {
    INFO("alpha " << alpha);
    auto set = std::make_shared<TensorDataset>(torch::ones({10000, 1}),
                                               torch::zeros({10000}, torch::kLong));
    auto data = DataBunch::create({set, nullptr, nullptr, nullptr}, dir.path(),
                                  {.bs = 10000, .num_workers = 0, .device = torch::kCPU});
    Learner learner(data, Model(torch::nn::Sequential(torch::nn::Linear(1, 2))), {.silent = true});
    auto inputs = std::make_shared<Inputs>();
    learner.mixup({.alpha = alpha}).fit(1, 0.0, {.callbacks = {inputs}});
    const auto lambda = std::get<0>(inputs->y.front().select(1, 2).to(torch::kFloat64).sort());
    // max(l, 1 - l) of a symmetric l: P(max <= t) = 2 I_t(alpha, alpha) - 1. The regularised
    // incomplete beta function by the midpoint rule; Kolmogorov-Smirnov at p = 0.001.
    const double norm = std::exp(std::lgamma(2 * alpha) - 2 * std::lgamma(alpha));
    double worst = 0, mass = 0, t = 0.5;
    const double step = 1e-5;
    std::int64_t i = 0;
    const auto* values = lambda.data_ptr<double>();
    for (; t < 1; t += step) {
      const double mid = t + step / 2;
      mass += 2 * norm * std::pow(mid * (1 - mid), alpha - 1) * step;
      while (i < lambda.numel() && values[i] <= t + step) ++i;
      worst = std::max(worst, std::abs(static_cast<double>(i) / 10000.0 - mass));
    }
    CHECK(worst < 1.95 / 100);
  }
}

TEST_CASE("the log of a training in a file") {
  TempDir dir;
  auto learner = small_learner(dir.path());
  const auto log = [](bool append) {
    return std::make_shared<CSVLogger>(CSVLoggerOptions{.filename = "log", .append = append});
  };
  learner.fit(2, 1e-3, {.callbacks = {log(false)}});
  auto text = text_of(dir / "log.csv");
  CHECK(text == learner.recorder().csv());
  CHECK(text.starts_with("epoch,train_loss,valid_loss,accuracy,time\n0,"));
  // One header, whoever wrote it.
  const auto rows = [&] {
    const auto all = learner.recorder().csv();
    return all.substr(all.find('\n') + 1);
  };
  learner.fit(1, 1e-3, {.callbacks = {log(true)}});
  text += rows();
  CHECK(text_of(dir / "log.csv") == text);
  // A killed training left half a row.
  std::ofstream(dir / "log.csv", std::ios::app) << "0,1.2";
  learner.fit(1, 1e-3, {.callbacks = {log(true)}});
  CHECK(text_of(dir / "log.csv") == text + "0,1.2\n" + rows());
  // Rows of another table would be no table.
  std::ofstream(dir / "log.csv") << "epoch,train_loss\n0,1\n";
  const auto other = caught([&] { learner.fit(1, 1e-3, {.callbacks = {log(true)}}); });
  CHECK(other.code == "value.csv_columns");
  CHECK(other.message.find("epoch,train_loss,valid_loss,accuracy,time") != std::string::npos);
  CHECK(text_of(dir / "log.csv") == "epoch,train_loss\n0,1\n");
  std::filesystem::remove(dir / "log.csv");
  learner.fit(1, 1e-3, {.callbacks = {log(true)}});
  CHECK(text_of(dir / "log.csv") == learner.recorder().csv());
}

TEST_CASE("a training of a few batches") {
  TempDir dir;
  auto learner = small_learner(dir.path());
  learner.fit(5, 1e-3, {.callbacks = {std::make_shared<StopAfterNBatches>(3)}});
  CHECK(learner.recorder().losses.size() == 3);
  CHECK(learner.recorder().val_losses.empty());
}

TEST_CASE("schedules refuse what they cannot move") {
  CHECK(caught([] { TrainingPhase(3).schedule_hp(static_cast<Hyper>(9), 1.0); }).code ==
        "value.hyper_name");
  TempDir dir;
  auto learner = small_learner(dir.path());
  CHECK(caught([&] { learner.fit_fc(1, {.start_pct = 2}); }).code == "value.flat_cos");
}

namespace {

// Cuts the model into other layer groups after some batches; also in the LR finder, where callbacks of users need not
// take part.
struct Splits : Callback {
  Splits(std::vector<std::size_t> at_, std::int64_t after_) : at(std::move(at_)), after(after_) {}
  bool in_lr_find() const override { return true; }
  void on_batch_begin(TrainState& state) override {
    if (!state.train || state.iteration != after) return;
    auto learner = learn();
    const auto net = std::dynamic_pointer_cast<torch::nn::SequentialImpl>(learner.model().ptr());
    std::vector<Layer> layers;
    for (const auto i : at) layers.push_back(net->ptr(i));
    learner.split(layers);
  }
  std::vector<std::size_t> at;
  std::int64_t after;
};

Learner deep_learner(const Path& dir) {
  auto set = std::make_shared<TensorDataset>(
      torch::arange(64).reshape({16, 4}).to(torch::kFloat) / 64, torch::arange(16).remainder(3));
  auto data = DataBunch::create({set, set, nullptr, nullptr}, dir,
                                {.bs = 4, .num_workers = 0, .device = torch::kCPU});
  namespace nn = torch::nn;
  nn::Sequential net(nn::Linear(4, 4), nn::Linear(4, 4), nn::Linear(4, 3));
  Learner learner(data, Model(net), {.silent = true});
  learner.split({net->ptr(2)});
  return learner;
}

}  // namespace

TEST_CASE("schedules go on when the model is split into other layer groups") {
  TempDir dir;
  const std::vector<double> rates{1e-4, 1e-2};
  TrainingPhase phase(8);
  phase.schedule_hp(Hyper::kLr, rates, std::vector<double>{1e-3, 1e-1})
      .schedule_hp(Hyper::kWd, std::vector<double>{0.1, 0.2});
  const std::vector<std::function<void(Learner&, std::vector<CallbackArg>)>> fits{
      [&](Learner& learner, std::vector<CallbackArg> more) {
        learner.fit_one_cycle(2, {.max_lr = rates, .callbacks = std::move(more)});
      },
      [&](Learner& learner, std::vector<CallbackArg> more) {
        learner.fit_fc(2, {.lr = rates, .callbacks = std::move(more)});
      },
      [&](Learner& learner, std::vector<CallbackArg> more) {
        more.emplace_back(general_scheduler({.phases = {phase}}));
        learner.fit(2, 1e-3, {.callbacks = std::move(more)});
      }};
  for (std::size_t i = 0; i < fits.size(); ++i) {
    INFO(i);
    auto whole = deep_learner(dir.path());
    fits[i](whole, {});
    const auto& want = whole.recorder().lrs;
    REQUIRE(want.size() == 8);
    // More groups than before, and fewer.
    for (const auto& at : {std::vector<std::size_t>{1, 2}, std::vector<std::size_t>{}}) {
      auto learner = deep_learner(dir.path());
      fits[i](learner, {std::make_shared<Splits>(at, 3)});
      CHECK(learner.recorder().lrs == want);
      const auto& now = learner.opt().lr();
      CHECK(now == std::vector<double>(at.size() + 1, now.back()));
    }
  }
}

TEST_CASE("the LR finder puts layer groups back that a callback split") {
  TempDir dir;
  auto learner = deep_learner(dir.path());
  learner.callbacks().push_back(std::make_shared<Splits>(std::vector<std::size_t>{1, 2}, 2));
  CHECK(learner.lr_find({.num_it = 6, .stop_div = false}).outcome == FitOutcome::kFinished);
  CHECK(learner.recorder().lrs.size() == 6);
  CHECK(learner.layer_groups().size() == 2);
  CHECK(learner.opt().lr().size() == 2);
  learner.callbacks().clear();
  CHECK(learner.fit(1, std::vector<double>{1e-4, 1e-3}) == FitOutcome::kFinished);
}
