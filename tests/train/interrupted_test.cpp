// Work that ends early or goes wrong in the middle: stop tokens, a model that throws, numbers that are none.
#include <torch/nn/cloneable.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/dropout.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/pimpl.h>
#include <torch/utils.h>

#include <cmath>
#include <functional>
#include <limits>
#include <stdexcept>
#include <stop_token>

#include "fastcpp/train/callbacks/tracker.hpp"
#include "fastcpp/train/learner.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace nn = torch::nn;

namespace {

struct BodyImpl : nn::Cloneable<BodyImpl> {
  BodyImpl() { reset(); }
  void reset() override {
    fc = register_module("fc", nn::Linear(2, 4));
    drop = register_module("drop", nn::Dropout(0.1));
  }
  torch::Tensor forward(const torch::Tensor& x) {
    if (before) before();
    return drop(fc(x));
  }
  nn::Linear fc{nullptr};
  nn::Dropout drop{nullptr};
  std::function<void()> before;
};
TORCH_MODULE(Body);

DataBunch spoiled_plane(const Path& path, const std::function<void(torch::Tensor&)>& spoil = {}) {
  torch::manual_seed(1);
  auto x = torch::randn({64, 2}, torch::kFloat32);
  const auto y = x.select(1, 0).gt(0).to(torch::kLong);
  if (spoil) spoil(x);
  const auto set = std::make_shared<TensorDataset>(x, y);
  return DataBunch::create(
      {set, set, nullptr, nullptr}, path,
      {.bs = 16, .num_workers = 0, .device = torch::kCPU, .seed = 7, .classes = {"left", "right"}});
}

// A body and a head, as precompute wants them. One layer of the body is in another mode than the rest.
struct Interrupted {
  TempDir dir;
  Body body;
  nn::Sequential net{body, nn::Linear(4, 2)};
  Learner learn{spoiled_plane(dir.path()), Model(net), {.silent = true}};
  Interrupted() {
    learn.split({net->ptr(1)});
    learn.freeze();
    net->train();
    body->drop->eval();
  }
  void check_modes() const {
    CHECK(net->is_training());
    CHECK(body->is_training());
    CHECK(body->fc->is_training());
    CHECK_FALSE(body->drop->is_training());
    CHECK(net->ptr(1)->is_training());
  }
};

}  // namespace

TEST_CASE("a stop token ends precompute between two batches, and nothing is precomputed") {
  Interrupted s;
  std::stop_source stop;
  int batches = 0;
  s.body->before = [&] {
    if (++batches == 2) stop.request_stop();
  };
  const auto error = caught([&] { s.learn.precompute({.stop = stop.get_token()}); });
  CHECK(error.code == "train.stopped");
  CHECK(error.message.find("2 of 4 batches") != std::string::npos);
  CHECK(batches == 2);
  s.check_modes();
  // The body is trained again without a word about features.
  s.learn.unfreeze();
  CHECK(s.learn.fit(1) == FitOutcome::kFinished);
}

TEST_CASE("a model that throws leaves every layer in its mode") {
  Interrupted s;
  s.body->before = [] { throw std::runtime_error("an impossible view"); };
  const std::vector<std::pair<const char*, std::function<void()>>> calls{
      {"summary", [&] { static_cast<void>(s.learn.summary()); }},
      {"precompute", [&] { s.learn.precompute(); }},
      {"validate", [&] { s.learn.validate(); }},
      {"get_preds", [&] { s.learn.get_preds(); }},
      {"predict", [&] { s.learn.predict(torch::zeros({2}, torch::kFloat32)); }}};
  for (const auto& [name, call] : calls) {
    INFO(name);
    const auto error = caught(call);
    CHECK(error.code == "core.unexpected");
    CHECK(error.message.ends_with(": an impossible view"));
    s.check_modes();
  }
  s.body->before = {};
  CHECK(s.learn.summary().find("Total params: 22") != std::string::npos);
  s.check_modes();
  s.learn.unfreeze();
  CHECK(s.learn.fit(1) == FitOutcome::kFinished);
}

TEST_CASE("what a data set throws leaves a summary as an error of ours") {
  class Broken : public Dataset {
   public:
    std::int64_t size() const override { return 4; }
    Sample get(std::int64_t, Rng&) const override { throw std::runtime_error("no item"); }
    std::optional<torch::Tensor> targets() const override {
      return torch::zeros({4}, torch::kLong);
    }
  };
  TempDir dir;
  const auto data =
      DataBunch::create({std::make_shared<Broken>(), nullptr, nullptr, nullptr}, dir.path(),
                        {.bs = 2, .num_workers = 0, .device = torch::kCPU});
  const Learner learn(data, Model(nn::Sequential(nn::Linear(2, 2))), {.silent = true});
  CHECK(caught([&] { static_cast<void>(learn.summary()); }).code == "core.unexpected");
}

