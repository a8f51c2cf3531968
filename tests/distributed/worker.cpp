// One of several processes that train together, as a user's program would be. Started by the tests.
//
//   distributed_worker WHAT FOLDER
//
// Writes FOLDER/<rank>.json: losses, metrics and the sum of the weights, or the error it ended with.
#include <torch/nn/modules/linear.h>
#include <torch/nn/pimpl.h>
#include <torch/utils.h>

#include <fmt/format.h>

#include <chrono>
#include <csignal>
#include <memory>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "fastcpp/collab/collab_data_bunch.hpp"
#include "fastcpp/collab/collab_learner.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/path.hpp"
#include "fastcpp/data/data_bunch.hpp"
#include "fastcpp/distributed/setup_distrib.hpp"
#include "fastcpp/io/json.hpp"
#include "fastcpp/io/value.hpp"
#include "fastcpp/tabular/tabular_data_bunch.hpp"
#include "fastcpp/tabular/tabular_learner.hpp"
#include "fastcpp/train/callbacks/callbacks.hpp"
#include "fastcpp/train/callbacks/tracker.hpp"
#include "fastcpp/train/learner.hpp"

using namespace fastcpp;
namespace nn = torch::nn;

namespace {

constexpr std::int64_t kAll = 8;  // items of a batch of all processes together

std::shared_ptr<TensorDataset> numbers(std::int64_t n, std::uint64_t seed) {
  torch::manual_seed(seed);
  const auto x = torch::randn({n, 4}, torch::kDouble);
  return std::make_shared<TensorDataset>(x, x.select(1, 0).gt(x.select(1, 1)).to(torch::kLong));
}

// A layer that no input reaches, one that is reached in the first process alone, and those of every day.
struct NetImpl : nn::Module {
  explicit NetImpl(int rank_) : rank(rank_) {
    first = register_module("first", nn::Linear(4, 6));
    unused = register_module("unused", nn::Linear(2, 2));
    sometimes = register_module("sometimes", nn::Linear(6, 6));
    last = register_module("last", nn::Linear(6, 2));
    offset = register_buffer("offset", torch::full({6}, static_cast<double>(rank)));
  }
  torch::Tensor forward(const torch::Tensor& x) {
    auto h = torch::tanh(first(x)) + offset;
    if (rank == 0 && partly) h = h + sometimes(h);
    if (drops) h = torch::dropout(h, 0.4, is_training());
    return last(h);
  }
  int rank;
  bool partly = false, drops = false;
  nn::Linear first{nullptr}, unused{nullptr}, sometimes{nullptr}, last{nullptr};
  torch::Tensor offset;
};
TORCH_MODULE(Net);

void write(const Path& file, const Value& value) {
  write_file(file, to_json(value));
}

// As texts, which read back the same, also where they are no numbers.
Value list(const std::vector<double>& values) {
  std::vector<Value> all;
  for (const double value : values) all.emplace_back(fmt::format("{}", value));
  return Value::list(std::move(all));
}

// A column of this process: better in the first two epochs, worse then.
std::shared_ptr<Callback> own_column() {
  return make_callback(
      {.on_train_begin = [](Learner& learn,
                            TrainState&) { learn.recorder().add_metric_names({"falls"}); },
       .on_epoch_end =
           [](Learner& learn, TrainState& state) {
             learn.recorder().add_metrics({{"falls", state.epoch == 1 ? 1.0 : 5.0}});
           },
       .order = -20});
}

// Watches in the first process alone.
class Watcher : public TrackerCallback {
 public:
  Watcher() : TrackerCallback({.monitor = "falls", .mode = TrackerMode::kMin}) {}
  bool first_process_only() const override { return true; }
  void on_epoch_end(TrainState&) override { seen.push_back(get_monitor_value().value_or(-1)); }

