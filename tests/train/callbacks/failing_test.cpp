// Callbacks when something fails: a full disk, old files, a kill, arguments out of range, other locales.
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>
#include <torch/utils.h>

#include <algorithm>
#include <clocale>
#include <cmath>
#include <csignal>
#include <fstream>
#include <limits>
#include <locale>
#include <optional>

#include <sys/resource.h>

#include "fastcpp/core/path.hpp"
#include "fastcpp/train/callbacks/callbacks.hpp"
#include "fastcpp/train/callbacks/general_sched.hpp"
#include "fastcpp/train/callbacks/mixed_precision.hpp"
#include "fastcpp/train/callbacks/mixup.hpp"
#include "fastcpp/train/callbacks/tracker.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

const auto kNan = std::numeric_limits<double>::quiet_NaN();

Learner plain_learner(const Path& dir, const std::vector<CallbackFn>& fns = {}) {
  auto set = std::make_shared<TensorDataset>(
      torch::arange(64).reshape({16, 4}).to(torch::kFloat) / 64, torch::arange(16).remainder(3));
  auto data = DataBunch::create({set, set, nullptr, nullptr}, dir,
                                {.bs = 8, .num_workers = 0, .device = torch::kCPU});
  return {data,
          Model(torch::nn::Sequential(torch::nn::Linear(4, 3))),
          {.metrics = {accuracy}, .callback_fns = fns, .silent = true}};
}

torch::Tensor weights(const Learner& learner) {
  return learner.model()->parameters().front().detach().clone();
}

// Calls a function at the end of one epoch.
struct AtEpochEnd : Callback {
  AtEpochEnd(int epoch_, std::function<void()> f_, int order_ = -15)
      : epoch(epoch_), f(std::move(f_)), order_value(order_) {}
  int order() const override { return order_value; }
  void on_epoch_end(TrainState& state) override {
    if (state.epoch == epoch) f();
  }
  int epoch;
  std::function<void()> f;
  int order_value;
};

// No file of this process grows beyond a size, as on a full disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(std::uintmax_t bytes) {
    former_signal_ = std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &former_);
    rlimit limit = former_;
    limit.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &former_);
    std::signal(SIGXFSZ, former_signal_);
  }

 private:
  rlimit former_{};
  void (*former_signal_)(int);
};

}  // namespace

TEST_CASE("a model of another training is never loaded at the end") {
  for (const char* monitor : {"misspelt", "valid_loss"}) {
    INFO(monitor);
    TempDir dir;
    CapturedLog log;
    auto old = plain_learner(dir.path());
    old.save("bestmodel");
    auto learner = plain_learner(dir.path());
    {
      torch::NoGradGuard no_grad;
      // No epoch has a loss that could be better than any.
      if (monitor == std::string("valid_loss")) learner.model()->parameters().front().fill_(kNan);
    }
    torch::Tensor last;
    auto keep = std::make_shared<AtEpochEnd>(0, [&] { last = weights(learner); });
    learner.fit(1, 1e-2, {.callbacks = {keep, save_model({.monitor = monitor})(learner)}});
    CHECK(torch::allclose(weights(learner), last, 1e-5, 1e-8, true));
    CHECK_FALSE(torch::equal(weights(learner), weights(old)));
    REQUIRE_FALSE(log.warnings.empty());
    const auto& warning = log.warnings.back();
    INFO(warning);
    CHECK(warning.find(monitor) != std::string::npos);
    if (monitor == std::string("misspelt"))
      CHECK(warning.find("train_loss, valid_loss, accuracy") != std::string::npos);
  }
}

