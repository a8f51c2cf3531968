// The training loop over a learner's shared state: what callbacks may change, who is ended, what arrives.
#include <torch/nn/cloneable.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>
#include <torch/utils.h>

#include <cmath>
#include <stdexcept>

#include "fastcpp/io/checkpoint.hpp"
#include "fastcpp/train/callbacks/callbacks.hpp"
#include "fastcpp/train/callbacks/tracker.hpp"
#include "fastcpp/train/learner.hpp"
#include "support/catch.hpp"
#include "support/points.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace nn = torch::nn;

namespace {

DataBunch small_plane(const Path& path, std::int64_t bs = 16) {
  return bunch_of_points(path, {.n_train = 64, .n_valid = 32, .bs = bs});
}

struct Setup {
  TempDir dir;
  nn::Sequential net = make();
  Learner learn{small_plane(dir.path()), Model(net), {.metrics = {accuracy}, .silent = true}};
  Setup() { learn.split({net->ptr(3)}); }
  static nn::Sequential make() {
    torch::manual_seed(3);
    return nn::Sequential(nn::Linear(2, 8), nn::BatchNorm1d(8), nn::ReLU(), nn::Linear(8, 2));
  }
};

std::shared_ptr<Callback> once(std::function<void(Learner&, TrainState&)> what,
                               CallbackFunctions::Function CallbackFunctions::*event) {
  CallbackFunctions functions;
  functions.*event = [what, done = std::make_shared<bool>(false)](Learner& l, TrainState& s) {
    if (!std::exchange(*done, true)) what(l, s);
  };
  return make_callback(functions);
}

using Event = CallbackFunctions::Function CallbackFunctions::*;
const std::vector<std::pair<const char*, Event>> kEvents{
    {"train_begin", &CallbackFunctions::on_train_begin},
    {"epoch_begin", &CallbackFunctions::on_epoch_begin},
    {"batch_begin", &CallbackFunctions::on_batch_begin},
    {"loss_begin", &CallbackFunctions::on_loss_begin},
    {"backward_begin", &CallbackFunctions::on_backward_begin},
    {"backward_end", &CallbackFunctions::on_backward_end},
    {"step_end", &CallbackFunctions::on_step_end},
    {"batch_end", &CallbackFunctions::on_batch_end},
    {"epoch_end", &CallbackFunctions::on_epoch_end},
    {"train_end", &CallbackFunctions::on_train_end}};

std::vector<torch::Tensor> copies(const nn::Module& module) {
  std::vector<torch::Tensor> all;
  for (const auto& tensor : module.parameters()) all.push_back(tensor.detach().clone());
  for (const auto& tensor : module.buffers()) all.push_back(tensor.detach().clone());
  return all;
}

bool equal(const std::vector<torch::Tensor>& a, const std::vector<torch::Tensor>& b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!torch::equal(a[i], b[i])) return false;
  }
  return a.size() == b.size();
}

}  // namespace

TEST_CASE("callbacks may change layers, data and loss in every event") {
  for (const auto& [name, event] : kEvents) {
    INFO(name);
    for (int what = 0; what < 5; ++what) {
      Setup s;
      s.learn.freeze();
      const auto change = once(
          [&](Learner& learn, TrainState&) {
            if (what == 0) learn.unfreeze();
            if (what == 1) learn.freeze();
            if (what == 2) learn.split({s.net->ptr(1), s.net->ptr(3)});
            if (what == 3) learn.set_data(small_plane(s.dir.path(), 8));
            if (what == 4) learn.set_loss_func(label_smoothing_cross_entropy());
          },
          event);
      CHECK(s.learn.fit(3, 1e-3, {.callbacks = {change}}) == FitOutcome::kFinished);
      CHECK(s.learn.recorder().history.size() == 3);
      if (what == 0) CHECK(s.net->ptr(0)->parameters()[0].requires_grad());
      if (what == 3)
        CHECK(s.learn.recorder().nb_batches.back() == (name == kEvents.back().first ? 4 : 8));
    }
  }
}

