// Columns that callbacks add, and the table as lines of JSON.
#include "fastcpp/train/callbacks/columns.hpp"

#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>
#include <torch/utils.h>

#include <cmath>
#include <fstream>
#include <stop_token>

#include "fastcpp/core/path.hpp"
#include "fastcpp/io/json.hpp"
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

Learner learner_of_columns(const TempDir& dir, const LearnerOptions& options = {.silent = true}) {
  torch::manual_seed(4);
  return {bunch_of_points(dir.path(), {.n_train = 32, .n_valid = 10, .bs = 4}),
          Model(nn::Sequential(nn::Linear(2, 2))), options};
}

// Adds a column whose figure is the epoch's number times ten.
std::shared_ptr<Callback> adds_column(const std::string& name, int order = -20) {
  return make_callback(
      {.on_train_begin = [name](Learner& learn,
                                TrainState&) { learn.recorder().add_metric_names({name}); },
       .on_epoch_end =
           [name](Learner& learn, TrainState& state) {
             learn.recorder().add_metrics({{name, 10.0 * state.epoch}});
           },
       .order = order});
}

std::vector<Value> lines_of(const Path& file) {
  const auto text = read_file(file);
  REQUIRE((text.empty() || text.back() == '\n'));
  std::vector<Value> lines;
  std::size_t begin = 0;
  for (auto end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin)) {
    lines.push_back(from_json(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return lines;
}

}  // namespace

TEST_CASE("callbacks add columns to the table") {
  TempDir dir;
  auto learn = learner_of_columns(dir, {.metrics = {accuracy}, .silent = true});
  learn.fit(2, 1e-3, {.callbacks = {adds_column("tens"), csv_logger()}});
  const auto& recorder = learn.recorder();
  using Names = std::vector<std::string>;
  CHECK(recorder.names == Names{"epoch", "train_loss", "valid_loss", "accuracy", "tens", "time"});
  REQUIRE(recorder.metrics.size() == 2);
  CHECK(recorder.metrics[0].size() == 2);
  CHECK(recorder.metrics[0][1] == 0);
  CHECK(recorder.metrics[1][1] == 10);
  CHECK(recorder.fits().back().metric_names == Names{"accuracy", "tens"});
  CHECK(read_file(dir / "history.csv") == recorder.csv());
  CHECK(recorder.csv().find(",10.000000,") != std::string::npos);
  // The next fit has its own columns.
  learn.fit(1, 1e-3);
  CHECK(recorder.names == Names{"epoch", "train_loss", "valid_loss", "accuracy", "time"});
  // Trackers see them: larger is better, so the second epoch ends the fit of a column that falls.
  const auto falls = make_callback(
      {.on_train_begin = [](Learner& l, TrainState&) { l.recorder().add_metric_names({"falls"}); },
       .on_epoch_end =
           [](Learner& l, TrainState& state) {
             l.recorder().add_metrics({{"falls", -1.0 * state.epoch}});
           },
       .order = -20});
  CapturedLog log;
  learn.fit(5, 1e-3, {.callbacks = {falls, early_stopping({.monitor = "falls"})}});
  CHECK(recorder.history.size() == 2);
}

TEST_CASE("added columns of epochs that are not validated, or have no figure") {
  TempDir dir;
  auto learn = learner_of_columns(dir, {.metrics = {accuracy}, .add_time = false, .silent = true});
  const auto no_validation = make_callback(
      {.on_train_begin = [](Learner&, TrainState& state) { state.skip_validate = true; }});
  const auto empty = make_callback(
      {.on_train_begin = [](Learner& l, TrainState&) { l.recorder().add_metric_names({"empty"}); },
       .order = -20});
  learn.fit(1, 0.0, {.callbacks = {adds_column("tens"), empty, no_validation}});
  const auto& row = learn.recorder().history.at(0);
  CHECK_FALSE(row.valid_loss);
  REQUIRE(row.metrics.size() == 3);
  CHECK(std::isnan(row.metrics[0]));
  CHECK(row.metrics[1] == 0);
  CHECK(std::isnan(row.metrics[2]));
  const auto csv = learn.recorder().csv();
  CHECK(csv.starts_with("epoch,train_loss,valid_loss,accuracy,tens,empty\n"));
  CHECK(csv.ends_with(",#na#,#na#,0.000000,#na#\n"));
  CHECK(learn.recorder().metrics.empty());
}

TEST_CASE("columns that the table cannot have") {
  TempDir dir;
  auto learn = learner_of_columns(dir, {.metrics = {accuracy}, .silent = true});
  const auto refused = [&](std::vector<CallbackArg> callbacks) {
    return caught([&] { learn.fit(1, 1e-3, {.callbacks = std::move(callbacks)}); }).code;
  };
  CHECK(refused({adds_column("late", 0)}) == "value.column");
  CHECK(refused({adds_column("accuracy")}) == "value.column");
  CHECK(refused({adds_column("valid_loss")}) == "value.column");
  CHECK(refused({adds_column("twice"), adds_column("twice")}) == "value.column");
  const auto unknown = make_callback({.on_epoch_end = [](Learner& l, TrainState&) {
    l.recorder().add_metrics({{"nobody's", 1.0}});
  }});
  CHECK(refused({unknown}) == "value.column");
  // What a refused fit added is forgotten.
  CHECK(refused({}).empty());
  CHECK(learn.recorder().names.size() == 5);
}

TEST_CASE("functions as a callback get the epoch a fit starts at, and may take part in lr_find") {
  TempDir dir;
  auto learn = learner_of_columns(dir);
  std::vector<int> jumps;
  int batches = 0;
  learn.callbacks().push_back(
      make_callback({.on_train_begin =
                         [](Learner&, TrainState& state) {
                           if (state.n_epochs == 3) state.epoch = 2;
                         },
                     .on_batch_end = [&](Learner&, TrainState&) { ++batches; },
                     .jump_to_epoch =
                         [&](Learner& l, int epoch) {
                           jumps.push_back(epoch);
                           CHECK(l.data().batch_size() == 4);
                         },
                     .in_lr_find = true}));
  learn.fit(3, 1e-3);
  CHECK(jumps == std::vector<int>{2});
  CHECK(batches == 8 + 3);
  learn.lr_find({.num_it = 5, .stop_div = false});
  CHECK(batches == 8 + 3 + 5);
}

TEST_CASE("the parts of a loss are columns") {
  TempDir dir;
  const auto parts = std::make_shared<LossParts>();
  const Loss loss("sum", [parts](const Tensors& output, const Tensors& target) {
    const auto wanted = torch::one_hot(target, 2).to(torch::kFloat32);
    const auto square = (output - wanted).square().mean(1), size = output.abs().mean(1);
    (*parts)["square"] = square.mean();
    (*parts)["size"] = size.mean();
    return square + size;
  });
  auto learn = learner_of_columns(dir, {.loss_func = loss, .silent = true});
  learn.fit(2, 1e-3, {.callbacks = {loss_metrics({"square", "size"}, parts)}});
  const auto found = learn.get_preds();
  const auto wanted = torch::one_hot(found.targets, 2).to(torch::kFloat32);
  const auto& last = learn.recorder().metrics.back();
  REQUIRE(last.size() == 2);
  // Batches of 4, 4 and 2 items: means over the items, not over the batches.
  CHECK(last[0] == Approx((found.preds - wanted).square().mean().item<double>()).epsilon(1e-5));
  CHECK(last[1] == Approx(found.preds.abs().mean().item<double>()).epsilon(1e-5));
  CHECK(learn.recorder().val_losses.back() == Approx(last[0] + last[1]).epsilon(1e-5));
  CHECK(caught([&] { learn.fit(1, 1e-3, {.callbacks = {loss_metrics({"other"}, parts)}}); }).code ==
        "value.loss_metrics");
  CHECK(caught([&] { loss_metrics({}, parts); }).code == "value.loss_metrics");
  CHECK(caught([] { loss_metrics({"x"}, nullptr); }).code == "value.loss_metrics");
}

TEST_CASE("columns of a training that goes on within an epoch") {
  TempDir dir;
  const auto parts = std::make_shared<LossParts>();
  const Loss loss("Parts", [parts](const Tensors& output, const Tensors& target) {
    const auto all = cross_entropy().unreduced(output, target);
    (*parts)["part"] = all.mean();
    return all;
  });
  const auto callbacks = [&] {
    return std::vector<CallbackArg>{loss_metrics({"part"}, parts), peak_mem_metric(),
                                    json_logger({.filename = "log"}), csv_logger()};
  };
  {
    auto learn = learner_of_columns(dir, {.loss_func = loss, .silent = true});
    std::stop_source source;
    auto with_stop = callbacks();
    with_stop.emplace_back(make_callback({.on_step_end = [&](Learner&, TrainState& state) {
      if (state.iteration == 9) source.request_stop();
    }}));
    CHECK(learn.fit(2, 1e-3,
                    {.callbacks = with_stop,
                     .stop = source.get_token(),
                     .checkpoint = CheckpointOptions{}}) == FitOutcome::kStopped);
  }
  // Rows that a power failure took: written once, behind what was there.
  for (const auto* name : {"log.jsonl", "history.csv"}) {
    const auto text = read_file(dir / name);
    write_file(dir / name, text.substr(0, text.size() - 5));
  }
  auto learn = learner_of_columns(dir, {.loss_func = loss, .silent = true});
  CHECK(learn.resume({.callbacks = callbacks()}) == FitOutcome::kFinished);
  REQUIRE(learn.recorder().metrics.size() == 2);
  CHECK(learn.recorder().metrics.back().at(0) ==
        Approx(learn.recorder().val_losses.back()).epsilon(1e-5));
  const auto lines = lines_of(dir / "log.jsonl");
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].at("epoch").as_int() == 0);
  CHECK(lines[1].at("epoch").as_int() == 1);
  CHECK(read_file(dir / "history.csv") == learn.recorder().csv());
}

