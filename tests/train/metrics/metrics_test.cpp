// Edge cases of the metrics and losses, by hand.
#include <c10/core/DefaultDtype.h>
#include <torch/nn/functional/loss.h>

#include <cmath>
#include <limits>
#include <stdexcept>

#include "fastcpp/train/metrics/loss.hpp"
#include "fastcpp/train/metrics/metrics.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

// Outputs whose largest entry is the given class.
torch::Tensor predicting(std::vector<std::int64_t> classes, std::int64_t count) {
  return torch::one_hot(torch::tensor(classes, torch::kLong), count).to(torch::kFloat32);
}

torch::Tensor classes(std::vector<std::int64_t> values) {
  return torch::tensor(values, torch::kLong);
}

torch::Tensor whole(const Metric& metric, const torch::Tensor& x, const torch::Tensor& y) {
  const auto state = metric.start();
  state->update(x, y);
  return state->result();
}

bool same(const torch::Tensor& got, std::vector<double> want) {
  return torch::allclose(got, torch::tensor(want, torch::kFloat64), 1e-6, 1e-6,
                         /*equal_nan=*/true);
}

const auto kNoNumber = std::numeric_limits<double>::quiet_NaN();

}  // namespace

TEST_CASE("metrics are listed as in Python") {
  const std::vector<Metric> metrics = {accuracy,
                                       fbeta,
                                       fbeta({.beta = 1}),
                                       accuracy_thresh({.thresh = 0.3}),
                                       Precision({.average = MetricAverage::kMacro}),
                                       Perplexity(),
                                       Recall(),
                                       foreground_acc(0),
                                       dice({.iou = true}),
                                       psnr,
                                       auc_roc_score};
  std::vector<std::string> names;
  for (const auto& metric : metrics) names.push_back(metric.name());
  CHECK(names == std::vector<std::string>{"accuracy", "fbeta", "fbeta", "accuracy_thresh",
                                          "precision", "perplexity", "recall", "foreground_acc",
                                          "dice", "psnr", "auc_roc_score"});
}

TEST_CASE("multi-label metrics of the specification's example") {
  const auto x =
      torch::tensor({{2.f, -1.f, 0.f}, {0.f, 1.f, 3.f}, {1.f, 2.f, .5f}, {-1.f, -2.f, -.5f}});
  const auto y = torch::tensor({{1, 0, 0}, {0, 1, 1}, {1, 1, 0}, {0, 0, 0}});
  CHECK(fbeta(x, y).item<double>() == Approx(0.63312).margin(1e-5));
  CHECK(accuracy_thresh(x, y).item<double>() == Approx(0.91667).margin(1e-5));
  CHECK(accuracy_thresh(x, y, {.thresh = 0.5, .sigmoid = false}).item<double>() == 1);
  CHECK(top_k_accuracy(2)(x, classes({0, 2, 0, 2})) == 1);
  // A column of targets is as good as a vector.
  CHECK(top_k_accuracy(1)(x, classes({0, 2, 0, 2}).unsqueeze(1)) == 0.75);
}

TEST_CASE("a class that is never predicted or never present is NaN, and so is every average") {
  // Class 1 is never predicted, class 2 is never present.
  const auto x = predicting({0, 0, 2, 0}, 3), y = classes({0, 1, 0, 0});
  CHECK(same(whole(Precision({.average = MetricAverage::kNone}), x, y), {2.0 / 3, kNoNumber, 0}));
  CHECK(same(whole(Recall({.average = MetricAverage::kNone}), x, y), {2.0 / 3, 0, kNoNumber}));
  for (const auto average :
       {MetricAverage::kMicro, MetricAverage::kMacro, MetricAverage::kWeighted}) {
    INFO(static_cast<int>(average));
    CHECK(std::isnan(Precision({.average = average})(x, y)));
    CHECK(std::isnan(Recall({.average = average})(x, y)));
  }
  CHECK(same(whole(FBeta({.average = MetricAverage::kNone, .beta = 1}), x, y), {2.0 / 3, 0, 0}));
  CHECK(FBeta({.average = MetricAverage::kMacro, .beta = 1})(x, y) == Approx(2.0 / 9));
  CHECK(FBeta({.average = MetricAverage::kMicro})(x, y) == 0);
  // The other of two classes empties the average as well, though its weight is 0.
  const auto all_one = predicting({1, 1}, 2);
  CHECK(std::isnan(Precision()(all_one, classes({1, 0}))));
  CHECK(Recall()(all_one, classes({1, 0})) == 1);
  CHECK(std::isnan(MatthewsCorreff()(all_one, classes({1, 0}))));
}

