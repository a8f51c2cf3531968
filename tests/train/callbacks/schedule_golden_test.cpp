// Annealing, one-cycle and the LR finder beside the reference (tests/golden/schedules.json).
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>

#include <cmath>

#include "fastcpp/train/callbacks/callbacks.hpp"
#include "fastcpp/train/callbacks/general_sched.hpp"
#include "fastcpp/train/learner.hpp"
#include "support/catch.hpp"
#include "support/deviation.hpp"
#include "support/support.hpp"
#include "train/golden_model.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

// Relative 1e-9, absolute 1e-15, as the golden README asks.
void check_close(Deviation& deviation, double got, double want) {
  CHECK(std::abs(got - want) <= 1e-15 + 1e-9 * std::abs(want));
  deviation(got, want);
}

Anneal anneal_function(const Json& item) {
  const auto name = item.at("func").get<std::string>();
  if (name == "no") return annealing_no;
  if (name == "linear") return annealing_linear;
  if (name == "exp") return annealing_exp;
  if (name == "cos") return annealing_cos;
  return annealing_poly(number(item.at("degree")));
}

class Rates : public Callback {
 public:
  bool in_lr_find() const override { return true; }
  void on_batch_begin(TrainState& state) override {
    if (!state.train) return;
    auto learner = learn();
    lr.push_back(learner.opt().lr());
    mom.push_back(learner.opt().mom().back());
    beta.push_back(learner.opt().beta().back());
    wd.push_back(learner.opt().wd().back());
  }
  std::vector<std::vector<double>> lr;
  std::vector<double> mom, beta, wd;
};

// Replaces the batch losses by scripted ones.
class Losses : public Callback {
 public:
  bool in_lr_find() const override { return true; }
  explicit Losses(std::vector<double> losses) : losses_(std::move(losses)) {}
  void on_loss_begin(TrainState& state) override {
    if (state.train) state.last_output = state.last_output * 0 + losses_.at(next_++);
  }

 private:
  std::vector<double> losses_;
  std::size_t next_ = 0;
};

struct Setup {
  TempDir dir;
  std::shared_ptr<Rates> rates = std::make_shared<Rates>();

  Learner learner(std::int64_t batches, int groups, const OptFunc& opt = adam(),
                  const Loss& loss = {}) {
    auto set = std::make_shared<TensorDataset>(torch::ones({batches, 2}),
                                               torch::zeros({batches}, torch::kLong));
    auto data = DataBunch::create({set, nullptr, nullptr, nullptr}, dir.path(),
                                  {.bs = 1, .num_workers = 0, .device = torch::kCPU});
    torch::nn::Sequential network;
    for (int g = 0; g < groups; ++g) network->push_back(torch::nn::Linear(2, 2));
    Learner result(data, Model(network),
                   {.opt_func = opt, .loss_func = loss, .callbacks = {rates}, .silent = true});
    std::vector<Layer> starts;
    for (std::size_t g = 1; g < static_cast<std::size_t>(groups); ++g)
      starts.push_back(network->ptr(g));
    result.split(starts);
    return result;
  }
};

// Golden files write one number where all groups share it.
double per_group(const Json& entry, std::size_t g) {
  return entry.is_array() ? number(entry.at(g)) : number(entry);
}

}  // namespace

TEST_CASE("annealing functions") {
  Deviation deviation("schedules.anneal");
  for (const auto& item : golden("schedules.json").at("anneal")) {
    const auto f = anneal_function(item);
    for (std::size_t i = 0; i < item.at("pct").size(); ++i) {
      check_close(deviation,
                  f(number(item.at("start")), number(item.at("end")), number(item.at("pct")[i])),
                  number(item.at("value")[i]));
    }
  }
}