TEST_CASE("columns of memory") {
  TempDir dir;
  auto learn = learner_of_columns(dir);
  torch::Tensor held;
  const auto takes = make_callback({.on_epoch_begin = [&](Learner&, TrainState& state) {
    // 64 MB that are written to.
    if (state.epoch == 1) held = torch::ones({16 << 20});
  }});
  learn.fit(2, 1e-3, {.callbacks = {peak_mem_metric(), takes}});
  const auto& recorder = learn.recorder();
  CHECK(recorder.names[3] == "cpu used");
  CHECK(recorder.names[4] == "cpu peak");
  CHECK(recorder.names.size() == 6);  // no columns of a GPU
  const auto& first = recorder.metrics.at(0);
  const auto& second = recorder.metrics.at(1);
  for (const auto& row : {first, second}) {
    CHECK(row.at(0) > 10);
    CHECK(row.at(1) >= row.at(0));
  }
  // Something else may have been given back meanwhile.
  CHECK(second[0] - first[0] > 48);
  CHECK(second[1] >= first[1]);
  learn.fit(1, 1e-3, {.callbacks = {cpu_peak_mem_metric()}});
  CHECK(recorder.metrics.at(0).size() == 2);
}

TEST_CASE("the table as lines of JSON") {
  TempDir dir;
  auto learn = learner_of_columns(dir, {.metrics = {accuracy}, .silent = true});
  const auto file = dir / "log.jsonl";
  const JSONLoggerOptions more{.filename = "log", .append = true};
  learn.fit(2, 1e-3, {.callbacks = {json_logger({.filename = "log"}), adds_column("tens")}});
  auto lines = lines_of(file);
  REQUIRE(lines.size() == 2);
  for (std::size_t i = 0; i < 2; ++i) {
    const auto& row = learn.recorder().history[i];
    CHECK(lines[i].at("epoch").as_int() == static_cast<int>(i));
    // All digits.
    CHECK(lines[i].at("train_loss").as_double() == row.train_loss);
    CHECK(lines[i].at("valid_loss").as_double() == row.valid_loss);
    CHECK(lines[i].at("accuracy").as_double() == row.metrics[0]);
    CHECK(lines[i].at("tens").as_double() == 10.0 * static_cast<double>(i));
    CHECK(lines[i].at("time").as_double() == row.seconds);
    CHECK(lines[i].size() == 6);
  }
  // Half a line, as a power failure may leave it, goes; whole ones stay, also those of another table.
  std::ofstream(file, std::ios::app) << "{\"epoch\": 2, \"tr";
  const auto no_validation = make_callback(
      {.on_train_begin = [](Learner&, TrainState& state) { state.skip_validate = true; }});
  learn.fit(1, 1e-3, {.callbacks = {json_logger(more), no_validation}});
  lines = lines_of(file);
  REQUIRE(lines.size() == 3);
  CHECK(lines[1].at("tens").as_double() == 10);
  CHECK(lines[2].at("valid_loss").is_none());
  CHECK(lines[2].at("accuracy").is_none());
  // Anew unless asked to add.
  learn.fit(1, 1e-3, {.callbacks = {json_logger({.filename = "log"})}});
  CHECK(lines_of(file).size() == 1);
  CHECK(caught([] { json_logger({.filename = ""}); }).code == "value.callback_file");
}

TEST_CASE("a log that cannot be written ends the training") {
  TempDir dir;
  auto learn = learner_of_columns(dir);
  std::filesystem::create_directory(dir / "log.jsonl");
  CHECK(caught([&] {
          learn.fit(1, 1e-3, {.callbacks = {json_logger({.filename = "log"})}});
        }).code == "io.cannot_create");
  const auto vanish = make_callback({.on_epoch_begin = [&](Learner&, TrainState&) {
    std::filesystem::remove(dir / "gone.jsonl");
    std::filesystem::create_directory(dir / "gone.jsonl");
  }});
  CHECK(caught([&] {
          learn.fit(1, 1e-3, {.callbacks = {json_logger({.filename = "gone"}), vanish}});
        }).code == "io.cannot_write");
}

TEST_CASE("a logged table is read back") {
  TempDir dir;
  auto learn = learner_of_columns(dir, {.metrics = {accuracy}, .silent = true});
  const auto log = std::make_shared<CSVLogger>();
  learn.fit(2, 1e-3, {.callbacks = {log}});
  const auto table = log->read_logged_file();
  CHECK(table.names() == learn.recorder().names);
  CHECK(table.rows() == 2);
  CHECK(table["epoch"].raw(1) == "1");
}