TEST_CASE("binary with more than two classes becomes macro and says so once") {
  const auto x = predicting({0, 1, 2, 2}, 3), y = classes({0, 1, 2, 1});
  CapturedLog log;
  const auto metric = Precision();
  for (int epoch = 0; epoch < 2; ++epoch) {
    CHECK(metric(x, y) == Approx(Precision({.average = MetricAverage::kMacro})(x, y)));
  }
  REQUIRE(log.warnings.size() == 1);
  CHECK(log.warnings[0] ==
        "Precision: average kBinary needs 2 classes, found 3; taking kMacro instead");
  Precision()(predicting({0, 1}, 2), classes({0, 1}));
  Recall({.average = MetricAverage::kMacro})(x, y);
  CHECK(log.warnings.size() == 1);
}

TEST_CASE("a confusion matrix is read from its state") {
  const auto state = ConfusionMatrix().start();
  state->update(predicting({0, 1, 2}, 3), classes({0, 2, 2}));
  state->update(predicting({1}, 3), classes({2}));
  const auto want = torch::tensor({{1, 0, 0}, {0, 0, 0}, {0, 2, 1}}, torch::kLong);
  CHECK(torch::equal(state->result(), want));
  CHECK(std::isnan(state->value()));
  // A target that is no class, such as -100 of padding, is not counted.
  CHECK(
      whole(ConfusionMatrix(), predicting({0, 0, 0}, 2), classes({0, -100, 2})).sum().item<int>() ==
      1);
  CHECK(caught([&] { state->update(predicting({1}, 2), classes({1})); }).code ==
        "value.metric_shape");
}

TEST_CASE("a state without a batch is NaN") {
  for (const Metric& metric :
       std::vector<Metric>{accuracy, Precision(), AUROC(), R2Score(), MultiLabelFbeta(),
                           Perplexity(), ConfusionMatrix()}) {
    INFO(metric.name());
    CHECK(std::isnan(metric.start()->value()));
  }
}

TEST_CASE("kappa weighs a confusion by its distance") {
  const auto x = predicting({0, 1, 2, 2}, 3), y = classes({0, 1, 2, 0});
  CHECK(KappaScore()(x, y) == Approx(7.0 / 11));
  CHECK(KappaScore({.weights = KappaWeights::kLinear})(x, y) == Approx(0.5));
  CHECK(KappaScore({.weights = KappaWeights::kQuadratic})(x, y) == Approx(5.0 / 13));
}

TEST_CASE("equal scores are one point of the ROC curve") {
  const auto scores = torch::tensor({0.9f, 0.5f, 0.5f, 0.1f});
  const auto [fpr, tpr] = roc_curve(scores, classes({1, 1, 0, 0}));
  CHECK(same(fpr, {0, 0, 0.5, 1}));
  CHECK(same(tpr, {0, 0.5, 1, 1}));
  CHECK(auc_roc_score(scores, classes({1, 1, 0, 0})).item<double>() == Approx(0.875));
  CHECK(std::isnan(auc_roc_score(scores, classes({1, 1, 1, 1})).item<double>()));
}