TEST_CASE("layers unfrozen in the middle of a fit are trained at the rate of the fit") {
  Setup s;
  s.learn.freeze();
  const auto before = s.net->ptr(0)->parameters()[0].detach().clone();
  const auto thaw = make_callback({.on_epoch_begin = [](Learner& learn, TrainState& state) {
    if (state.epoch == 1) learn.unfreeze();
  }});
  s.learn.fit(1, 1e-2, {.callbacks = {thaw}});
  CHECK(torch::equal(before, s.net->ptr(0)->parameters()[0]));
  s.learn.fit(2, 1e-2, {.wd = 0.3, .callbacks = {thaw}});
  CHECK_FALSE(torch::equal(before, s.net->ptr(0)->parameters()[0]));
  CHECK(s.learn.opt().lr() == std::vector<double>{1e-2, 1e-2});
  CHECK(s.learn.opt().wd() == std::vector<double>{0.3, 0.3});
}

TEST_CASE("layers split in the middle of a fit are trained at the rate of the fit") {
  Setup s;
  const auto cut = make_callback({.on_epoch_begin = [&](Learner& learn, TrainState& state) {
    if (state.epoch == 1) learn.split({s.net->ptr(1), s.net->ptr(3)});
  }});
  s.learn.fit(2, 1e-5, {.wd = 0.3, .callbacks = {cut}});
  CHECK(s.learn.opt().lr() == std::vector<double>{1e-5, 1e-5, 1e-5});
  CHECK(s.learn.opt().wd() == std::vector<double>{0.3, 0.3, 0.3});
}

TEST_CASE("only callbacks that began are ended, all of them, and the first cause arrives") {
  for (const auto& [name, event] : kEvents) {
    INFO(name);
    Setup s;
    CapturedLog log;
    int first = 0, last = 0;
    bool told = false;
    const auto count = [](int& n) {
      return make_callback({.on_train_end = [&n](Learner&, TrainState&) { ++n; }});
    };
    CallbackFunctions broken;
    broken.*
        event = [](Learner&, TrainState&) { throw std::runtime_error("the first cause\nstack"); };
    const auto second = make_callback({.on_train_end = [&](Learner&, TrainState& state) {
      told = state.exception != nullptr;
      if (told) throw ValueError("value.later", "a later cause");
    }});
    const auto error = caught([&] {
      s.learn.fit(1, 1e-3,
                  {.callbacks = {count(first), second, make_callback(broken), count(last)}});
    });
    CHECK(error.code == "core.unexpected");
    CHECK(error.message.ends_with(": the first cause"));
    CHECK(first == 1);
    CHECK(last == (event == kEvents.front().second ? 0 : 1));
    if (event != kEvents.back().second) {
      CHECK(told);
      REQUIRE(!log.warnings.empty());
      CHECK(log.warnings.back().find("a later cause") != std::string::npos);
    }
    // The learner is as ready as ever.
    CHECK(s.learn.fit(1) == FitOutcome::kFinished);
  }
}

TEST_CASE("a callback has its learner during a fit only") {
  Setup s;
  class Asks : public Callback {
   public:
    using Callback::learn;
  };
  const auto asks = std::make_shared<Asks>();
  CHECK(caught([&] { asks->learn(); }).code == "train.no_learner");
  s.learn.fit(1, 1e-3, {.callbacks = {asks}});
  CHECK(caught([&] { asks->learn(); }).code == "train.no_learner");
}

TEST_CASE("callbacks may leave and come during a fit") {
  Setup s;
  int ended = 0;
  auto leaves = make_callback(
      {.on_batch_begin = [](Learner& learn, TrainState&) { learn.callbacks().clear(); },
       .on_train_end = [&](Learner&, TrainState&) { ++ended; }});
  s.learn.callbacks().push_back(leaves);
  leaves.reset();
  CHECK(s.learn.fit(2) == FitOutcome::kFinished);
  CHECK(ended == 1);
  CHECK(s.learn.callbacks().empty());
}

