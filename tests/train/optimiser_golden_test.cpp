// A tiny network trained under many settings, step by step beside the reference
// (tests/golden/optimiser.json).
#include <cmath>
#include <map>

#include "fastcpp/io/state_dict.hpp"
#include "fastcpp/train/callbacks/callbacks.hpp"
#include "fastcpp/train/callbacks/mixup.hpp"
#include "fastcpp/train/learner.hpp"
#include "support/catch.hpp"
#include "support/deviation.hpp"
#include "support/support.hpp"
#include "train/golden_model.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

// Rates, losses and weights of one fit, as the golden file lists them.
class Trace : public Callback {
 public:
  int order() const override { return 100; }
  void on_train_begin(TrainState&) override {
    for (auto* list : {&mom, &raw_loss, &smooth_loss, &valid_batch_loss}) list->clear();
    lr.clear();
    metrics.clear();
    after_first.clear();
  }
  void on_batch_begin(TrainState& state) override {
    if (!state.train) return;
    auto learner = learn();
    lr.push_back(learner.opt().lr());
    mom.push_back(learner.opt().mom().back());
  }
  void on_backward_begin(TrainState& state) override {
    raw_loss.push_back(state.last_loss.item<double>());
    smooth_loss.push_back(state.smooth_loss);
  }
  void on_step_end(TrainState& state) override {
    if (state.iteration > 0) return;
    for (const auto& [name, tensor] : state_dict(*learn().model()))
      after_first[name] = tensor.clone();
  }
  void on_batch_end(TrainState& state) override {
    if (!state.train) valid_batch_loss.push_back(state.last_loss.item<double>());
  }
  void on_epoch_end(TrainState& state) override { metrics.push_back(state.last_metrics); }

  std::vector<std::vector<double>> lr, metrics;
  std::vector<double> mom, raw_loss, smooth_loss, valid_batch_loss;
  std::map<std::string, torch::Tensor> after_first;
};

struct Tolerance {
  double value, smooth, metric;
  Deviation& report;  // of values; the smoothed losses are float32 in the reference
};

// Largest deviation between a list and its golden values.
double deviation(const std::vector<double>& got, const Json& want) {
  const auto expected = numbers(want);
  if (got.size() != expected.size()) return 1e9;
  double worst = 0;
  for (std::size_t i = 0; i < got.size(); ++i)
    worst = std::max(worst, std::abs(got[i] - expected[i]));
  return worst;
}

double deviation(const torch::Tensor& got, const Json& want) {
  std::vector<double> expected;
  if (want.is_object()) {
    expected = array(want).values;
  } else if (want.is_array()) {
    expected = numbers(want);
  } else {
    expected = {number(want)};
  }
  const auto flat = got.to(torch::kFloat64).contiguous().reshape({-1});
  if (static_cast<std::size_t>(flat.numel()) != expected.size()) return 1e9;
  double worst = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    worst = std::max(worst, std::abs(flat.data_ptr<double>()[i] - expected[i]));
  }
  return worst;
}

OptFunc optimizer(const Json& item) {
  if (!item.contains("opt")) return adam();
  const auto& opt = item.at("opt");
  const auto name = opt.at("name").get<std::string>();
  if (name == "sgd") return sgd({.momentum = opt.value("momentum", 0.0)});
  if (name == "rmsprop") return rmsprop({.alpha = opt.value("alpha", 0.99)});
  return adam();
}

void run(Learner& learner, const Json& op) {
  const auto what = op.at("op").get<std::string>();
  const auto lr = op.contains("lr") ? learning_rate(op.at("lr")) : kDefaultLr;
  std::optional<double> wd;
  if (op.contains("wd")) wd = number(op.at("wd"));
  if (what == "freeze") {
    learner.freeze();
  } else if (what == "unfreeze") {
    learner.unfreeze();
  } else if (what == "freeze_to") {
    learner.freeze_to(op.at("n").get<int>());
  } else if (what == "fit") {
    learner.fit(op.at("epochs").get<int>(), lr, {.wd = wd});
  } else {
    REQUIRE(what == "one_cycle");
    learner.fit_one_cycle(op.at("epochs").get<int>(), {.max_lr = lr, .wd = wd});
  }
}