TEST_CASE("a training killed at any moment finds the model of the epoch that is written down") {
  TempDir dir;
  CapturedLog log;
  auto learner = plain_learner(dir.path());
  const auto models = learner.model_dir();
  // What a training that starts at this moment would find.
  struct Watch : Callback {
    Watch(Path models_, int order_) : models(std::move(models_)), order_value(order_) {}
    int order() const override { return order_value; }
    void on_epoch_begin(TrainState&) override { look(); }
    void on_batch_end(TrainState&) override { look(); }
    void on_epoch_end(TrainState&) override { look(); }
    void on_train_end(TrainState&) override { look(); }
    void look() {
      if (!std::filesystem::exists(models / "epoch")) return;
      last = read_file(models / "epoch");
      CHECK(std::filesystem::exists(models / ("bestmodel_" + last + ".pth")));
    }
    Path models;
    int order_value;
    std::string last;
  };
  const std::vector<CallbackFn> fns = {track_epoch(), save_model({.every = SaveEvery::kEpoch})};
  learner.callback_fns() = fns;
  auto before = std::make_shared<Watch>(models, -30),
       between = std::make_shared<Watch>(models, -15), after = std::make_shared<Watch>(models, 50);
  learner.fit(3, 1e-2, {.callbacks = {before, between, after}});
  CHECK(after->last == "2");

  // The save of epoch 4 fails: epoch 3 stays the last one.
  auto fail = std::make_shared<AtEpochEnd>(4, [] { throw IoError("io.test", "no space"); });
  CHECK(caught([&] { learner.fit(6, 1e-2, {.callbacks = {fail}}); }).code == "io.test");
  CHECK(read_file(models / "epoch") == "3");
  auto saved = plain_learner(dir.path());
  saved.load("bestmodel_3");

  auto again = plain_learner(dir.path(), fns);
  struct First : Callback {
    void on_epoch_begin(TrainState& state) override {
      if (epoch < 0) {
        epoch = state.epoch;
        seen = weights(learn());
      }
    }
    int epoch = -1;
    torch::Tensor seen;
  };
  auto first = std::make_shared<First>();
  again.fit(5, 1e-2, {.callbacks = {first}});
  CHECK(first->epoch == 4);
  CHECK(torch::equal(first->seen, weights(saved)));
  CHECK(read_file(models / "epoch") == "4");

  // Nothing is left to train, and that is said.
  log.warnings.clear();
  again.fit(5, 1e-2);
  REQUIRE_FALSE(log.warnings.empty());
  CHECK(log.warnings.front().find("5 epochs are finished") != std::string::npos);

  std::filesystem::remove(models / "bestmodel_4.pth");
  const auto missing = caught([&] { again.fit(6, 1e-2); });
  CHECK(missing.code == "io.cannot_read");
  CHECK(missing.message.find("bestmodel_4.pth") != std::string::npos);
}

TEST_CASE("the file of the finished epoch") {
  TempDir dir;
  CapturedLog log;
  auto learner = plain_learner(dir.path());
  auto track = std::make_shared<TrackEpochCallback>(TrackEpochOptions{.name = "done"});
  CHECK(caught([&] { track->restart(); }).code == "train.no_learner");
  // An epoch that was cut short is not finished.
  learner.fit(3, 1e-2, {.callbacks = {track, stop_after_n_batches(1)(learner)}});
  CHECK_FALSE(track->get_completed());
  learner.fit(1, 1e-2, {.callbacks = {track}});
  CHECK(track->get_completed() == 0);
  track->restart();
  CHECK_FALSE(track->get_completed());
  for (const char* rubbish : {"", "-1", "three", "1.5", "99999999999999"}) {
    INFO(rubbish);
    write_file(learner.model_dir() / "done", rubbish);
    const auto error = caught([&] { learner.fit(1, 1e-2, {.callbacks = {track}}); });
    CHECK(error.code == "train.epoch_file");
    CHECK(error.message.find((learner.model_dir() / "done").string()) != std::string::npos);
    CHECK(read_file(learner.model_dir() / "done") == rubbish);
  }
}