TEST_CASE("predicting and validating in a callback leave every layer in its mode") {
  Setup s;
  std::vector<bool> modes;
  const auto looks = make_callback({.on_batch_begin = [&](Learner& learn, TrainState& state) {
    if (!state.train) return;
    s.net->ptr(1)->eval();  // as BnFreeze does
    learn.validate();
    learn.get_preds();
    learn.pred_batch();
    learn.predict(torch::zeros({2}, torch::kFloat32));
    for (const auto& module : s.net->modules()) modes.push_back(module->is_training());
  }});
  s.learn.fit(1, 1e-3, {.callbacks = {looks}});
  const std::vector<bool> one{true, true, false, true, true};
  REQUIRE(modes.size() == 4 * one.size());
  for (std::size_t i = 0; i < modes.size(); ++i) CHECK(modes[i] == one[i % one.size()]);
}

TEST_CASE("a fit inside a fit is refused") {
  Setup s;
  const auto nested =
      make_callback({.on_epoch_begin = [](Learner& learn, TrainState&) { learn.fit(1); }});
  CHECK(caught([&] { s.learn.fit(1, 1e-3, {.callbacks = {nested}}); }).code == "train.nested_fit");
  CHECK(s.learn.fit(1) == FitOutcome::kFinished);
}

TEST_CASE("recorder and optimizer are one object for a learner's life") {
  Setup s;
  s.learn.fit(1);
  auto& recorder = s.learn.recorder();
  auto& opt = s.learn.opt();
  s.learn.freeze();
  s.learn.fit(2);
  s.learn.split({s.net->ptr(1), s.net->ptr(3)});
  s.learn.unfreeze();
  CHECK(&recorder == &s.learn.recorder());
  CHECK(&opt == &s.learn.opt());
  CHECK(recorder.history.size() == 2);
  CHECK(opt.lr().size() == 3);
}

TEST_CASE("the LR finder needs no folder, runs no trackers, and puts everything back") {
  Setup s;
  write_file(s.dir / "models", "a file where the folder would be");
  s.learn.fit(1);
  s.learn.callback_fns().push_back(csv_logger());
  s.learn.callback_fns().push_back(save_model());
  int events = 0;
  s.learn.callbacks().push_back(
      make_callback({.on_batch_end = [&](Learner&, TrainState&) { ++events; }}));
  s.net->ptr(1)->eval();
  const auto weights = copies(*s.net);
  const auto momentum = s.learn.opt().groups()[0].states[0].buffers.at("exp_avg").clone();
  CapturedLog log;
  CHECK(s.learn.lr_find({.num_it = 12}).outcome == FitOutcome::kFinished);
  CHECK(s.learn.recorder().lrs.size() == 12);
  CHECK(equal(weights, copies(*s.net)));
  CHECK(torch::equal(momentum, s.learn.opt().groups()[0].states[0].buffers.at("exp_avg")));
  CHECK_FALSE(s.net->ptr(1)->is_training());
  CHECK(events == 0);
  CHECK_FALSE(std::filesystem::exists(s.dir / "history.csv"));
  CHECK(log.warnings.empty());
  s.learn.lr_find({.start_lr = std::vector<double>{1e-7, 1e-6},
                   .end_lr = std::vector<double>{1.0, 10.0},
                   .num_it = 5});
  CHECK(s.learn.recorder().lrs.front() == Approx(1e-6));
  CHECK(caught([&] { s.learn.lr_find({.start_lr = 0}); }).code == "value.lr_find");
  CHECK(equal(weights, copies(*s.net)));
}