  std::vector<double> seen;
};

// Animals that sleep by day, by their kind; or stars that these give each other.
Learner of_rows(const std::string& what, const Path& folder, std::int64_t bs, int rank) {
  std::string csv = "kind,other,figure\n";
  for (int i = 0; i < 88; ++i) {
    const std::string kind = i % 3 == 0 ? "owl" : i % 3 == 1 ? "hen" : "cat";
    csv += kind + ",item " + std::to_string(i % 5) + ",";
    csv +=
        what == "table" ? (kind == "owl" ? "yes" : "no") : std::to_string(1 + (i % 3 + i % 5) % 5);
    csv += '\n';
  }
  const auto table = Table::parse_csv(csv);
  // All begin with other weights: those of the first process count.
  const auto seed = static_cast<std::uint64_t>(11 + rank);
  if (what == "table") {
    std::vector<std::int64_t> valid;
    for (std::int64_t i = 0; i < 21; ++i) valid.push_back(4 * i);
    const auto data = TabularDataBunch::from_df(folder, table, "figure", valid,
                                                {.procs = {tabular::Categorify()},
                                                 .cat_names = {"kind", "other"},
                                                 .cont_names = std::vector<std::string>(),
                                                 .bs = bs,
                                                 .device = torch::kCPU,
                                                 .seed = 7});
    return tabular_learner(data, {.layers = {6}, .use_bn = false, .silent = true, .seed = seed});
  }
  const auto data = CollabDataBunch::from_df(table, {.valid_pct = 0.25,
                                                     .seed = 1,
                                                     .path = folder,
                                                     .bs = bs,
                                                     .device = torch::kCPU,
                                                     .order_seed = 7});
  return collab_learner(data,
                        {.n_factors = 4, .y_range = {{0.0, 5.5}}, .silent = true, .seed = seed});
}

Value figures_of(const Learner& learn) {
  double sum = 0;
  for (const auto& parameter : learn.model()->parameters()) {
    sum += parameter.detach().abs().sum().item<double>();
  }
  return Value::dict({{"losses", list(learn.recorder().losses)},
                      {"valid", list(learn.recorder().val_losses)},
                      {"weights", Value(sum)}});
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const std::string what = argv[1];
  const Path folder = argv[2];
  const auto launch = launch_from_environment();
  const Path result = folder / (std::to_string(launch.rank) + ".json");
  torch::set_num_threads(1);
  try {
    const auto group = setup_distrib({.timeout = std::chrono::seconds(what == "slow" ? 5 : 60)});
    const auto bs = kAll / launch.world_size;
    if (what == "table" || what == "ratings") {
      auto learn = of_rows(what, folder, bs, launch.rank);
      learn.to_distributed(group);
      learn.fit(3, 1e-2);
      write(result, figures_of(learn));
      return 0;
    }
    // Not as many validation items as would go round.
    const auto data = DataBunch::create({numbers(64, 1), numbers(21, 2), nullptr, nullptr}, folder,
                                        {.bs = bs,
                                         .num_workers = what == "train" ? 2 : 0,
                                         .device = torch::kCPU,
                                         .seed = 7,
                                         .classes = {"a", "b"}});
    // All begin with other weights: those of the first process count.
    torch::manual_seed(static_cast<std::uint64_t>(11 + launch.rank));
    Net net(launch.rank);
    net->partly = what == "partly";
    net->drops = what.starts_with("dropout");
    net->to(torch::kDouble);
    Learner learn(
        data, Model(net),
        {.opt_func = sgd(),
         .metrics = {accuracy, error_rate, AUROC(), Precision({.average = MetricAverage::kMacro})},
         .silent = true});
    learn.to_distributed(group, {.bucket_mb = 1e-4});

    std::int64_t batches = 0;
    std::stop_source stop;
    CallbackFunctions functions;
    functions.on_batch_end = [&](Learner&, TrainState& state) {
      if (!state.train || ++batches != 5) return;
      const bool last = launch.rank == launch.world_size - 1;
      if (what == "kill" && last) std::raise(SIGKILL);
      if (what == "kill first" && launch.rank == 0) std::raise(SIGKILL);
      if (what == "slow" && last) std::this_thread::sleep_for(std::chrono::seconds(20));
      if (what == "throw" && last) throw std::runtime_error("the disk of this process is full");
      if (what == "stop" && last) state.stop_epoch = state.stop_training = true;
      if (what == "dropout stopped" && last) stop.request_stop();
    };
    functions.on_batch_begin = [&](Learner&, TrainState& state) {
      const bool last = launch.rank == launch.world_size - 1;
      if (what == "dropout failing" && last && state.train && state.iteration == 5)
        throw std::runtime_error("out of luck");
    };
    FitOptions options{.callbacks = {make_callback(functions), csv_logger({.filename = "table"}),
                                     save_model({.monitor = "accuracy"})},
                       .stop = stop.get_token()};
    if (what.starts_with("dropout")) {
      options.checkpoint = CheckpointOptions{.keep = 99, .resume = true, .on_error = true};
      if (what == "dropout often") options.checkpoint->every = std::chrono::milliseconds(0);
    }
    const auto watcher = std::make_shared<Watcher>();
    if (what == "own column") {
      options.callbacks = {watcher, save_model({.monitor = "falls", .mode = TrackerMode::kMin}),
                           early_stopping({.monitor = "falls", .mode = TrackerMode::kMin})};
      if (launch.rank == 0) options.callbacks.push_back(own_column());
    }
    const auto outcome = learn.fit(what == "own column" ? 5 : 3, 0.1, options);
    double sum = 0;
    for (const auto& parameter : learn.model()->parameters()) {
      sum += parameter.detach().abs().sum().item<double>();
    }
    const auto& recorder = learn.recorder();
    std::vector<double> metrics;
    for (const auto& row : recorder.metrics) metrics.insert(metrics.end(), row.begin(), row.end());
    const auto whole = learn.validate();
    write(result, Value::dict({{"losses", list(recorder.losses)},
                               {"valid", list(recorder.val_losses)},
                               {"metrics", list(metrics)},
                               {"whole", list(whole)},
                               {"weights", Value(sum)},
                               {"batches", Value(batches)},
                               {"seen", list(watcher->seen)},
                               {"unused", Value(learn.model()->parameters()[2].grad().defined())},
                               {"ended", Value(outcome == FitOutcome::kEnded)}}));
  } catch (const Error& e) {
    write(result,
          Value::dict({{"code", Value(e.code())}, {"message", Value(std::string(e.what()))}}));
    return 1;
  }
  return 0;
}