TEST_CASE("dice and foreground accuracy know empty images and void pixels") {
  // Two images of 1 x 4 pixels; the second has no foreground at all.
  const auto mask = torch::tensor({{1, 1, 0, 0}, {0, 0, 0, 0}}, torch::kFloat32);
  const auto x = torch::stack({1 - mask, mask}, 1).unsqueeze(2);
  const auto y = classes({1, 0, 0, 0, 0, 0, 0, 0}).reshape({2, 1, 1, 4});
  CHECK(dice(x, y).item<double>() == Approx((2.0 / 3 + 1) / 2));
  CHECK(dice(x, y, {.iou = true}).item<double>() == Approx((0.5 + 1) / 2));
  CHECK(foreground_acc(0)(x, y) == 1);
  CHECK(foreground_acc(1)(x, y) == Approx(6.0 / 7));
  CHECK(foreground_acc(7)(x, y.squeeze(1)) == Approx(7.0 / 8));
  CHECK(std::isnan(foreground_acc(0)(x, torch::zeros_like(y))));
}

TEST_CASE("regression metrics at their limits") {
  const auto y = torch::arange(4, torch::kFloat32), flat = torch::full({4}, 2.f);
  CHECK(explained_variance(y, y).item<double>() == 1);
  CHECK(explained_variance(y, flat).item<double>() == -kInf);
  CHECK(r2_score(y, flat).item<double>() == -kInf);
  CHECK(r2_score(y + 1, y).item<double>() == Approx(0.2));
  CHECK(explained_variance(y + 1, y).item<double>() == Approx(1));
  CHECK(psnr(y, y).item<double>() == kInf);
  CHECK(psnr(y + 0.1f, y).item<double>() == Approx(20).epsilon(1e-4));
  // N x 1 outputs and N targets are no N x N table; whole numbers are numbers.
  CHECK(mae(y.unsqueeze(1), y.to(torch::kLong)).item<double>() == 0);
  CHECK(rmse(y + 2, y).item<double>() == 2);
  CHECK(msle(torch::zeros(2), torch::full({2}, std::exp(1.f) - 1)).item<double>() == Approx(1));
  CHECK(exp_rmspe(torch::full({2}, std::log(2.f)), torch::zeros(2)).item<double>() == Approx(1));
  CHECK(caught([&] { mse(y, flat.slice(0, 0, 3)); }).code == "value.metric_shape");
}

TEST_CASE("multi-label F-beta is 0 for a label without hits") {
  const auto x = torch::tensor({{1.f, 1.f, 0.f}, {1.f, 0.f, 0.f}});
  const auto y = torch::tensor({{1, 0, 0}, {1, 1, 0}});
  const auto by = [](MetricAverage average) {
    return MultiLabelFbeta({.beta = 1, .thresh = 0.5, .sigmoid = false, .average = average});
  };
  CHECK(same(whole(by(MetricAverage::kNone), x, y), {1, 0, 0}));
  CHECK(by(MetricAverage::kMacro)(x, y) == Approx(1.0 / 3));
  CHECK(by(MetricAverage::kWeighted)(x, y) == Approx(2.0 / 3));
  CHECK(by(MetricAverage::kMicro)(x, y) == Approx(2.0 / 3));
}

TEST_CASE("perplexity weighs by tokens") {
  // Two classes with even odds: 2, whatever the targets are.
  const auto state = Perplexity().start();
  state->update(torch::zeros({2, 5, 2}), torch::zeros({2, 5}, torch::kLong));
  state->update(torch::zeros({1, 1, 2}), torch::ones({1, 1}, torch::kLong));
  CHECK(state->value() == Approx(2));
  const auto sure = torch::tensor({100.f, 0.f}).reshape({1, 1, 2}).repeat({3, 1, 1});
  const auto mixed = Perplexity().start();
  mixed->update(torch::zeros({1, 1, 2}), torch::zeros({1, 1}, torch::kLong));
  mixed->update(sure, torch::zeros({3, 1}, torch::kLong));
  CHECK(mixed->value() == Approx(std::pow(2, 0.25)));
}