TEST_CASE("stop tokens end everything that takes long, and the outcome is told") {
  Setup s;
  std::stop_source stop;
  stop.request_stop();
  const auto token = stop.get_token();
  CHECK(s.learn.fit(2, 1e-3, {.stop = token}) == FitOutcome::kStopped);
  CHECK(s.learn.fit_one_cycle(2, {.stop = token}) == FitOutcome::kStopped);
  CHECK(s.learn.fit_fc(2, {.stop = token}) == FitOutcome::kStopped);
  CHECK(s.learn.lr_find({.stop = token}).outcome == FitOutcome::kStopped);
  CHECK(caught([&] { s.learn.validate({.stop = token}); }).code == "train.stopped");
  CHECK(caught([&] { s.learn.get_preds(DatasetType::Valid, {.stop = token}); }).code ==
        "train.stopped");
  CHECK(s.learn.fit(3, 1e-3, {.callbacks = {stop_after_n_batches(1)}}) == FitOutcome::kEnded);
}

TEST_CASE("rates are given as in fastai") {
  Setup s;
  CHECK(s.learn.fit(1, 1) == FitOutcome::kFinished);
  CHECK(s.learn.fit_one_cycle(1, 1e-3) == FitOutcome::kFinished);
  CHECK(s.learn.fit_one_cycle(1, {.max_lr = 1}) == FitOutcome::kFinished);
  CHECK(s.learn.fit_one_cycle(1, slice(1e-4, 1e-3), {.pct_start = 0.5}) == FitOutcome::kFinished);
}

TEST_CASE("arguments out of range are refused by name") {
  Setup s;
  const auto code = [&](auto&& f) { return caught(f).code; };
  CHECK(code([&] { s.learn.fit(-1); }) == "value.epochs");
  CHECK(code([&] { s.learn.fit_one_cycle(-1); }) == "value.epochs");
  for (const double wd : {-1.0, std::nan(""), HUGE_VAL}) {
    CHECK(code([&] { s.learn.fit(1, 1e-3, {.wd = wd}); }) == "value.wd");
    CHECK(code([&] { Learner(small_plane(s.dir.path()), Model(s.net), {.wd = wd}); }) ==
          "value.wd");
  }
  CHECK(code([&] { s.learn.fit_one_cycle(2, {.start_epoch = 2}); }) == "value.start_epoch");
  CHECK(code([&] { s.learn.fit(1, 1e-3, {.callbacks = {std::shared_ptr<Callback>()}}); }) ==
        "value.callback");
  CHECK(code([&] { Learner(small_plane(s.dir.path()), Model(s.net), {.callbacks = {nullptr}}); }) ==
        "value.callback");
  CHECK(code([&] {
          Learner(small_plane(s.dir.path()), Model(s.net), {.callback_fns = {CallbackFn()}});
        }) == "value.callback");
  CHECK(code([&] { Learner(small_plane(s.dir.path()), Model(s.net), {.opt_func = OptFunc()}); }) ==
        "value.opt_func");
  CHECK(code([&] { Learner(small_plane(s.dir.path()), Model()); }) == "value.model");
  CHECK(code([&] { s.learn.set_loss_func(Loss()); }) == "value.loss_func");
  CHECK(code([&] { s.learn.split({nullptr}); }) == "value.split");
  CHECK(code([&] { s.learn.get_preds(DatasetType::Valid, {.n_batch = 0}); }) == "value.n_batch");
}

namespace {

struct ScaledImpl : nn::Cloneable<ScaledImpl> {
  ScaledImpl() { reset(); }
  void reset() override {
    scale = register_parameter("scale", torch::ones({2}, torch::kFloat32));
    fc = register_module("fc", nn::Linear(2, 2));
  }
  torch::Tensor forward(const torch::Tensor& x) { return fc(x) * scale; }
  torch::Tensor scale;
  nn::Linear fc{nullptr};
};
TORCH_MODULE(Scaled);

struct ThrowsImpl : nn::Cloneable<ThrowsImpl> {
  ThrowsImpl() { reset(); }
  void reset() override { fc = register_module("fc", nn::Linear(2, 2)); }
  torch::Tensor forward(const torch::Tensor& x) {
    if (broken) throw std::runtime_error("an impossible view");
    return fc(x);
  }
  nn::Linear fc{nullptr};
  bool broken = true;
};
TORCH_MODULE(Throws);

}  // namespace