TEST_CASE("after the LR finder a tracked training has all its epochs") {
  Interrupted s;
  s.learn.unfreeze();
  s.learn.callbacks().push_back(std::make_shared<TrackEpochCallback>());
  s.learn.callbacks().push_back(
      std::make_shared<EarlyStoppingCallback>(EarlyStoppingOptions{.patience = 0}));
  s.learn.callback_fns().push_back(track_epoch({.name = "epoch_of_factory"}));
  s.learn.callback_fns().push_back(reduce_lr_on_plateau({.patience = 0}));
  CapturedLog log;
  CHECK(s.learn.lr_find({.num_it = 20, .stop_div = false}).outcome == FitOutcome::kFinished);
  CHECK(s.learn.recorder().lrs.size() == 20);
  CHECK(s.learn.recorder().lrs.back() > 1);  // nobody lowered it
  CHECK_FALSE(std::filesystem::exists(s.learn.model_dir() / "epoch"));
  s.learn.callbacks().pop_back();
  CHECK(s.learn.fit(5, 1e-3) == FitOutcome::kFinished);
  CHECK(s.learn.recorder().history.size() == 5);
  CHECK(s.learn.recorder().history.front().epoch == 0);
}

TEST_CASE("an input that is no number makes the loss none, is told once, and ends what shall end") {
  TempDir dir;
  const auto data = spoiled_plane(
      dir.path(), [](torch::Tensor& x) { x[5][1] = std::numeric_limits<float>::quiet_NaN(); });
  const auto learner = [&] {
    return Learner(data, Model(nn::Sequential(nn::Linear(2, 2))), {.silent = true});
  };
  {
    CapturedLog log;
    auto learn = learner();
    CHECK(learn.fit(2, 1e-3) == FitOutcome::kFinished);
    CHECK(learn.recorder().history.size() == 2);
    CHECK(std::isnan(learn.recorder().losses.back()));
    CHECK(std::isnan(learn.recorder().val_losses.back()));
    REQUIRE(log.warnings.size() == 1);
    CHECK(log.warnings[0].find("look for broken inputs") != std::string::npos);
  }
  CapturedLog log;
  auto learn = learner();
  CHECK(learn.fit(2, 1e-3, {.callbacks = {terminate_on_nan()}}) == FitOutcome::kEnded);
  REQUIRE(learn.recorder().history.size() == 1);
  CHECK_FALSE(learn.recorder().history.front().valid_loss);
  REQUIRE(log.info.size() == 1);
  CHECK(log.info[0].find("Invalid loss, terminating training.") != std::string::npos);
}

TEST_CASE("a training does not depend on the default element type") {
  const auto trained = [](torch::ScalarType type) {
    TempDir dir;
    torch::manual_seed(3);
    // In single precision whatever comes: a layer draws other weights in double.
    nn::Sequential net(nn::Linear(2, 8), nn::BatchNorm1d(8), nn::ReLU(), nn::Linear(8, 2));
    struct Default {
      explicit Default(torch::ScalarType now) : former(torch::get_default_dtype()) {
        torch::set_default_dtype(c10::scalarTypeToTypeMeta(now));
      }
      ~Default() { torch::set_default_dtype(former); }
      caffe2::TypeMeta former;
    };
    const Default set(type);
    Learner learn(spoiled_plane(dir.path()), Model(net), {.metrics = {accuracy}, .silent = true});
    learn.split({net->ptr(3)});
    learn.lr_find({.num_it = 4, .stop_div = false});
    auto numbers = learn.recorder().losses;
    learn.fit_one_cycle(3, {.max_lr = 1e-2});
    for (const auto* more : {&learn.recorder().losses, &learn.recorder().val_losses})
      numbers.insert(numbers.end(), more->begin(), more->end());
    for (const auto& parameter : net->parameters()) {
      CHECK(parameter.scalar_type() == torch::kFloat32);
      numbers.push_back(parameter.sum().item<double>());
    }
    return numbers;
  };
  const auto single = trained(torch::kFloat32);
  CHECK(single.size() == 4 + 12 + 3 + 6);
  CHECK(trained(torch::kFloat64) == single);
}