TEST_CASE("a full disk leaves whole rows and whole models") {
  TempDir dir;
  CapturedLog log;
  auto learner = plain_learner(dir.path());
  std::optional<FileSizeLimit> full;
  {
    auto fill = std::make_shared<AtEpochEnd>(
        1, [&] { full.emplace(std::filesystem::file_size(dir / "history.csv") + 3); });
    const auto error = caught([&] {
      learner.fit(3, 1e-2, {.callbacks = {fill, csv_logger()(learner)}});
    });
    full.reset();
    CHECK(error.code == "io.cannot_write");
    CHECK(error.message.find("history.csv") != std::string::npos);
    const auto text = read_file(dir / "history.csv");
    const auto all = learner.recorder().csv();
    CHECK(all.starts_with(text));
    CHECK(std::count(text.begin(), text.end(), '\n') == 2);
    CHECK(text.back() == '\n');
  }
  {
    auto fill = std::make_shared<AtEpochEnd>(1, [&] { full.emplace(100); });
    const std::vector<CallbackArg> callbacks = {track_epoch()(learner), fill,
                                                save_model({.every = SaveEvery::kEpoch})(learner)};
    const auto error = caught([&] { learner.fit(3, 1e-2, {.callbacks = callbacks}); });
    full.reset();
    CHECK(error.code.starts_with("io."));
    CHECK(read_file(learner.model_dir() / "epoch") == "0");
    CHECK_FALSE(std::filesystem::exists(learner.model_dir() / "bestmodel_1.pth"));
    learner.load("bestmodel_0");
  }
}

TEST_CASE("files do not depend on the locale") {
  struct Grouped : std::numpunct<char> {
    char do_decimal_point() const override { return ','; }
    char do_thousands_sep() const override { return '.'; }
    std::string do_grouping() const override { return "\3"; }
  };
  struct Locales {
    std::locale cpp = std::locale::global(std::locale(std::locale::classic(), new Grouped));
    std::string c = std::setlocale(LC_ALL, nullptr);
    ~Locales() {
      std::locale::global(cpp);
      std::setlocale(LC_ALL, c.c_str());
    }
  };
  for (const char* name : {"C", "de_DE.UTF-8", "tr_TR.UTF-8"}) {
    INFO(name);
    TempDir dir;
    CapturedLog log;
    auto learner = plain_learner(dir.path());
    const Locales guard;
    std::setlocale(LC_ALL, name);  // where it is not installed the C++ locale alone is another
    auto track = std::make_shared<TrackEpochCallback>(TrackEpochOptions{.epoch_offset = 1233});
    learner.fit(1234, 1e-2, {.callbacks = {track, csv_logger({.filename = "INFO"})(learner)}});
    CHECK(read_file(learner.model_dir() / "epoch") == "1233");
    CHECK(track->get_completed() == 1233);
    const auto text = read_file(dir / "INFO.csv");
    const auto row = text.substr(text.find('\n') + 1);
    CHECK(row.starts_with("1233,"));
    CHECK(std::count(row.begin(), row.end(), ',') == 4);
    CHECK(row.find('.') != std::string::npos);
  }
}

namespace {

// A learner of numbers: targets of any shape.
Learner number_learner(const Path& dir, const torch::Tensor& y, std::int64_t outputs) {
  auto set = std::make_shared<TensorDataset>(torch::rand({8, 4}), y);
  auto data =
      DataBunch::create({set, set, nullptr, nullptr}, dir,
                        {.bs = 8, .num_workers = 0, .device = torch::kCPU, .shuffle = false});
  return {data,
          Model(torch::nn::Sequential(torch::nn::Linear(4, outputs))),
          {.loss_func = mse_loss(), .silent = true}};
}

struct LastLoss : Callback {
  void on_backward_begin(TrainState& state) override {
    output = state.last_output.detach();
    loss = state.last_loss.item<double>();
  }
  torch::Tensor output;
  double loss = 0;
};

}  // namespace

TEST_CASE("mix-up knows mixed labels whatever their shape") {
  torch::manual_seed(3);
  const auto perm = torch::arange(7, -1, -1, torch::kLong);
  for (const auto& y : {torch::rand({8, 3}), torch::rand({8}), torch::rand({8, 2})}) {
    INFO(y.dim() << " " << y.numel());
    TempDir dir;
    auto learner = number_learner(dir.path(), y, y.numel() / 8);
    auto last = std::make_shared<LastLoss>();
    learner.mixup({.draw = [&](std::int64_t n) {
      return MixUpDraw{torch::full({n}, 0.75, torch::kFloat64), perm};
    }});
    learner.fit(1, 1e-3, {.callbacks = {last}});
    const auto mse = [&](const torch::Tensor& target) {
      return (last->output.reshape(target.sizes()) - target).square().mean().item<double>();
    };
    CHECK(last->loss == Approx(0.75 * mse(y) + 0.25 * mse(y.index_select(0, perm))).epsilon(1e-5));
    // Validation has the loss itself.
    CHECK(learner.recorder().val_losses.back() == Approx(learner.validate().front()).epsilon(1e-5));
    CHECK(learner.loss_func().name() == mse_loss().name());
  }
}

