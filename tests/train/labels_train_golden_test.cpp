// Losses, metrics and small trainings on labels of every kind, beside the reference: sections "targets" and "training" of
// datablock.json. What labels are and say is tested in the room "data".
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>

#include "fastcpp/data/labels.hpp"
#include "fastcpp/data/split.hpp"
#include "fastcpp/io/state_dict.hpp"
#include "fastcpp/train/callbacks/callbacks.hpp"
#include "fastcpp/train/learner.hpp"
#include "support/catch.hpp"
#include "support/deviation.hpp"
#include "support/fit_trace.hpp"
#include "support/support.hpp"
#include "train/golden_model.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

ColumnIds columns(const Json& cols) {
  if (cols.is_string()) return cols.get<std::string>();
  if (cols.is_number()) return cols.get<int>();
  return cols.get<std::vector<std::string>>();
}

// Labels of all rows in both parts, or of the parts that the file gives.
TrainValidLabels labelled(const Json& item, const Table& table,
                          const std::vector<std::int64_t>& train,
                          const std::vector<std::int64_t>& valid) {
  const auto& label = item.at("label");
  LabelOptions options;
  if (label.contains("label_delim")) options.label_delim = label["label_delim"].get<std::string>();
  if (label.contains("label_cls")) options.label_cls = LabelKind::kFloat;
  options.log = label.value("log", false);
  const auto cols = columns(label.at("cols"));
  const auto of_train = label_from_df(table.take(train), cols, options);
  return make_labels(of_train.labels, label_from_df(table.take(valid), cols, options).labels,
                     of_train.options);
}

Metric metric(const Json& item) {
  const std::string name = item.at("name");
  if (name == "accuracy") return accuracy;
  if (name == "accuracy_thresh") {
    return item.contains("thresh") ? Metric(accuracy_thresh({.thresh = item["thresh"]}))
                                   : Metric(accuracy_thresh);
  }
  if (name == "fbeta") {
    return item.contains("thresh") ? Metric(fbeta({.thresh = item["thresh"]})) : Metric(fbeta);
  }
  if (name == "mean_squared_error") return mean_squared_error;
  if (name == "mean_absolute_error") return mean_absolute_error;
  if (name == "root_mean_squared_error") return root_mean_squared_error;
  if (name == "r2_score") return r2_score;
  REQUIRE(name == "exp_rmspe");
  return exp_rmspe;
}

std::vector<Metric> metrics(const Json& items) {
  std::vector<Metric> all;
  for (const auto& item : items) all.push_back(metric(item));
  return all;
}

double worst(const torch::Tensor& got, const Json& want) {
  std::vector<double> figures;
  const std::function<void(const Json&)> collect = [&](const Json& value) {
    if (!value.is_array()) return figures.push_back(number(value));
    for (const auto& one : value) collect(one);
  };
  collect(want);
  const auto flat = got.to(torch::kFloat64).reshape({-1}).contiguous();
  REQUIRE(flat.numel() == static_cast<std::int64_t>(figures.size()));
  double most = 0;
  for (std::size_t i = 0; i < figures.size(); ++i) {
    most = std::max(most, std::abs(flat.data_ptr<double>()[i] - figures[i]));
  }
  return most;
}

double worst(const std::vector<double>& got, const Json& want) {
  return worst(torch::tensor(got, torch::kFloat64), want);
}

// What the reference trained on: its logarithms differ from the nearest number by one unit of single precision.
TrainValidLabels of_file(const TrainValidLabels& labels, const Json& item) {
  auto result = labels;
  const auto list = [](const Json& targets) {
    std::vector<float> y;
    for (const auto& one : targets) y.push_back(static_cast<float>(number(one)));
    return std::make_shared<FloatList>(y);
  };
  result.train = list(item["train_targets"]);
  result.valid = list(item["valid_targets"]);
  return result;
}