TEST_CASE("arguments of metrics out of range are refused when the metric is made") {
  CHECK(caught([] { Precision({.average = static_cast<MetricAverage>(7)}); }).code ==
        "value.average");
  CHECK(caught([] { FBeta({.average = static_cast<MetricAverage>(-1)}); }).code == "value.average");
  CHECK(caught([] { Recall({.pos_label = 2}); }).code == "value.pos_label");
  CHECK(caught([] { KappaScore({.weights = static_cast<KappaWeights>(3)}); }).code ==
        "value.weights");
  CHECK(caught([] { top_k_accuracy(0); }).code == "value.k");
  CHECK(caught([] { label_smoothing_cross_entropy(1); }).code == "value.eps");
  CHECK(caught([] { fbeta({.beta = 0}); }).code == "value.beta");
  CHECK(caught([] { fbeta({.eps = -1}); }).code == "value.metric_eps");
  CHECK(caught([] {
          fbeta(torch::zeros({1, 2}), torch::zeros({1, 2}), {.thresh = kNoNumber});
        }).code == "value.thresh");
  CHECK(caught([] { accuracy_thresh({.thresh = kNoNumber}); }).code == "value.thresh");
  CHECK(caught([] { dice({.eps = kNoNumber}); }).code == "value.metric_eps");
  CHECK(caught([] { FBeta({.beta = -1}); }).code == "value.beta");
  CHECK(caught([] { Precision({.eps = kNoNumber}); }).code == "value.metric_eps");
  CHECK(caught([] { MultiLabelFbeta({.thresh = kInf}); }).code == "value.thresh");
  const auto binary = caught([] { MultiLabelFbeta({.average = MetricAverage::kBinary}); });
  CHECK(binary.code == "value.average");
  CHECK(binary.message ==
        "average of MultiLabelFbeta: expected kMicro, kMacro, kWeighted or kNone, found kBinary");
}

TEST_CASE("outputs and targets that do not fit are refused") {
  const auto x = torch::zeros({4, 3}), labels = torch::zeros({4, 2}, torch::kLong);
  const std::vector<Metric> metrics = {
      accuracy, top_k_accuracy(),  Precision(), fbeta,        accuracy_thresh, MultiLabelFbeta(),
      dice,     foreground_acc(0), AUROC(),     Perplexity(), RMSE(),          auc_roc_score};
  for (const auto& metric : metrics) {
    INFO(metric.name());
    CHECK(caught([&] { metric(x, labels); }).code == "value.metric_shape");
    CHECK(caught([&] { metric(x.slice(0, 0, 0), labels.slice(0, 0, 0)); }).code ==
          "value.metric_shape");
  }
  CHECK(caught([&] { accuracy(x, labels); }).message ==
        "accuracy: expected outputs N x ... x classes and targets N x ... of class indices, found "
        "outputs of shape [4, 3] and targets of shape [4, 2]; use a metric that fits the labels");
}

TEST_CASE("cross-entropy over pixels has one loss per image") {
  const auto x = torch::randn({2, 3, 4, 5}), y = torch::randint(3, {2, 1, 4, 5});
  const auto loss = cross_entropy({.axis = 1});
  const auto each = loss.unreduced(x, y);
  REQUIRE(each.sizes() == torch::IntArrayRef({2}));
  CHECK(loss(x, y).item<double>() == Approx(each.mean().item<double>()).epsilon(1e-5));
  CHECK(loss(x, y).item<double>() ==
        Approx(torch::nn::functional::cross_entropy(x, y.squeeze(1)).item<double>()).epsilon(1e-5));
  CHECK(torch::allclose(loss.activate(x).sum(1), torch::ones({2, 4, 5})));
}

TEST_CASE("a class without weight does not count in the loss of a batch") {
  const auto x = torch::tensor({{2.f, 0.f}, {0.f, 0.f}});
  const auto loss = cross_entropy({.weight = torch::tensor({0.f, 3.f})});
  CHECK(loss(x, classes({0, 1})).item<double>() == Approx(std::log(2)));
  CHECK(loss.unreduced(x, classes({0, 1}))[0].item<double>() == 0);
}

