// Metrics and validation losses over batches, beside the reference (tests/golden/metrics.json).
// Every case, metric and name of the file is asserted; one that is not known here is a failure.
#include <torch/types.h>

#include <cstdint>
#include <map>
#include <set>
#include <stdexcept>

#include "fastcpp/train/metrics/loss.hpp"
#include "fastcpp/train/metrics/metrics.hpp"
#include "support/catch.hpp"
#include "support/deviation.hpp"
#include "support/golden.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

constexpr double kTolerance = 2e-5;  // the golden README's

torch::Tensor tensor(const Json& where) {
  const auto a = array(where);
  const auto values = torch::tensor(a.values, torch::kFloat64).reshape(a.shape);
  return values.to(a.dtype == "int64" ? torch::kLong : torch::kFloat32);
}

// The arguments of a metric in the file; it must ask for all of them.
class Arguments {
 public:
  explicit Arguments(const Json& args) : args_(args) {}
  template <typename T>
  T get(const std::string& name, T otherwise) {
    asked_.insert(name);
    return args_.value(name, otherwise);
  }
  void expect_all_used() const {
    for (const auto& [name, value] : args_.items()) {
      if (!asked_.count(name)) throw std::runtime_error("argument not used: " + name);
    }
  }

 private:
  const Json& args_;
  std::set<std::string> asked_;
};

MetricAverage average(const std::string& name) {
  if (name == "binary") return MetricAverage::kBinary;
  if (name == "micro") return MetricAverage::kMicro;
  if (name == "macro") return MetricAverage::kMacro;
  if (name == "weighted") return MetricAverage::kWeighted;
  if (name == "none") return MetricAverage::kNone;
  throw std::runtime_error("the file has an average that this test does not know: " + name);
}

KappaWeights kappa_weights(const std::string& name) {
  if (name == "none") return KappaWeights::kNone;
  if (name == "linear") return KappaWeights::kLinear;
  if (name == "quadratic") return KappaWeights::kQuadratic;
  throw std::runtime_error("the file has weights that this test does not know: " + name);
}

CMScoresOptions scores(Arguments& args) {
  const CMScoresOptions d;
  return {average(args.get("average", std::string("binary"))), args.get("pos_label", d.pos_label),
          args.get("eps", d.eps)};
}

Metric metric(const std::string& name, Arguments& args) {
  static const std::map<std::string, Metric> plain = {
      {"accuracy", accuracy},
      {"error_rate", error_rate},
      {"mse", mse},
      {"mae", mae},
      {"rmse", rmse},
      {"msle", msle},
      {"mean_squared_error", mean_squared_error},
      {"mean_absolute_error", mean_absolute_error},
      {"root_mean_squared_error", root_mean_squared_error},
      {"mean_squared_logarithmic_error", mean_squared_logarithmic_error},
      {"exp_rmspe", exp_rmspe},
      {"explained_variance", explained_variance},
      {"r2_score", r2_score},
      {"psnr", psnr},
      {"auc_roc_score", auc_roc_score},
      {"ConfusionMatrix", ConfusionMatrix()},
      {"MatthewsCorreff", MatthewsCorreff()},
      {"AUROC", AUROC()},
      {"R2Score", R2Score()},
      {"ExplainedVariance", ExplainedVariance()},
      {"RMSE", RMSE()},
      {"ExpRMSPE", ExpRMSPE()},
      {"Perplexity", Perplexity()}};
  if (const auto found = plain.find(name); found != plain.end()) return found->second;
  if (name == "top_k_accuracy") return top_k_accuracy(args.get("k", 5));
  if (name == "accuracy_thresh") {
    const AccuracyThreshOptions d;
    return accuracy_thresh(
        {.thresh = args.get("thresh", d.thresh), .sigmoid = args.get("sigmoid", d.sigmoid)});
  }
  if (name == "fbeta") {
    const FbetaOptions d;
    return fbeta({.thresh = args.get("thresh", d.thresh),
                  .beta = args.get("beta", d.beta),
                  .eps = args.get("eps", d.eps),
                  .sigmoid = args.get("sigmoid", d.sigmoid)});
  }
  if (name == "dice") {
    const DiceOptions d;
    return dice({.iou = args.get("iou", d.iou), .eps = args.get("eps", d.eps)});
  }
  if (name == "foreground_acc") return foreground_acc(args.get<std::int64_t>("void_code", -1));
  if (name == "Precision") return Precision(scores(args));
  if (name == "Recall") return Recall(scores(args));
  if (name == "FBeta") {
    const auto common = scores(args);
    return FBeta({.average = common.average,
                  .pos_label = common.pos_label,
                  .eps = common.eps,
                  .beta = args.get("beta", FBetaOptions{}.beta)});
  }
  if (name == "KappaScore") {
    return KappaScore({.weights = kappa_weights(args.get("weights", std::string("none")))});
  }
  if (name == "MultiLabelFbeta") {
    const MultiLabelFbetaOptions d;
    return MultiLabelFbeta({.beta = args.get("beta", d.beta),
                            .eps = args.get("eps", d.eps),
                            .thresh = args.get("thresh", d.thresh),
                            .sigmoid = args.get("sigmoid", d.sigmoid),
                            .average = average(args.get("average", std::string("micro")))});
  }
  throw std::runtime_error("the file has a metric that this test does not know: " + name);
}