TEST_CASE("parameters beside children are trained, frozen and cleared") {
  TempDir dir;
  Scaled scaled;
  nn::Sequential net(scaled, nn::Linear(2, 2));
  Learner learn(small_plane(dir.path()), Model(net), {.silent = true});
  learn.split({net->ptr(1)});
  learn.fit(1, 1e-2);
  CHECK_FALSE(torch::equal(scaled->scale, torch::ones({2}, torch::kFloat32)));
  CHECK((!scaled->scale.grad().defined() || scaled->scale.grad().abs().sum().item<float>() == 0));
  learn.freeze();
  CHECK_FALSE(scaled->scale.requires_grad());
  const auto groups = std::vector<LayerGroup>{{net->ptr(1)}};
  const auto error =
      caught([&] { Learner(small_plane(dir.path()), Model(net), {.layer_groups = groups}); });
  CHECK(error.code == "value.layer_groups");
  CHECK(error.message.find("'0.") != std::string::npos);
}

TEST_CASE("a model that throws leaves as an error of ours") {
  TempDir dir;
  Throws net;
  Learner learn(small_plane(dir.path()), Model(net), {.silent = true});
  for (const auto& run : std::vector<std::function<void()>>{
           [&] { learn.fit(1); }, [&] { learn.lr_find(); }, [&] { learn.validate(); },
           [&] { learn.get_preds(); }, [&] { learn.pred_batch(); },
           [&] { learn.predict(torch::zeros({2}, torch::kFloat32)); }}) {
    const auto error = caught(run);
    CHECK(error.code == "core.unexpected");
    CHECK(error.message.ends_with(": an impossible view"));
  }
}

TEST_CASE("what does not fit a model is told when weights are loaded") {
  Setup s;
  s.learn.fit(1);
  s.learn.save("all");
  CapturedLog log;
  s.learn.freeze();
  s.learn.load("all");
  REQUIRE(log.warnings.size() == 1);
  CHECK(log.warnings[0].find("optimizer state") != std::string::npos);

  const auto missing = caught([&] { s.learn.load("folder/none"); });
  CHECK(missing.code == "io.cannot_read");
  CHECK(missing.message.find((s.dir / "models").string()) != std::string::npos);
  CHECK(missing.message.find("'all'") != std::string::npos);

  StateDict other;
  other.insert("elsewhere", torch::zeros({3}, torch::kFloat32));
  save_checkpoint(s.dir / "models/other.pth", to_value(other));
  CHECK(caught([&] { s.learn.load("other", {.strict = false}); }).code == "weights.mismatch");

  StateDict half;
  for (const auto& [name, tensor] : state_dict(*s.net)) {
    // Some names have the prefix of DataParallel, some begin with other letters of that length.
    if (name.starts_with("0.")) half.insert("module." + name, tensor);
  }
  save_checkpoint(s.dir / "models/half.pth", to_value(half));
  log.warnings.clear();
  s.learn.load("half", {.strict = false, .remove_module = true});
  REQUIRE(log.warnings.size() == 1);
  CHECK(log.warnings[0].find("2 of 9 tensors") != std::string::npos);
}

TEST_CASE("features of another body are dropped") {
  Setup s;
  nn::Sequential both(nn::Linear(2, 4), nn::Linear(4, 2));
  Learner learn(small_plane(s.dir.path()), Model(both), {.silent = true});
  learn.split({both->ptr(1)});
  learn.freeze();
  learn.save("old", {.with_opt = false});
  learn.precompute();
  CapturedLog log;
  learn.load("old");
  CHECK(log.warnings.empty());  // the same body
  torch::NoGradGuard no_grad;
  both->ptr(0)->parameters()[0].add_(1);
  learn.load("old");
  REQUIRE(log.warnings.size() == 1);
  CHECK(log.warnings[0].find("precompute again") != std::string::npos);
}