TEST_CASE("scheduler steps") {
  Deviation deviation("schedules.scheduler");
  for (const auto& item : golden("schedules.json").at("scheduler")) {
    const bool pair = item.at("vals").is_array() && item.at("vals").size() == 2;
    Anneal anneal = pair ? Anneal(annealing_linear) : Anneal(annealing_no);
    const auto& func = item.at("func");
    if (func.is_string()) anneal = anneal_function(item);
    if (func.is_array()) anneal = annealing_poly(number(func[1]));
    Scheduler scheduler({number(item.at("start"))}, {number(item.at("end"))},
                        item.at("n_iter").get<std::int64_t>(), anneal);
    for (std::size_t i = 0; i < item.at("value").size(); ++i) {
      check_close(deviation, scheduler.step().front(), number(item.at("value")[i]));
      CHECK(scheduler.is_done() == item.at("is_done")[i].get<bool>());
    }
  }
}

TEST_CASE("rates per layer group") {
  Deviation deviation("schedules.lr_range");
  for (const auto& item : golden("schedules.json").at("lr_range")) {
    const auto rates = lr_range(learning_rate(item.at("lr")), item.at("groups").get<std::size_t>());
    REQUIRE(rates.size() == item.at("per_group").size());
    for (std::size_t i = 0; i < rates.size(); ++i)
      check_close(deviation, rates[i], number(item.at("per_group")[i]));
  }
}

TEST_CASE("one-cycle batch by batch") {
  Deviation deviation("schedules.one_cycle");
  for (const auto& item : golden("schedules.json").at("one_cycle")) {
    INFO(item.at("batches") << " batches, " << item.at("epochs") << " epochs");
    Setup setup;
    const bool with_sgd = item.value("opt", std::string()) == "sgd";
    auto learner =
        setup.learner(item.at("batches").get<std::int64_t>(), item.at("groups").get<int>(),
                      with_sgd ? sgd({.momentum = 0.9}) : adam());
    OneCycleOptions options;
    if (item.contains("max_lr")) options.max_lr = learning_rate(item.at("max_lr"));
    if (item.contains("moms")) {
      const auto& moms = item.at("moms");
      options.moms = moms.is_array() ? std::pair{number(moms[0]), number(moms[1])}
                                     : std::pair{number(moms), number(moms)};
    }
    if (item.contains("div_factor")) options.div_factor = number(item.at("div_factor"));
    if (item.contains("pct_start")) options.pct_start = number(item.at("pct_start"));
    if (item.contains("final_div")) options.final_div = number(item.at("final_div"));
    if (item.contains("tot_epochs")) options.tot_epochs = item.at("tot_epochs").get<int>();
    if (item.contains("start_epoch")) options.start_epoch = item.at("start_epoch").get<int>();
    learner.fit_one_cycle(item.at("epochs").get<int>(), options);

    CHECK(setup.rates->lr.size() == item.at("batches_run").get<std::size_t>());
    CHECK(learner.recorder().nb_batches == item.at("nb_batches").get<std::vector<std::int64_t>>());
    REQUIRE(setup.rates->lr.size() == item.at("lr").size());
    for (std::size_t i = 0; i < setup.rates->lr.size(); ++i) {
      for (std::size_t g = 0; g < setup.rates->lr[i].size(); ++g) {
        check_close(deviation, setup.rates->lr[i][g], per_group(item.at("lr")[i], g));
      }
      check_close(deviation, setup.rates->mom[i], number(item.at("mom")[i]));
    }
    for (std::size_t g = 0; g < learner.opt().lr().size(); ++g) {
      check_close(deviation, learner.opt().lr()[g], per_group(item.at("final_lr"), g));
    }
    check_close(deviation, learner.opt().mom().back(), number(item.at("final_mom")));
  }
}