Loss loss(const std::string& kind) {
  if (kind == "multiclass" || kind == "binary") return cross_entropy();
  if (kind == "multilabel") return bce_with_logits();
  if (kind == "regression") return mse_loss();
  if (kind == "segmentation") return cross_entropy({.axis = 1});
  throw std::runtime_error("the file has a kind that this test does not know: " + kind);
}

// A number, a list or a list of lists, as the tensor it stands for.
torch::Tensor figures(const Json& value) {
  if (!value.is_array()) return torch::tensor(number(value), torch::kFloat64);
  std::vector<torch::Tensor> parts;
  for (const auto& item : value) parts.push_back(figures(item));
  return torch::stack(parts);
}

struct Case {
  explicit Case(const Json& item_)
      : item(item_),
        kind(item.at("kind").get<std::string>()),
        outputs(tensor(item.at("outputs"))),
        targets(tensor(item.at("targets"))) {
    const auto sizes = item.at("batches").get<std::vector<std::int64_t>>();
    x = outputs.split_with_sizes(sizes);
    y = targets.split_with_sizes(sizes);
  }

  // As the learner reports a loss: batches weighted by their size.
  double over_batches(const Loss& function) const {
    double sum = 0;
    for (std::size_t b = 0; b < x.size(); ++b) {
      sum += function(x[b], y[b]).item<double>() * static_cast<double>(y[b].size(0));
    }
    return sum / static_cast<double>(targets.size(0));
  }

  const Json& item;
  std::string kind;
  torch::Tensor outputs, targets;
  std::vector<torch::Tensor> x, y;
};

void check(Deviation& deviation, const torch::Tensor& got, const torch::Tensor& want) {
  REQUIRE(got.sizes() == want.sizes());
  const auto a = got.to(torch::kFloat64).reshape(-1), b = want.reshape(-1).to(torch::kFloat64);
  for (std::int64_t i = 0; i < a.numel(); ++i) {
    INFO("number " << i << ": " << a[i].item<double>() << ", expected " << b[i].item<double>());
    CHECK(deviation(a[i].item<double>(), b[i].item<double>()) <= kTolerance);
  }
}

void check_metric(Deviation& deviation, const Case& data, const Json& want) {
  for (const auto& [key, value] : want.items()) {
    CAPTURE(key);
    REQUIRE(std::set<std::string>{"name", "args", "value", "direct"}.count(key) == 1);
  }
  Arguments args(want.at("args"));
  const auto known = metric(want.at("name").get<std::string>(), args);
  const auto state = known.start();
  if (want.value("direct", false)) {
    const auto input = args.get<std::string>("input", "");
    REQUIRE(input == "softmax(outputs)[:, 1]");
    state->update(data.outputs.softmax(-1).select(1, 1), data.targets);
  } else {
    for (std::size_t b = 0; b < data.x.size(); ++b) state->update(data.x[b], data.y[b]);
  }
  args.expect_all_used();
  check(deviation, state->result(), figures(want.at("value")));
}

}  // namespace

