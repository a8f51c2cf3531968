// Trainings of the golden files on tables and ratings.
#pragma once

#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <vector>

#include "fastcpp/io/state_dict.hpp"
#include "fastcpp/train/learner.hpp"
#include "support/catch.hpp"
#include "support/fit_trace.hpp"
#include "support/golden.hpp"
#include "support/network_golden.hpp"

namespace fastcpp::test {

// Figures of a list of any depth, or of an array of the raw file.
inline std::vector<double> figures_of(const Json& want) {
  if (want.is_object()) return array(want).values;
  std::vector<double> figures;
  const std::function<void(const Json&)> collect = [&](const Json& value) {
    if (!value.is_array()) return figures.push_back(number(value));
    for (const auto& one : value) collect(one);
  };
  collect(want);
  return figures;
}

// The largest difference, of large figures relative to them.
inline double farthest(const torch::Tensor& got, const Json& want) {
  const auto figures = figures_of(want);
  const auto flat = got.detach().cpu().to(torch::kFloat64).reshape({-1}).contiguous();
  REQUIRE(flat.numel() == static_cast<std::int64_t>(figures.size()));
  double most = 0;
  for (std::size_t i = 0; i < figures.size(); ++i) {
    const auto off = std::abs(flat.data_ptr<double>()[i] - figures[i]);
    most = std::max(most, off / std::max(1.0, std::abs(figures[i])));
  }
  return most;
}
inline double farthest(const std::vector<double>& got, const Json& want) {
  return farthest(torch::tensor(got, torch::kFloat64), want);
}

// Continuous inputs and numbers as targets in double precision.
inline void widen_batch(Batch& batch) {
  const auto wide = [](const torch::Tensor& x) {
    return x.is_floating_point() ? x.to(torch::kFloat64) : x;
  };
  batch.x = batch.x.each(wide);
  batch.y = batch.y.each(wide);
}

inline OptFunc opt_of(const Json& item) {
  if (!item.contains("opt")) return adam();
  return sgd({.momentum = item["opt"].value("momentum", 0.0)});
}

inline std::vector<Metric> table_metrics(const Json& item) {
  std::vector<Metric> all;
  if (!item.contains("metrics")) return all;
  for (const std::string name : item["metrics"]) {
    if (name == "accuracy") all.emplace_back(accuracy);
    if (name == "exp_rmspe") all.emplace_back(exp_rmspe);
    if (name == "root_mean_squared_error") all.emplace_back(root_mean_squared_error);
    if (name == "mean_absolute_error") all.emplace_back(mean_absolute_error);
    if (name == "mean_squared_error") all.emplace_back(mean_squared_error);
  }
  REQUIRE(all.size() == item["metrics"].size());
  return all;
}

// Runs the operations of a case on a learner with a FitTrace, and compares as the golden README says.
inline void check_table_training(Learner learn, const std::shared_ptr<FitTrace>& trace,
                                 const Json& item, bool has_test) {
  const bool wide = item["dtype"] == "float64";
  // NumPy's logarithm in single precision differs from the C library's in the last place.
  const auto* floats = dynamic_cast<const FloatList*>(learn.data().labels().get());
  const double losses = floats && floats->log() ? 1e-6 : 1e-8;
  const auto allowed = [&](double in_double, const char* deviation) {
    return wide ? in_double : std::max(1e-6, 10 * number(item["deviation"][deviation]));
  };
  CHECK(farthest(learn.validate(), item["initial_validate"]) <= allowed(1e-6, "losses"));
  CHECK(farthest(learn.get_preds().preds, item["initial_preds"]) <=
        allowed(1e-6, "initial_predictions"));
  for (std::size_t i = 0; i < item["ops"].size(); ++i) {
    const auto& op = item["ops"][i];
    LearningRate lr = kDefaultLr;
    if (op.contains("lr")) lr = number(op["lr"]["value"]);
    if (op["op"] == "fit") {
      learn.fit(op["epochs"], lr);
    } else {
      REQUIRE(op["op"] == "one_cycle");
      learn.fit_one_cycle(op["epochs"], {.max_lr = lr});
    }
    const auto& stage = item["stages"][i];
    INFO("stage " << i);
    CHECK(farthest(trace->raw, stage["raw_loss"]) <= allowed(losses, "losses"));
    CHECK(farthest(trace->valid, stage["valid_loss"]) <= allowed(losses, "losses"));
    CHECK(farthest(trace->smooth, stage["smooth_loss"]) <= allowed(2e-6, "losses"));
    if (stage.contains("metrics")) {
      CHECK(farthest(trace->metrics, stage["metrics"]) <= allowed(1e-6, "metrics") + 1e-6);
    }
    if (!wide) continue;
    CHECK(farthest(trace->lr, stage["lr"]) <= 1e-12);
    CHECK(farthest(trace->mom, stage["mom"]) <= 1e-12);
    CHECK(farthest(trace->valid_batch, stage["valid_batch_loss"]) <= losses);
    if (!stage.contains("state")) continue;
    walk_state(*learn.model(), [&](const std::string& name, const torch::Tensor& value) {
      INFO(name);
      CHECK(farthest(value, stage["state"][name]) <= losses);
    });
  }
  CHECK(farthest(learn.get_preds().preds, item["preds"]) <= allowed(1e-6, "predictions"));
  if (has_test) {
    CHECK(farthest(learn.get_preds(DatasetType::Test).preds, item["test_preds"]) <=
          allowed(1e-6, "predictions"));
  }
}

}  // namespace fastcpp::test