DataBunch golden_bunch(const torch::Tensor& train_x, const torch::Tensor& valid_x,
                       const TrainValidLabels& labels, std::int64_t bs, torch::ScalarType dtype) {
  const auto set = [&](const torch::Tensor& x, const Labels& y) {
    auto targets = y.targets();
    if (targets.is_floating_point()) targets = targets.to(dtype);
    return std::make_shared<TensorDataset>(x, targets);
  };
  return DataBunch::create(
      {set(train_x, *labels.train), set(valid_x, *labels.valid), nullptr, nullptr}, ".",
      {.bs = bs,
       .num_workers = 0,
       .device = torch::kCPU,
       .shuffle = false,
       .labels = labels.train->take({})});
}

// float32 values of the file's rule for model outputs.
torch::Tensor outputs_of(const Json& item, std::int64_t n) {
  const auto c = item.at("c").get<std::int64_t>();
  const auto key = item.at("outputs_key").get<std::string>();
  auto outputs = torch::empty({n, c});
  for (std::int64_t i = 0; i < outputs.numel(); ++i) {
    outputs.data_ptr<float>()[i] = static_cast<float>(3 * sgn(key, static_cast<std::uint64_t>(i)));
  }
  return outputs;
}

}  // namespace

TEST_CASE("losses, activations and metrics of labels of every kind") {
  constexpr double kTolerance = 2e-6;  // the golden README's
  const auto& file = golden("datablock.json")["targets"];
  const auto table = Table::parse_csv(file["csv"].get<std::string>());
  const auto rows = split_none(table.rows()).train;
  REQUIRE(file["batches"] == Json({4, 4, 1}));
  CHECK(file["kinds"].size() == 5);
  Deviation deviation("datablock.targets");
  for (const auto& item : file["kinds"]) {
    INFO(item["kind"].get<std::string>());
    const auto labels = labelled(item, table, rows, rows);
    const auto outputs = outputs_of(item, table.rows());
    const auto data = golden_bunch(outputs, outputs, labels, 4, torch::kFloat32);
    CHECK(data.c() == item["c"].get<std::int64_t>());
    Learner learn(data, Model(torch::nn::Sequential(torch::nn::Identity())),
                  {.metrics = metrics(item["metrics"]), .silent = true});
    const auto found = learn.get_preds(DatasetType::Valid, {.with_loss = true});
    CHECK(deviation.add(worst(found.preds, item["preds"])) <= kTolerance);
    // The unreduced losses of fastai's flattened ones, in row-major order; up to 25 in size.
    CHECK(deviation.add(worst(found.losses, item["unreduced"])) <= 2 * kTolerance);
    const auto loss = learn.loss_func()(outputs, labels.valid->targets());
    CHECK(deviation(loss.item<double>(), number(item["loss"])) <= kTolerance);
    const auto figures = learn.validate();
    CHECK(deviation(figures.front(), number(item["valid_loss"])) <= kTolerance);
    REQUIRE(figures.size() == item["metrics"].size() + 1);
    for (std::size_t i = 0; i < item["metrics"].size(); ++i) {
      INFO(item["metrics"][i].dump());
      CHECK(deviation(figures[i + 1], number(item["metrics"][i]["value"])) <= kTolerance);
    }
    for (const auto& want : item["predict"]) {
      PredictOptions options;
      if (!want["thresh"].is_null()) options.thresh = number(want["thresh"]);
      for (std::int64_t i = 0; i < outputs.size(0); ++i) {
        const auto got = learn.predict(outputs[i], options);
        CHECK(deviation.add(worst(got.index, want["data"][static_cast<std::size_t>(i)])) <=
              kTolerance);
        CHECK(deviation.add(worst(got.probabilities, item["preds"][static_cast<std::size_t>(i)])) <=
              kTolerance);
        if (item["kind"] == "numbers") continue;  // numpy's columns; see labels_golden_test
        CHECK(got.category == want["texts"][static_cast<std::size_t>(i)].get<std::string>());
      }
    }
  }
}