TEST_CASE("metrics of an epoch are the reference's") {
  std::size_t asserted = 0;
  std::map<std::string, Deviation> deviations;
  const CapturedLog log;
  for (const auto& item : golden("metrics.json").at("cases")) {
    const Case data(item);
    auto& deviation = deviations.try_emplace(data.kind, "metrics." + data.kind).first->second;
    for (const auto& want : item.at("metrics")) {
      INFO(item.at("name") << ": " << want.at("name") << " " << want.at("args"));
      check_metric(deviation, data, want);
      ++asserted;
    }
  }
  INFO(asserted << " metrics");
  CHECK(log.warnings.size() == 6);  // the default `binary` of Precision and Recall, three times
  CHECK(asserted >= 140);           // the file must not shrink unnoticed
}

TEST_CASE("validation losses are the reference's") {
  Deviation deviation("losses");
  std::set<std::string> kinds;
  for (const auto& item : golden("metrics.json").at("cases")) {
    INFO(item.at("name").get<std::string>());
    const Case data(item);
    kinds.insert(data.kind);
    const auto function = loss(data.kind);
    for (const auto& [key, want] : item.items()) {
      INFO(key);
      if (key == "name" || key == "kind" || key == "batches" || key == "outputs" ||
          key == "targets" || key == "metrics") {
        continue;
      } else if (key == "loss") {
        CHECK(deviation(data.over_batches(function), number(want)) <= kTolerance);
      } else if (key == "unreduced_loss") {
        check(deviation, function.unreduced(data.outputs, data.targets), figures(want));
      } else if (key == "label_smoothing") {
        for (const auto& each : want) {
          const auto smoothed = label_smoothing_cross_entropy(each.at("eps").get<double>());
          const auto x = data.outputs.to(torch::kFloat64);
          CHECK(deviation(smoothed(x, data.targets).item<double>(), number(each.at("value"))) <=
                kTolerance);
          CHECK(deviation(smoothed.unreduced(x, data.targets).sum().item<double>(),
                          number(each.at("sum"))) <= kTolerance);
        }
      } else if (key == "class_weighted_loss") {
        const auto weighted =
            cross_entropy({.weight = figures(want.at("weight")).to(torch::kFloat32)});
        CHECK(deviation(weighted(data.outputs, data.targets).item<double>(),
                        number(want.at("value"))) <= kTolerance);
      } else if (key == "roc_curve") {
        Deviation curve("metrics.roc_curve");
        const auto [fpr, tpr] = roc_curve(data.outputs.softmax(-1).select(1, 1), data.targets);
        check(curve, fpr, figures(want.at("fpr")));
        check(curve, tpr, figures(want.at("tpr")));
      } else {
        FAIL("the file has a key that this test does not know");
      }
    }
  }
  CHECK(kinds.size() == 5);
}

TEST_CASE("metrics have the reference's column names") {
  const std::map<std::string, Metric> metrics = {{"accuracy", accuracy},
                                                 {"top_k_accuracy(k=3) bound", top_k_accuracy(3)},
                                                 {"Precision()", Precision()},
                                                 {"FBeta()", FBeta()},
                                                 {"KappaScore()", KappaScore()},
                                                 {"MatthewsCorreff()", MatthewsCorreff()},
                                                 {"AUROC()", AUROC()},
                                                 {"MultiLabelFbeta()", MultiLabelFbeta()},
                                                 {"R2Score()", R2Score()},
                                                 {"ExpRMSPE()", ExpRMSPE()},
                                                 {"mse", mse},
                                                 {"mae", mae},
                                                 {"rmse", rmse},
                                                 {"msle", msle},
                                                 {"RMSE()", RMSE()},
                                                 {"ConfusionMatrix()", ConfusionMatrix()},
                                                 {"ExplainedVariance()", ExplainedVariance()}};
  std::size_t asserted = 0;
  for (const auto& want : golden("metrics.json").at("names")) {
    const auto name = want.at("metric").get<std::string>();
    INFO(name);
    REQUIRE(metrics.count(name) == 1);
    CHECK(metrics.at(name).name() == want.at("column").get<std::string>());
    ++asserted;
  }
  CHECK(asserted >= 17);
}