TEST_CASE("rates and messages of the LR finder") {
  Deviation deviation("schedules.lr_find");
  for (const auto& item : golden("schedules.json").at("lr_find")) {
    Setup setup;
    CapturedLog log;
    auto learner =
        setup.learner(item.at("batches").get<std::int64_t>(), item.at("groups").get<int>());
    LrFindOptions options{.num_it = item.value("num_it", 100), .stop_div = false};
    if (item.contains("start_lr")) options.start_lr = learning_rate(item.at("start_lr"));
    if (item.contains("end_lr")) options.end_lr = learning_rate(item.at("end_lr"));
    learner.lr_find(options);
    CHECK(setup.rates->lr.size() == item.at("batches_run").get<std::size_t>());
    CHECK(learner.recorder().nb_batches == item.at("nb_batches").get<std::vector<std::int64_t>>());
    REQUIRE(setup.rates->lr.size() == item.at("lr").size());
    for (std::size_t i = 0; i < setup.rates->lr.size(); ++i) {
      for (std::size_t g = 0; g < setup.rates->lr[i].size(); ++g) {
        check_close(deviation, setup.rates->lr[i][g], per_group(item.at("lr")[i], g));
      }
    }
    check_close(deviation, setup.rates->mom.front(), number(item.at("mom_first")));
    // The reference's text names a call of Python's; its first words are ours too.
    REQUIRE(log.info.size() == item.at("text").size());
    CHECK(log.info.front().starts_with("LR Finder is complete"));
    CHECK(item.at("text")[0].get<std::string>().starts_with("LR Finder is complete"));
    CHECK_FALSE(std::filesystem::exists(setup.dir / "models"));
  }
}

TEST_CASE("where the LR finder stops, and what it suggests") {
  Deviation deviation("schedules.lr_find_stop");
  // The model's single output is the scripted loss itself.
  const Loss scripted("scripted", [](const torch::Tensor& output, const torch::Tensor&) {
    return output.select(1, 0);
  });
  for (const auto& item : golden("schedules.json").at("lr_find_stop")) {
    Setup setup;
    CapturedLog log;
    auto learner = setup.learner(item.at("batches").get<std::int64_t>(), 1, adam(), scripted);
    auto script = std::make_shared<Losses>(numbers(item.at("losses")));
    LrFindOptions options{.num_it = item.at("num_it").get<int>(),
                          .stop_div = item.at("stop_div").get<bool>()};
    const auto epochs =
        (options.num_it + item.at("batches").get<int>() - 1) / item.at("batches").get<int>();
    learner.fit(epochs, options.start_lr,
                {.callbacks = {script, std::make_shared<LRFinder>(options)}});
    auto& recorder = learner.recorder();
    const auto smooth = numbers(item.at("smooth"));
    CHECK(recorder.losses.size() == item.at("batches_run").get<std::size_t>());
    REQUIRE(recorder.losses.size() == smooth.size());
    for (std::size_t i = 0; i < smooth.size(); ++i) {
      CHECK((std::isnan(smooth[i]) ? std::isnan(recorder.losses[i])
                                   : recorder.losses[i] == Approx(smooth[i]).epsilon(1e-6)));
      deviation(recorder.losses[i], smooth[i]);
    }
    for (const auto& plot : item.at("plot")) {
      log.info.clear();
      const auto found = recorder.suggest({.skip_start = plot.at("skip_start").get<int>(),
                                           .skip_end = plot.at("skip_end").get<int>()});
      REQUIRE(found);
      CHECK(found->index == plot.at("min_grad_index").get<std::size_t>());
      check_close(deviation, found->min_grad_lr, number(plot.at("min_grad_lr")));
      CHECK(log.info == plot.at("text").get<std::vector<std::string>>());
    }
  }
}

TEST_CASE("a flat rate, then half a cosine") {
  Deviation deviation("schedules.flat_cos");
  for (const auto& item : golden("schedules.json").at("flat_cos")) {
    Setup setup;
    auto learner =
        setup.learner(item.at("batches").get<std::int64_t>(), item.at("groups").get<int>());
    FitFcOptions options{.lr = learning_rate(item.at("lr"))};
    if (item.contains("moms"))
      options.moms = {number(item.at("moms")[0]), number(item.at("moms")[1])};
    if (item.contains("start_pct")) options.start_pct = number(item.at("start_pct"));
    learner.fit_fc(item.at("epochs").get<int>(), options);

    CHECK(setup.rates->lr.size() == item.at("batches_run").get<std::size_t>());
    REQUIRE(setup.rates->lr.size() == item.at("lr_values").size());
    for (std::size_t i = 0; i < setup.rates->lr.size(); ++i) {
      for (std::size_t g = 0; g < setup.rates->lr[i].size(); ++g) {
        check_close(deviation, setup.rates->lr[i][g], per_group(item.at("lr_values")[i], g));
      }
      check_close(deviation, setup.rates->mom[i], number(item.at("mom")[i]));
    }
    for (std::size_t g = 0; g < learner.opt().lr().size(); ++g)
      check_close(deviation, learner.opt().lr()[g], per_group(item.at("final_lr"), g));
    check_close(deviation, learner.opt().mom().back(), number(item.at("final_mom")));
  }
}