TEST_CASE("mix-up beside a weighted loss leaves validation alone") {
  TempDir dir;
  auto learner = plain_learner(dir.path());
  learner.set_loss_func(cross_entropy({.weight = torch::tensor({1.f, 5.f, 0.5f})}));
  learner.mixup().fit(1, 1e-3);
  CHECK(learner.recorder().val_losses.back() == Approx(learner.validate().front()).epsilon(1e-5));
}

TEST_CASE("what mix-up cannot mix is refused, and the loss always comes back") {
  TempDir dir;
  auto learner = plain_learner(dir.path());
  const auto loss = learner.loss_func().name();
  const auto fails_with = [&](const std::vector<CallbackArg>& callbacks) {
    const auto error = caught([&] { learner.fit(1, 1e-3, {.callbacks = callbacks}); });
    CHECK(learner.loss_func().name() == loss);
    return error.code;
  };
  const auto mix = [](const MixUpOptions& options = {}) {
    return std::make_shared<MixUpCallback>(options);
  };
  CHECK(fails_with({mix(), mix()}) == "value.mixup");
  CHECK(fails_with({mix({.draw = [](std::int64_t) { return MixUpDraw{}; }})}) == "value.mixup");
  CHECK(fails_with({mix({.draw = [](std::int64_t n) {
          return MixUpDraw{torch::ones({n}), torch::full({n}, n, torch::kLong)};
        }})}) == "value.mixup");
  CHECK(fails_with({mix({.stack_y = false})}) == "value.loss_input");  // classes are no numbers
  struct Throws : Callback {
    void on_batch_end(TrainState&) override { throw TrainError("train.test", "mine"); }
  };
  CHECK(fails_with({mix(), std::make_shared<Throws>()}) == "train.test");
  CHECK(fails_with({mix()}) == "");
  learner.set_loss_func(
      Loss("scalar", [](const torch::Tensor& out, const torch::Tensor&) { return out.mean(); }));
  CHECK(caught([&] { learner.fit(1, 1e-3, {.callbacks = {mix()}}); }).code == "value.mixup");
  CHECK(learner.loss_func().name() == "scalar");
  TrainState tokens;
  tokens.train = true;
  tokens.last_input = torch::ones({2, 3}, torch::kLong);
  tokens.last_target = torch::ones({2}, torch::kLong);
  CHECK(caught([&] { mix()->on_batch_begin(tokens); }).code == "value.mixup");
}

TEST_CASE("callbacks made for every fit") {
  TempDir dir;
  CapturedLog log;
  const GeneralSchedulerOptions schedule{
      .phases = {TrainingPhase(4).schedule_hp(Hyper::kLr, 1e-2, 1e-3, annealing_cos)}};
  auto learner = plain_learner(
      dir.path(),
      {save_model({.monitor = "accuracy", .name = "best"}), early_stopping({.patience = 3}),
       reduce_lr_on_plateau({.factor = 0.5}), terminate_on_nan(), track_epoch({.epoch_offset = 0}),
       csv_logger({.filename = "log", .append = true}), gradient_clipping(0.1),
       mixup({.alpha = 0.2}), general_scheduler(schedule), bn_freeze()});
  struct Inputs : Callback {
    int order() const override { return 100; }
    void on_loss_begin(TrainState& state) override {
      if (state.train && state.iteration == 0) lambda.push_back(state.last_target.select(1, 2));
    }
    std::vector<torch::Tensor> lambda;
  };
  auto inputs = std::make_shared<Inputs>();
  learner.fit(2, 1e-2, {.callbacks = {inputs}});
  learner.fit(2, 1e-2, {.callbacks = {inputs}});
  REQUIRE(inputs->lambda.size() == 2);
  CHECK_FALSE(torch::equal(inputs->lambda[0], inputs->lambda[1]));  // other mixtures in every fit
  CHECK(std::filesystem::exists(learner.model_dir() / "best.pth"));
  const auto text = read_file(dir / "log.csv");
  CHECK(std::count(text.begin(), text.end(), '\n') == 5);
  learner.callback_fns() = {one_cycle({.max_lr = 1e-2}), stop_after_n_batches(3)};
  learner.fit(2, 1e-2);
  CHECK(learner.recorder().losses.size() == 3);
  learner.callback_fns() = {flat_cos_anneal({.lr = 1e-2})};
  learner.fit(1, 1e-2);
  CHECK(learner.opt().lr().back() < 1e-3);
}

