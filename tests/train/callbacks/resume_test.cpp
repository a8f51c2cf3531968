// Trainings that are interrupted and go on: to the same bits as one that never was.
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/dropout.h>
#include <torch/nn/modules/linear.h>
#include <torch/utils.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <stop_token>

#include "fastcpp/io/checkpoint.hpp"
#include "fastcpp/train/callbacks/callbacks.hpp"
#include "fastcpp/train/callbacks/ema.hpp"
#include "fastcpp/train/callbacks/mixup.hpp"
#include "fastcpp/train/callbacks/over_sampling.hpp"
#include "fastcpp/train/callbacks/tracker.hpp"
#include "fastcpp/train/learner.hpp"
#include "support/catch.hpp"
#include "support/mirror_group.hpp"
#include "support/points.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace nn = torch::nn;
using std::chrono::milliseconds;

namespace {

constexpr int kEpochs = 3;
constexpr std::int64_t kBatches = 4;  // an epoch

struct Run {
  explicit Run(const Path& path, int num_workers = 0)
      : learn(bunch_of_points(path,
                              {.n_train = 64, .n_valid = 32, .bs = 16, .num_workers = num_workers}),
              Model(net), {.metrics = {accuracy, error_rate}, .silent = true}) {
    learn.split({net->ptr(3)});
    learn.freeze();
    learn.mixup();
    learn.callback_fns().push_back(save_model({.monitor = "accuracy"}));
    learn.callback_fns().push_back(early_stopping({.monitor = "accuracy", .patience = 9}));
    learn.callback_fns().push_back(csv_logger());
    learn.callback_fns().push_back(over_sampling());
  }
  static nn::Sequential make() {
    torch::manual_seed(3);
    return nn::Sequential(nn::Linear(2, 8), nn::BatchNorm1d(8), nn::ReLU(), nn::Dropout(0.3),
                          nn::Linear(8, 2));
  }
  nn::Sequential net = make();
  Learner learn;
};

OneCycleOptions cycle(const CheckpointOptions& checkpoint, std::stop_token stop = {},
                      std::vector<CallbackArg> callbacks = {}) {
  return {
      .max_lr = 1e-2, .callbacks = std::move(callbacks), .stop = stop, .checkpoint = checkpoint};
}

// Stops after so many training batches, or in the validation behind them.
CallbackArg stop_after(std::int64_t batches, std::stop_source& source, bool in_validation) {
  return make_callback({.on_batch_end = [=, &source](Learner&, TrainState& state) mutable {
    if (state.train) --batches;
    if (batches <= 0 && state.train != in_validation) source.request_stop();
  }});
}

std::string without_time(const std::string& csv) {
  std::string kept;
  for (std::size_t at = 0; at < csv.size();) {
    const auto end = csv.find('\n', at);
    const auto line = csv.substr(at, end - at);
    kept += line.substr(0, line.rfind(',')) + '\n';
    at = end + 1;
  }
  return kept;
}

void check_same(Run& a, Run& b) {
  const auto x = state_dict(*a.net), y = state_dict(*b.net);
  for (const auto& [name, tensor] : x) {
    INFO(name);
    CHECK(torch::equal(tensor, y.at(name)));
  }
  const auto &p = a.learn.recorder(), &q = b.learn.recorder();
  CHECK(p.losses == q.losses);
  CHECK(p.lrs == q.lrs);
  CHECK(p.moms == q.moms);
  CHECK(p.val_losses == q.val_losses);
  CHECK(p.metrics == q.metrics);
  CHECK(p.nb_batches == q.nb_batches);
  CHECK(without_time(p.csv()) == without_time(q.csv()));
  const auto opt_x = a.learn.opt().state_dict(), opt_y = b.learn.opt().state_dict();
  const auto &sx = opt_x.at("state"), &sy = opt_y.at("state");
  REQUIRE(sx.size() == sy.size());
  for (const auto& [index, entry] : sx.entries()) {
    for (const auto& [key, value] : entry.entries()) {
      CHECK(torch::equal(value.as_tensor(), sy.at(index).at(key).as_tensor()));
    }
  }
  CHECK(a.learn.opt().lr() == b.learn.opt().lr());
  const auto best_x = load_weights(a.learn.model_dir() / "bestmodel.pth");
  const auto best_y = load_weights(b.learn.model_dir() / "bestmodel.pth");
  for (const auto& [name, tensor] : best_x) CHECK(torch::equal(tensor, best_y.at(name)));
  CHECK(without_time(read_file(a.learn.path() / "history.csv")) ==
        without_time(read_file(b.learn.path() / "history.csv")));
}

// What callbacks may do besides: freeze, leave gradients, look at the training set, fill a column, leave an epoch early.
std::vector<CallbackArg> busy_callbacks() {
  return {make_callback({.on_train_begin =
                             [](Learner& learn, TrainState&) {
                               learn.freeze();
                               learn.recorder().add_metric_names({"trained"});
                             },
                         .on_epoch_begin =
                             [](Learner& learn, TrainState& state) {
                               if (state.epoch == 1) learn.unfreeze();
                             },
                         .on_backward_end =
                             [](Learner&, TrainState& state) {
                               if (state.num_batch % 2 == 0)
                                 state.skip_step = state.skip_zero = true;
                             },
                         .on_batch_end =
                             [](Learner& learn, TrainState& state) {
                               if (!state.train) return;
                               if (state.num_batch == 0) learn.get_preds(DatasetType::Train);
                               learn.recorder().add_metrics({{"trained", 1.0 + state.num_batch}});
                               if (state.epoch == 1 && state.num_batch == 2)
                                 state.stop_epoch = true;
                             },
                         .order = -20})};
}

std::vector<std::string> names_in(const Path& folder, const std::string& beginning) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const auto name = entry.path().filename().string();
    if (name.starts_with(beginning)) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

TEST_CASE("a training that is stopped anywhere and resumed gives the same bits") {
  const TempDir whole_dir;
  Run whole(whole_dir.path());
  whole.learn.fit_one_cycle(kEpochs, cycle({}));
  whole.learn.unfreeze();
  whole.learn.fit_one_cycle(1, cycle({}));
  for (const bool in_validation : {false, true}) {
    for (const std::int64_t at : {1, 3, 4, 5, 8, 11, 12}) {
      if (in_validation && at % kBatches != 0) continue;
      INFO("stopped after " << at << (in_validation ? ", in validation" : ""));
      const TempDir dir;
      {
        Run first(dir.path());
        std::stop_source source;
        CHECK(first.learn.fit_one_cycle(kEpochs, cycle({}, source.get_token(),
                                                       {stop_after(at, source, in_validation)})) ==
              FitOutcome::kStopped);
      }
      // Another process would have drawn other numbers, and loads with workers.
      torch::manual_seed(99);
      Run again(dir.path(), 2);
      CHECK(again.learn.resume() == FitOutcome::kFinished);
      again.learn.unfreeze();
      again.learn.fit_one_cycle(1, cycle({}));
      check_same(whole, again);
    }
  }
}

TEST_CASE("a program of several fits goes on where it was") {
  const TempDir whole_dir, dir;
  const auto program = [](Run& run, std::stop_token stop, std::vector<CallbackArg> callbacks) {
    const CheckpointOptions checkpoint{.resume = true};
    if (run.learn.fit_one_cycle(1, cycle(checkpoint, stop, callbacks)) == FitOutcome::kStopped)
      return false;
    run.learn.unfreeze();
    run.learn.lr_find({.num_it = 5});
    if (run.learn.fit_one_cycle(2, cycle(checkpoint, stop, callbacks)) == FitOutcome::kStopped)
      return false;
    return run.learn.fit_fc(
               1, {.lr = 1e-3, .callbacks = callbacks, .stop = stop, .checkpoint = checkpoint}) !=
           FitOutcome::kStopped;
  };
  Run whole(whole_dir.path());
  REQUIRE(program(whole, {}, {}));
  for (const std::int64_t more : {3, 3, 6}) {
    Run part(dir.path());
    std::stop_source source;
    CHECK_FALSE(program(part, source.get_token(), {stop_after(more, source, false)}));
  }
  Run last(dir.path());
  REQUIRE(program(last, {}, {}));
  check_same(whole, last);
  CHECK(whole.learn.recorder().fits().size() == last.learn.recorder().fits().size());
  // Once more: nothing is trained.
  Run once_more(dir.path());
  int batches = 0;
  REQUIRE(program(once_more, {},
                  {make_callback({.on_batch_end = [&](Learner&, TrainState&) { ++batches; }})}));
  CHECK(batches == 0);
  check_same(whole, once_more);
}

TEST_CASE("checkpoints: how many stay, the best, and which is read") {
  const TempDir dir;
  Run run(dir.path());
  std::vector<double> errors;
  const auto watch = make_callback({.on_epoch_end = [&](Learner& learn, TrainState&) {
    errors.push_back(*learn.recorder().last_value("error_rate"));
  }});
  run.learn.fit_one_cycle(
      kEpochs, cycle({.every = milliseconds(0), .keep = 2, .best = "error_rate", .name = "kept"},
                     {}, {watch}));
  const auto models = run.learn.model_dir();
  CHECK(names_in(models, "kept") == std::vector<std::string>{"kept_000_0000000012.pth",
                                                             "kept_000_best.pth",
                                                             "kept_000_finished.pth"});
  const auto best = load_checkpoint(models / "kept_000_best.pth");
  const auto lowest = std::min_element(errors.begin(), errors.end()) - errors.begin();
  CHECK(best.at("training").at("epoch").as_int() == lowest + 1);
  // What learn.load reads.
  Run other(dir.path());
  other.learn.load("kept_000_finished");
  for (const auto& [name, tensor] : state_dict(*run.net))
    CHECK(torch::equal(tensor, state_dict(*other.net).at(name)));

  // A damaged one is passed over.
  write_file(models / "kept_000_finished.pth", "damaged");
  Run again(dir.path());
  CapturedLog log;
  again.learn.resume({.name = "kept"});
  REQUIRE(log.warnings.size() == 1);
  CHECK(log.warnings[0].find("a checkpoint is passed over") != std::string::npos);
  for (const auto& [name, tensor] : state_dict(*run.net))
    CHECK(torch::equal(tensor, state_dict(*again.net).at(name)));
  // None is whole.
  for (const auto& name : names_in(models, "kept_000_")) write_file(models / name, "damaged");
  Run broken(dir.path());
  CHECK(caught([&] { broken.learn.resume({.name = "kept"}); }).code == "train.checkpoint");
  CHECK(caught([&] { broken.learn.resume({.name = "none"}); }).code == "train.no_checkpoint");
  CHECK(caught([&] {
          broken.learn.fit(1, 1e-3, {.checkpoint = CheckpointOptions{.keep = 0}});
        }).code == "value.checkpoint");
  CHECK(caught([&] {
          broken.learn.fit(1, 1e-3, {.checkpoint = CheckpointOptions{.name = "a/b"}});
        }).code == "value.checkpoint");
}

TEST_CASE("a checkpoint of another training is refused, and says what differs") {
  const TempDir dir;
  Run run(dir.path());
  run.learn.fit_one_cycle(1, cycle({}));
  const auto refused = [&](const std::function<void(Run&)>& what, const std::string& says) {
    Run other(dir.path());
    const auto error = caught([&] { what(other); });
    INFO(error.message);
    CHECK(error.code == "train.checkpoint");
    CHECK(error.message.find(says) != std::string::npos);
  };
  const CheckpointOptions resume{.resume = true};
  refused([&](Run& r) { r.learn.fit_one_cycle(2, cycle(resume)); }, "epochs is 1, here 2");
  refused([&](Run& r) { r.learn.fit(1, 1e-2, {.checkpoint = resume}); }, "schedule is 'one_cycle'");
  refused([&](Run& r) { r.learn.fit_one_cycle(1, 3e-2, {.checkpoint = resume}); }, "max_lr");
  refused(
      [&](Run& r) {
        r.learn.set_data(bunch_of_points(dir.path(), {.n_train = 64, .n_valid = 32, .bs = 8}));
        r.learn.resume();
      },
      "batch size is 16, here 8");
  // A fit of another number has none yet, and starts.
  Run second(dir.path());
  second.learn.fit(1, 1e-3);
  CHECK(second.learn.fit_one_cycle(2, cycle(resume)) == FitOutcome::kFinished);
}

TEST_CASE("a fit that fails writes a checkpoint when it is asked to") {
  const TempDir whole_dir;
  Run whole(whole_dir.path());
  whole.learn.fit_one_cycle(kEpochs, cycle({}));
  for (const bool background : {false, true}) {
    const TempDir dir;
    Run failing(dir.path());
    const auto fail = make_callback({.on_backward_begin = [](Learner&, TrainState& state) {
      if (state.iteration == 6) throw std::runtime_error("out of luck");
    }});
    const CheckpointOptions options{.background = background, .on_error = true};
    CHECK_THROWS(failing.learn.fit_one_cycle(kEpochs, cycle(options, {}, {fail})));
    CHECK(
        names_in(failing.learn.model_dir(), "checkpoint") ==
        std::vector<std::string>{"checkpoint_000_0000000004.pth", "checkpoint_000_0000000006.pth"});
    Run again(dir.path());
    CHECK(again.learn.resume() == FitOutcome::kFinished);
    check_same(whole, again);
  }
}

TEST_CASE("a checkpoint of another version is not read") {
  const TempDir dir;
  Run run(dir.path());
  run.learn.fit_one_cycle(1, cycle({.keep = 1}));
  const auto file = run.learn.model_dir() / "checkpoint_000_finished.pth";
  auto content = load_checkpoint(file);
  CHECK(content.at("version").as_int() == 1);
  content.set("version", 2);
  save_checkpoint(file, content);
  Run again(dir.path());
  CapturedLog log;
  const auto error = caught([&] { again.learn.resume(); });
  CHECK(error.code == "train.checkpoint");
  CHECK(error.message.find("is of version 2") != std::string::npos);
}

TEST_CASE("a best model that is missing never resumes silently") {
  const TempDir dir;
  {
    Run first(dir.path());
    std::stop_source source;
    first.learn.fit_one_cycle(kEpochs,
                              cycle({}, source.get_token(), {stop_after(6, source, false)}));
    std::filesystem::remove(first.learn.model_dir() / "bestmodel.pth");
  }
  Run again(dir.path());
  const auto error = caught([&] { again.learn.resume(); });
  CHECK(error.code == "io.cannot_read");
  CHECK(error.message.find("bestmodel.pth") != std::string::npos);
}

TEST_CASE("what callbacks do besides is resumed too") {
  const TempDir whole_dir;
  Run whole(whole_dir.path());
  whole.learn.fit_one_cycle(kEpochs, cycle({}, {}, busy_callbacks()));
  CHECK(whole.learn.recorder().losses.size() == 11);
  for (const bool in_validation : {false, true}) {
    for (const std::int64_t at : {1, 2, 5, 6, 7}) {
      if (in_validation && at != 7) continue;
      INFO("stopped after " << at << (in_validation ? ", in validation" : ""));
      const TempDir dir;
      {
        Run first(dir.path());
        std::stop_source source;
        auto callbacks = busy_callbacks();
        callbacks.push_back(stop_after(at, source, in_validation));
        REQUIRE(first.learn.fit_one_cycle(kEpochs, cycle({}, source.get_token(), callbacks)) ==
                FitOutcome::kStopped);
      }
      torch::manual_seed(99);
      Run again(dir.path());
      CHECK(again.learn.resume({.callbacks = busy_callbacks()}) == FitOutcome::kFinished);
      check_same(whole, again);
    }
  }
}

TEST_CASE("what fails in an epoch's first batch, or in validation, is resumed to the same bits") {
  const TempDir whole_dir;
  Run whole(whole_dir.path());
  whole.learn.fit_one_cycle(kEpochs, cycle({}, {}, {ema({})}));
  for (const bool in_validation : {false, true}) {
    INFO((in_validation ? "in validation" : "in the first batch"));
    const TempDir dir;
    Run failing(dir.path());
    const auto fail = make_callback({.on_batch_begin = [=](Learner&, TrainState& state) {
      if (state.train != in_validation && state.iteration == (in_validation ? 8 : 4)) {
        throw std::runtime_error("out of luck");
      }
    }});
    CHECK_THROWS(
        failing.learn.fit_one_cycle(kEpochs, cycle({.on_error = true}, {}, {ema({}), fail})));
    torch::manual_seed(99);
    Run again(dir.path());
    CHECK(again.learn.resume({.callbacks = {ema({})}}) == FitOutcome::kFinished);
    check_same(whole, again);
  }
}

TEST_CASE("with another number of processes files and schedules go on") {
  const TempDir dir;
  const auto flat = [&](Run& run, std::stop_token stop, std::vector<CallbackArg> callbacks) {
    return run.learn.fit_fc(4, {.lr = 1e-2,
                                .start_pct = 0.25,
                                .callbacks = std::move(callbacks),
                                .stop = stop,
                                .checkpoint = CheckpointOptions{.keep = 9, .resume = true}});
  };
  {
    Run first(dir.path());
    std::stop_source source;
    CHECK(flat(first, source.get_token(), {stop_after(6, source, false)}) == FitOutcome::kStopped);
  }
  Run other(dir.path());
  const auto differs = std::make_shared<OtherGroup>();
  other.learn.to_distributed(differs);
  const auto error = caught([&] { flat(other, {}, {}); });
  CHECK(error.code == "distributed.differs");
  CHECK(error.message.find("does not find the checkpoint") != std::string::npos);
  CHECK(differs->said == error.message);  // nobody waits
  Run second(dir.path());
  second.learn.to_distributed(std::make_shared<MirrorGroup>());
  std::vector<double> rates;
  std::int64_t batches = 0;
  const auto watch = make_callback({.on_batch_begin = [&](Learner& learn, TrainState& state) {
    if (!state.train) return;
    ++batches;
    rates.push_back(learn.opt().lr().back());
  }});
  CHECK(flat(second, {}, {watch}) == FitOutcome::kFinished);
  // 6 of 16 batches are 3 of 8: one of six steps down, then two, a half of the way in the angle of a cosine after three.
  CHECK(batches == 5);
  REQUIRE(rates.size() == 5);
  CHECK(rates[1] == Approx(7.5e-3));
  CHECK(rates[2] == Approx(5e-3));
  CHECK(names_in(second.learn.model_dir(), "checkpoint") ==
        std::vector<std::string>{"checkpoint_000_0000000004.pth", "checkpoint_000_0000000006.pth",
                                 "checkpoint_000_0000000007.pth", "checkpoint_000_0000000009.pth",
                                 "checkpoint_000_0000000011.pth", "checkpoint_000_finished.pth"});
}

TEST_CASE("a checkpoint that lacks something is refused by name") {
  const TempDir dir;
  {
    Run first(dir.path());
    std::stop_source source;
    first.learn.fit_one_cycle(kEpochs,
                              cycle({}, source.get_token(), {stop_after(6, source, false)}));
  }
  const auto file = Path("models") / "checkpoint_000_0000000006.pth";
  const auto whole = load_checkpoint(dir / file);
  for (const char* key :
       {"plan", "finished", "model", "opt", "rates", "modes", "recorder", "number"}) {
    INFO(key);
    std::vector<Value::Entry> entries;
    for (const auto& [name, value] : whole.entries()) {
      if (name.as_string() != key) entries.emplace_back(name, value);
    }
    save_checkpoint(dir / file, Value::dict(std::move(entries)));
    Run again(dir.path());
    const auto error = caught([&] { again.learn.resume(); });
    CHECK(error.code == "train.checkpoint");
    CHECK(error.message.find(key) != std::string::npos);
  }
  auto other = whole;
  auto plan = Value::dict({{"schedule", "one_cycle"}});
  other.set("plan", plan);
  save_checkpoint(dir / file, other);
  Run again(dir.path());
  CHECK(caught([&] { again.learn.resume(); }).code == "train.checkpoint");
  // Another table than the one that is trained now.
  save_checkpoint(dir / file, whole);
  std::filesystem::remove(dir / "history.csv");
  Run wider(dir.path());
  const auto column = make_callback(
      {.on_train_begin = [](Learner& learn,
                            TrainState&) { learn.recorder().add_metric_names({"more"}); },
       .order = -20});
  const auto error = caught([&] { wider.learn.resume({.callbacks = {column}}); });
  CHECK(error.code == "train.checkpoint");
  CHECK(error.message.find("columns") != std::string::npos);
}

TEST_CASE(
    "a fit that is over asks no callback, and one that refuses to begin leaves nothing behind") {
  struct Asks : Callback {
    Value state() const override { return learn().data().batch_size(); }
    void load_state(const Value&) override {}
  };
  const TempDir dir;
  Run run(dir.path());
  const auto asks = std::make_shared<Asks>();
  CHECK(run.learn.fit_one_cycle(1, cycle({}, {}, {asks})) == FitOutcome::kFinished);

  const TempDir other_dir;
  {
    Run first(other_dir.path());
    std::stop_source source;
    first.learn.fit_one_cycle(1, cycle({}, source.get_token(), {stop_after(2, source, false)}));
  }
  Run again(other_dir.path());
  const auto data = again.learn.data();
  again.learn.set_data(data.with_batch_size(65));
  CHECK(caught([&] { again.learn.resume(); }).code == "train.empty_loader");
  again.learn.set_data(data);
  std::int64_t batches = 0;
  const auto count = make_callback({.on_step_end = [&](Learner&, TrainState&) { ++batches; }});
  again.learn.fit_one_cycle(1, cycle({.name = "other", .resume = true}, {}, {count}));
  CHECK(batches == kBatches);
}