namespace {

Hyper hyper(const std::string& name) {
  if (name == "lr") return Hyper::kLr;
  if (name == "mom") return Hyper::kMom;
  if (name == "beta") return Hyper::kBeta;
  if (name == "wd") return Hyper::kWd;
  throw std::runtime_error("the file has a hyper-parameter that this test does not know: " + name);
}

TrainingPhase training_phase(const Json& item) {
  const auto value = [](const Json& one) -> LearningRate {
    if (one.is_array()) return numbers(one);
    return number(one);
  };
  TrainingPhase phase(item.at("length").get<std::int64_t>());
  for (const auto& schedule : item.at("schedules")) {
    const auto name = hyper(schedule.at("name").get<std::string>());
    const auto& vals = schedule.at("vals");
    if (!vals.is_array()) {
      phase.schedule_hp(name, value(vals));
      continue;
    }
    Anneal anneal = annealing_linear;
    if (schedule.contains("anneal")) {
      const auto& how = schedule.at("anneal");
      anneal = how.is_array() ? annealing_poly(number(how[1])) : anneal_function({{"func", how}});
    }
    phase.schedule_hp(name, value(vals[0]), value(vals[1]), anneal);
  }
  return phase;
}

}  // namespace

TEST_CASE("general schedules phase by phase") {
  Deviation deviation("schedules.general");
  for (const auto& item : golden("schedules.json").at("general")) {
    Setup setup;
    auto learner =
        setup.learner(item.at("batches").get<std::int64_t>(), item.at("groups").get<int>());
    std::vector<TrainingPhase> phases;
    for (const auto& phase : item.at("phases")) phases.push_back(training_phase(phase));
    learner.fit(item.at("epochs").get<int>(), number(item.at("fit_lr")),
                {.callbacks = {std::make_shared<GeneralScheduler>(
                     GeneralSchedulerOptions{.phases = phases})}});

    CHECK(setup.rates->lr.size() == item.at("batches_run").get<std::size_t>());
    CHECK(learner.recorder().nb_batches.size() == item.at("epochs_run").get<std::size_t>());
    REQUIRE(setup.rates->lr.size() == item.at("lr").size());
    for (std::size_t i = 0; i < setup.rates->lr.size(); ++i) {
      for (std::size_t g = 0; g < setup.rates->lr[i].size(); ++g)
        check_close(deviation, setup.rates->lr[i][g], per_group(item.at("lr")[i], g));
      check_close(deviation, setup.rates->mom[i], number(item.at("mom")[i]));
      check_close(deviation, setup.rates->beta[i], number(item.at("beta")[i]));
      check_close(deviation, setup.rates->wd[i], number(item.at("wd")[i]));
    }
  }
}

TEST_CASE("smoothed losses") {
  Deviation deviation("schedules.smooth");
  for (const auto& item : golden("schedules.json").at("smooth")) {
    SmoothenValue smoothen(number(item.at("beta")));
    const auto values = numbers(item.at("values")), want = numbers(item.at("smooth"));
    REQUIRE(values.size() == want.size());
    for (std::size_t i = 0; i < want.size(); ++i) {
      smoothen.add_value(values[i]);
      CHECK(smoothen.smooth() == Approx(want[i]).epsilon(1e-6));
      deviation(smoothen.smooth(), want[i]);
    }
  }
}