TEST_CASE("arguments of callbacks out of range are refused when the callback is made") {
  const auto code = [](auto&& f) {
    const auto error = caught(f);
    INFO(error.message);
    // Each message says what was expected and what was found.
    CHECK(error.message.find("expected") != std::string::npos);
    CHECK(error.message.find("found") != std::string::npos);
    return error.code;
  };
  CHECK(code([] { early_stopping({.patience = -1}); }) == "value.tracker");
  CHECK(code([] { early_stopping({.min_delta = kNan}); }) == "value.tracker");
  CHECK(code([] { early_stopping({.monitor = ""}); }) == "value.tracker");
  CHECK(code([] { reduce_lr_on_plateau({.factor = 2}); }) == "value.tracker");
  CHECK(code([] { reduce_lr_on_plateau({.patience = -1}); }) == "value.tracker");
  CHECK(code([] { reduce_lr_on_plateau({.min_delta = -1}); }) == "value.tracker");
  CHECK(code([] { reduce_lr_on_plateau({.min_lr = kNan}); }) == "value.tracker");
  CHECK(code([] { save_model({.name = ""}); }) == "value.callback_file");
  CHECK(code([] { track_epoch({.name = ""}); }) == "value.callback_file");
  CHECK(code([] { track_epoch({.epoch_offset = -1}); }) == "value.start_epoch");
  CHECK(code([] { csv_logger({.filename = ""}); }) == "value.callback_file");
  CHECK(code([] { gradient_clipping(kNan); }) == "value.clip");
  CHECK(code([] { gradient_clipping(-1); }) == "value.clip");
  CHECK(code([] { stop_after_n_batches(0); }) == "value.n_batches");
  CHECK(code([] { mixup({.alpha = kNan}); }) == "value.mixup");
  CHECK(code([] { mixed_precision({.loss_scale = kNan}); }) == "value.precision");
  CHECK(code([] { mixed_precision({.max_noskip = 0}); }) == "value.precision");
  CHECK(code([] { mixed_precision({.clip = kNan}); }) == "value.precision");
  CHECK(code([] { mixed_precision({.max_scale = 0}); }) == "value.precision");
  CHECK(code([] { one_cycle({.moms = {1, 0.9}}); }) == "value.one_cycle");
  CHECK(code([] { one_cycle({.div_factor = 0}); }) == "value.one_cycle");
  CHECK(code([] { one_cycle({.pct_start = kNan}); }) == "value.one_cycle");
  CHECK(code([] { one_cycle({.final_div = -1}); }) == "value.one_cycle");
  CHECK(code([] { one_cycle({.tot_epochs = 0}); }) == "value.one_cycle");
  CHECK(code([] { one_cycle({.start_epoch = -1}); }) == "value.start_epoch");
  CHECK(code([] { flat_cos_anneal({.moms = {0.9, kNan}}); }) == "value.flat_cos");
  CHECK(code([] { TrainingPhase(-1); }) == "value.phase");
  CHECK(code([] { TrainingPhase(1).schedule_hp(Hyper::kLr, 1, 0, nullptr); }) == "value.phase");
  CHECK(code([] { general_scheduler({.start_epoch = -1}); }) == "value.start_epoch");
  TempDir dir;
  auto learner = plain_learner(dir.path());
  CHECK(code([&] { learner.fit_one_cycle(2, {.start_epoch = 2}); }) == "value.start_epoch");
  const auto phase = TrainingPhase(2).schedule_hp(Hyper::kBeta, 1.0);
  CHECK(code([&] {
          learner.fit(1, 1e-3, {.callbacks = {general_scheduler({.phases = {phase}})(learner)}});
        }) == "value.hyper_range");
}