namespace {

torch::Tensor pictures(const Json& item, const std::vector<std::int64_t>& rows) {
  const auto side = item.at("side").get<std::int64_t>();
  const auto key = item.at("x_key").get<std::string>();
  auto x = torch::empty({static_cast<std::int64_t>(rows.size()), 3, side, side});
  const auto size = 3 * side * side;
  auto* to = x.data_ptr<float>();
  for (const auto row : rows) {
    for (std::int64_t j = 0; j < size; ++j) {
      *to++ = static_cast<float>(2 * sgn(key, static_cast<std::uint64_t>(row * size + j)));
    }
  }
  return x;
}

void check_training(const Json& item, const Json& want, bool twice, Deviation& deviation) {
  const auto dtype = twice ? torch::kFloat64 : torch::kFloat32;
  // The golden README: 1e-9 in double; ten times the reference's own deviation in single precision, at least 2e-5.
  const double tolerance = twice ? 1e-9 : std::max(2e-5, 10 * number(item["float32_deviation"]));
  const auto table = Table::parse_csv(item["csv"].get<std::string>());
  const auto train = item["train_rows"].get<std::vector<std::int64_t>>(),
             valid = item["valid"].get<std::vector<std::int64_t>>();
  const auto labels = labelled(item, table, train, valid);
  CHECK(worst(labels.train->targets(), item["train_targets"]) <= 1e-6);
  CHECK(worst(labels.valid->targets(), item["valid_targets"]) <= 1e-6);
  const auto data =
      golden_bunch(pictures(item, train).to(dtype), pictures(item, valid).to(dtype),
                   item.value("log", false) ? of_file(labels, item) : labels, item["bs"], dtype);
  Json model{{"layers", item["layers"]}, {"weights_key", item["weights_key"]}, {"bn_gain", 1.0}};
  model["layers"][5] = "Linear(12, " + std::to_string(item["c"].get<int>()) + ")";
  auto network = golden_network(model, /*conv_bias=*/false, dtype);
  auto trace = std::make_shared<FitTrace>();
  Learner learn(data, Model(network),
                {.metrics = metrics(item["metrics"]), .callbacks = {trace}, .silent = true});
  for (std::size_t i = 0; i < item["ops"].size(); ++i) {
    const auto& op = item["ops"][i];
    const auto lr = op.contains("lr") ? learning_rate(op["lr"]) : kDefaultLr;
    if (op["op"] == "fit") {
      learn.fit(op["epochs"], lr);
    } else {
      REQUIRE(op["op"] == "one_cycle");
      learn.fit_one_cycle(op["epochs"], {.max_lr = lr});
    }
    const auto& stage = want["stages"][i];
    CHECK(deviation.add(worst(trace->raw, stage["raw_loss"])) <= tolerance);
    CHECK(deviation.add(worst(trace->valid, stage["valid_loss"])) <= tolerance);
    CHECK(worst(trace->metrics, stage["metrics"]) <= std::max(1e-5, tolerance));
    // Single precision by nature: 2e-6 of losses about 1; these begin at 8.
    const auto largest = std::max(1.0, trace->raw.front());
    CHECK(worst(trace->smooth, stage["smooth_loss"]) <= std::max(2e-6 * largest, tolerance));
    if (!twice) continue;
    CHECK(worst(trace->lr, stage["lr"]) <= 1e-12);
    CHECK(worst(trace->mom, stage["mom"]) <= 1e-12);
    CHECK(deviation.add(worst(trace->valid_batch, stage["valid_batch_loss"])) <= tolerance);
  }
  if (!twice) return;
  CHECK(worst(learn.get_preds().preds, want["preds"]) <= 1e-6);
  const auto state = state_dict(*network);
  for (const auto& [name, values] : want["state"].items()) {
    INFO(name);
    CHECK(deviation.add(worst(state.at(name), values)) <= tolerance);
  }
}

}  // namespace

TEST_CASE("small trainings on tags and numbers") {
  at::set_num_threads(1);
  const auto& cases = golden("datablock.json")["training"];
  CHECK(cases.size() == 5);
  Deviation single("datablock.training.float32"), twofold("datablock.training.float64");
  for (const auto& item : cases) {
    INFO(item["name"].get<std::string>());
    check_training(item, item["float64"], true, twofold);
    check_training(item, item["float32"], false, single);
  }
}