TEST_CASE("classes of several weigh in the loss as they are told") {
  const auto x = torch::tensor({{1.f, -2.f}, {0.5f, 3.f}}),
             y = torch::tensor({{1.f, 0.f}, {0.f, 1.f}});
  // -log p of each answer.
  const auto of = [](double logit, bool is) { return std::log1p(std::exp(is ? -logit : logit)); };
  const auto loss = bce_with_logits({.weight = torch::tensor({2.f, 0.5f})});
  CHECK(loss.unreduced(x, y)[0].mean().item<double>() ==
        Approx((2 * of(1, true) + 0.5 * of(-2, false)) / 2));
  const auto rare = bce_with_logits({.pos_weight = torch::tensor({3.f, 5.f}, torch::kFloat64)});
  CHECK(rare.unreduced(x, y)[1].mean().item<double>() ==
        Approx((of(0.5, false) + 5 * of(3, true)) / 2));
  CHECK(rare(x, y).item<double>() ==
        Approx((3 * of(1, true) + of(-2, false) + of(0.5, false) + 5 * of(3, true)) / 4));
  // Smoothed: a 1 is 0.9 and a 0 is 0.1.
  const auto smooth = bce_with_logits({.eps = 0.2});
  CHECK(smooth.unreduced(x, y)[0][0].item<double>() ==
        Approx(0.9 * of(1, true) + 0.1 * of(1, false)));
  CHECK(caught([] { bce_with_logits({.eps = 1}); }).code == "value.eps");
  CHECK(caught([] { bce_with_logits({.weight = torch::ones({2, 2})}); }).code == "value.loss");
  CHECK(caught([] { bce_with_logits({.pos_weight = classes({1, 2})}); }).code == "value.loss");
  CHECK(caught([&] { bce_with_logits({.weight = torch::ones({3})})(x, y); }).code == "value.loss");
}

TEST_CASE("empty functions are refused where they are given") {
  CHECK(caught([] { Metric("mine", Metric::Function{}); }).code == "value.metric");
  CHECK(caught([] { Metric("mine", Metric::Factory{}); }).code == "value.metric");
  CHECK(caught([] { Loss("mine", nullptr); }).code == "value.loss");
  const auto x = torch::zeros({2, 3}), y = torch::zeros({2}, torch::kLong);
  CHECK(caught([&] { Loss{}(x, y); }).code == "value.loss");
  CHECK_FALSE(static_cast<bool>(Loss{}));
  const Metric none("mine", Metric::Factory([] { return std::unique_ptr<MetricState>(); }));
  CHECK(caught([&] { none.start(); }).code == "value.metric");
  const Metric vector("mine", [](const torch::Tensor& out, const torch::Tensor&) { return out; });
  const auto many = caught([&] { vector(x, y); });
  CHECK(many.code == "value.metric");
  CHECK(many.message.find("mine") != std::string::npos);
  const Metric undefined(
      "mine", [](const torch::Tensor&, const torch::Tensor&) { return torch::Tensor(); });
  CHECK(caught([&] { undefined(x, y); }).code == "value.metric");
}

TEST_CASE("what a function of the user's own throws arrives as an error") {
  const auto x = torch::zeros({2, 3}), y = torch::zeros({2}, torch::kLong);
  const auto fails = [](const torch::Tensor&, const torch::Tensor&) -> torch::Tensor {
    throw std::logic_error("mine");
  };
  const auto shapes = [](const torch::Tensor& out, const torch::Tensor&) { return out.mm(out); };
  CHECK(caught([&] { Metric("mine", fails)(x, y); }).code == "core.unexpected");
  CHECK(caught([&] { Metric("mine", shapes)(x, y); }).code == "train.failed");
  CHECK(caught([&] { Loss("mine", fails)(x, y); }).code == "core.unexpected");
  CHECK(caught([&] { Loss("mine", shapes).unreduced(x, y); }).code == "train.failed");
  CHECK(caught([&] {
          Loss("mine", shapes, [](const torch::Tensor& out) { return out.mm(out); }).activate(x);
        }).code == "train.failed");
  // A class that the outputs do not have.
  CHECK(caught([&] { cross_entropy()(x, y + 7); }).code == "train.failed");
}