void check_stage(const Json& want, const Trace& trace, const Learner& learner,
                 const Tolerance& tol) {
  REQUIRE(trace.lr.size() == want.at("lr").size());
  for (std::size_t i = 0; i < trace.lr.size(); ++i)
    CHECK(deviation(trace.lr[i], want.at("lr")[i]) < 1e-12);
  CHECK(deviation(trace.mom, want.at("mom")) < 1e-12);
  CHECK(tol.report.add(deviation(trace.raw_loss, want.at("raw_loss"))) <= tol.value);
  CHECK(deviation(trace.smooth_loss, want.at("smooth_loss")) <= tol.smooth);
  CHECK(tol.report.add(deviation(trace.valid_batch_loss, want.at("valid_batch_loss"))) <=
        tol.value);
  std::vector<double> valid_loss;
  REQUIRE(trace.metrics.size() == want.at("metrics").size());
  for (std::size_t i = 0; i < trace.metrics.size(); ++i) {
    valid_loss.push_back(trace.metrics[i].front());
    CHECK(deviation({trace.metrics[i].begin() + 1, trace.metrics[i].end()},
                    want.at("metrics")[i]) <= tol.metric);
  }
  CHECK(tol.report.add(deviation(valid_loss, want.at("valid_loss"))) <= tol.value);
  const auto state = state_dict(*learner.model());
  CHECK(state.size() == want.at("after_last").size());
  for (const auto& [name, values] : want.at("after_first").items()) {
    INFO(name);
    CHECK(tol.report.add(deviation(trace.after_first.at(name), values)) <= tol.value);
  }
  for (const auto& [name, values] : want.at("after_last").items()) {
    INFO(name);
    CHECK(tol.report.add(deviation(state.at(name), values)) <= tol.value);
  }
  std::vector<std::string> trainable;
  for (const auto& parameter : learner.model()->named_parameters()) {
    if (parameter.value().requires_grad()) trainable.push_back(parameter.key());
  }
  CHECK(trainable == want.at("requires_grad").get<std::vector<std::string>>());
  // The reference lists frozen biases, which never move, among the parameters of its second groups.
  const auto& groups = learner.opt().groups();
  REQUIRE(groups.size() == want.at("opt_groups").size());
  for (std::size_t g = 0; g < groups.size(); ++g) {
    CHECK(groups[g].all_indices.size() == want.at("opt_groups")[g].size());
    for (std::size_t i = 0; i < groups[g].params.size(); ++i) {
      const auto& saved = want.at("opt_state");
      const auto& name = groups[g].names[i];
      INFO(name);
      if (!saved.contains(name)) continue;
      for (const auto& [key, values] : saved.at(name).items()) {
        if (key == "step") {
          CHECK(static_cast<double>(groups[g].states[i].step) == number(values));
        } else if (!values.is_null()) {
          CHECK(tol.report.add(deviation(groups[g].states[i].buffers.at(key), values)) <=
                tol.value);
        }
      }
    }
  }
}

// The draws of the reference, one per training batch.
MixUpOptions recorded_mixup(const Json& item) {
  auto next = std::make_shared<std::size_t>(0);
  return {
      .alpha = number(item.at("mixup").at("alpha")), .draw = [&item, next](std::int64_t) {
        const auto lambda = numbers(item.at("lambda_raw").at(*next));
        const auto perm = item.at("perm").at(*next).get<std::vector<std::int64_t>>();
        ++*next;
        return MixUpDraw{torch::tensor(lambda, torch::kFloat64), torch::tensor(perm, torch::kLong)};
      }};
}

}  // namespace

TEST_CASE("training follows the reference step by step") {
  const auto& file = golden("optimiser.json");
  at::set_num_threads(1);
  Deviation single("optimiser.float32"), twofold("optimiser.float64");
  for (const auto& item : file.at("cases")) {
    const bool twice = item.at("dtype") == "float64";
    INFO(item.at("name").get<std::string>() << " " << item.at("dtype").get<std::string>());
    const auto dtype = twice ? torch::kFloat64 : torch::kFloat32;
    // The golden README's tolerances: float64 1e-9, float32 2e-5, smoothed losses float32 by
    // nature.
    const Tolerance tol{twice ? 1e-9 : 2e-5, twice ? 2e-6 : 2e-5, 1e-6, twice ? twofold : single};
    auto network = golden_network(file.at("model"), item.value("conv_bias", false), dtype);
    auto trace = std::make_shared<Trace>();
    const bool smoothing = item.value("loss", std::string()) == "label_smoothing";
    Learner learner(golden_data(file.at("data"), dtype), Model(network),
                    {.opt_func = optimizer(item),
                     .loss_func = smoothing ? label_smoothing_cross_entropy() : Loss(),
                     .metrics = {accuracy, error_rate},
                     .true_wd = item.value("true_wd", true),
                     .bn_wd = item.value("bn_wd", true),
                     .wd = item.value("wd", 1e-2),
                     .train_bn = item.value("train_bn", true),
                     .callbacks = {trace},
                     .silent = true});
    if (item.contains("clip")) learner.clip_grad(number(item.at("clip")));
    if (item.value("bn_freeze", false)) learner.callbacks().push_back(std::make_shared<BnFreeze>());
    if (item.contains("mixup")) learner.mixup(recorded_mixup(item));
    const auto groups = item.at("groups").get<int>();
    std::vector<Layer> starts;
    if (groups > 1) {
      for (const auto& at : file.at("model").at("splits").at(std::to_string(groups))) {
        starts.push_back(network->ptr(std::stoul(at.get<std::string>())));
      }
    }
    learner.split(starts);
    std::size_t stage = 0;
    for (const auto& op : item.at("ops")) {
      run(learner, op);
      const auto what = op.at("op").get<std::string>();
      if (what == "fit" || what == "one_cycle") {
        check_stage(item.at("stages").at(stage++), *trace, learner, tol);
      }
    }
    CHECK(stage == item.at("stages").size());
  }
}