TEST_CASE("features are trained on in the order of their data") {
  TempDir dir;
  const auto set = points(32, 1);
  for (const bool shuffle : {false, true}) {
    const auto data = DataBunch::create(
        {set, set, nullptr, nullptr}, dir.path(),
        {.bs = 16, .num_workers = 0, .device = torch::kCPU, .seed = 7, .shuffle = shuffle});
    std::vector<torch::Tensor> targets[2];
    for (const bool precompute : {false, true}) {
      nn::Sequential both(nn::Linear(2, 4), nn::Linear(4, 2));
      Learner learn(data.copy(), Model(both), {.silent = true});
      learn.split({both->ptr(1)});
      learn.freeze();
      if (precompute) learn.precompute();
      learn.fit(1, 1e-3,
                {.callbacks = {make_callback({.on_batch_end = [&](Learner&, TrainState& s) {
                   if (s.train) targets[precompute].push_back(s.last_target);
                 }})}});
    }
    CHECK(equal(targets[0], targets[1]));
    CHECK(torch::equal(targets[0][0], set->targets()->narrow(0, 0, 16)) == !shuffle);
  }
}

TEST_CASE("callbacks may drop precomputed features in every event") {
  for (const auto& [name, event] : kEvents) {
    INFO(name);
    for (const bool other_data : {true, false}) {
      TempDir dir;
      CapturedLog log;
      nn::Sequential both(nn::Linear(2, 4), nn::Linear(4, 2));
      Learner learn(small_plane(dir.path()), Model(both), {.silent = true});
      learn.split({both->ptr(1)});
      learn.freeze();
      learn.precompute();
      const auto drop = once(
          [&](Learner& l, TrainState&) {
            if (other_data) {
              l.set_data(small_plane(dir.path(), 8));
            } else {
              l.precompute({.on = false});
            }
          },
          event);
      // The epoch under way goes on with the features it began with, the next one has the whole model.
      CHECK(learn.fit(3, 1e-3, {.callbacks = {drop}}) == FitOutcome::kFinished);
      CHECK(learn.recorder().history.size() == 3);
    }
  }
}

namespace {

class Watch : public ProgressSink {
 public:
  void begin(const ProgressTask& task) override { begun.push_back(task); }
  void end() override { ++ended; }
  void table_row(const TableRow& row) override { rows.push_back(row); }
  std::vector<ProgressTask> begun;
  int ended = 0;
  std::vector<TableRow> rows;
};

}  // namespace

TEST_CASE("a learner's sink is told phases, epochs and numbers, and every bar ends") {
  TempDir dir;
  const auto watch = std::make_shared<Watch>();
  Learner learn(small_plane(dir.path()), Model(Setup::make()),
                {.metrics = {accuracy}, .progress = watch});
  learn.fit(2);
  REQUIRE(watch->begun.size() == 4);
  CHECK(watch->begun[2].phase == ProgressPhase::kTrain);
  CHECK(watch->begun[2].epoch == 1);
  CHECK(watch->begun[2].n_epochs == 2);
  CHECK(watch->begun[3].phase == ProgressPhase::kValidate);
  REQUIRE(watch->rows.size() == 2);
  CHECK(watch->rows[1].values.size() == watch->rows[1].cells.size());
  CHECK(watch->rows[1].values[2] == Approx(learn.recorder().val_losses[1]));
  const auto broken = make_callback(
      {.on_batch_end = [](Learner&, TrainState&) { throw std::runtime_error("no"); }});
  CHECK(caught([&] { learn.fit(1, 1e-3, {.callbacks = {broken}}); }).code == "core.unexpected");
  CHECK(watch->ended == static_cast<int>(watch->begun.size()));
}