TEST_CASE("losses refuse targets that are not theirs") {
  const auto x = torch::zeros({4, 3});
  const auto code = [&](const Loss& loss, const torch::Tensor& y) {
    return caught([&] { loss(x, y); }).code;
  };
  const auto numbers = torch::full({4}, 1.7f), labels = torch::zeros({4, 2}, torch::kLong);
  for (const auto& loss : {cross_entropy(), label_smoothing_cross_entropy()}) {
    CHECK(code(loss, numbers) == "value.loss_input");  // never cut to whole numbers
    CHECK(code(loss, labels) == "value.loss_input");
    CHECK(code(loss, {}) == "value.loss_input");
    CHECK(std::isfinite(loss(x, classes({0, 1, 2, 0}).to(torch::kInt)).item<double>()));
  }
  CHECK(code(bce_with_logits(), labels) == "value.loss_input");
  CHECK(code(mse_loss(), labels) == "value.loss_input");
  CHECK(code(cross_entropy({.axis = 5}), classes({0, 1, 2, 0})) == "value.loss_input");
  CHECK(code(cross_entropy({.weight = torch::ones({2})}), classes({0, 1, 2, 0})) == "value.loss");
  CHECK(caught([] { cross_entropy({.weight = torch::ones({2, 2})}); }).code == "value.loss");
  CHECK(caught([&] { cross_entropy()(x, numbers); }).message ==
        "cross-entropy: expected class indices (whole numbers) as targets, found outputs Float [4, "
        "3] and targets "
        "Float [4]; use a loss that fits the labels");
  // As fastai's flattened loss: a column of outputs beside a vector of targets.
  CHECK(bce_with_logits()(torch::zeros({4, 1}), torch::zeros({4})).item<double>() ==
        Approx(std::log(2)));
}

TEST_CASE("figures do not depend on the default dtype") {
  struct DoubleByDefault {
    caffe2::TypeMeta former = c10::get_default_dtype();
    DoubleByDefault() { c10::set_default_dtype(caffe2::TypeMeta::Make<double>()); }
    ~DoubleByDefault() { c10::set_default_dtype(former); }
  };
  const auto x = torch::tensor({2.f, -1.f, 0.f, 0.f, 1.f, 3.f}, torch::kFloat32).reshape({2, 3});
  const auto y = classes({0, 1}), labels = torch::tensor({1, 0, 0, 0, 1, 1}).reshape({2, 3});
  const auto figures = [&] {
    std::vector<double> values{accuracy(x, y).item<double>(), fbeta(x, labels).item<double>()};
    for (const auto& metric : {Precision(), MatthewsCorreff(), KappaScore(), AUROC(), Perplexity(),
                               MultiLabelFbeta(), top_k_accuracy(2)}) {
      const bool several = metric.name() == "multi_label_fbeta";
      values.push_back(metric(x, several ? labels : y));
    }
    for (const auto& loss : {cross_entropy(), label_smoothing_cross_entropy()}) {
      CHECK(loss(x, y).scalar_type() == torch::kFloat32);
      values.push_back(loss(x, y).item<double>());
    }
    return values;
  };
  CapturedLog log;
  const auto want = figures();
  const DoubleByDefault guard;
  const auto found = figures();
  REQUIRE(found.size() == want.size());
  for (std::size_t i = 0; i < want.size(); ++i) {
    INFO(i);
    CHECK((found[i] == want[i] || (std::isnan(found[i]) && std::isnan(want[i]))));
  }
}
