// The page that a learner writes about itself, and the figures behind it.
#include "fastcpp/interpret/report.hpp"

#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/dropout.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/pooling.h>
#include <torch/utils.h>

#include <fmt/format.h>

#include <limits>

#include "fastcpp/core/text.hpp"
#include "fastcpp/interpret/calibration.hpp"
#include "fastcpp/vision/image_data_bunch.hpp"
#include "fastcpp/vision/models/models.hpp"
#include "interpret/page.hpp"
#include "plot/layout.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace nn = torch::nn;

namespace {

using Texts = std::vector<std::string>;

const Texts kClasses{"<b>&\"", "it's", "plain"};
constexpr std::int64_t kItems = 12;

std::vector<Path> draw_report_pictures(const Path& folder) {
  torch::manual_seed(1);
  std::vector<Path> files;
  for (std::int64_t i = 0; i < kItems; ++i) {
    // Names that would break a page, one of them no UTF-8.
    files.push_back(folder / fmt::format("<i>&\"'{}{}.png", i == 0 ? "\xff" : "", i));
    Image::from_tensor(torch::rand({3, 32, 40})).save(files.back());
  }
  return files;
}

DataBunch report_bunch(const Path& folder, const std::shared_ptr<const Labels>& labels) {
  const auto set =
      std::make_shared<ImageDataset>(LabelList(draw_report_pictures(folder), labels),
                                     TfmList{crop_pad()}, ApplyTfmsOptions{.size = 32});
  auto data = DataBunch::create({set, set, nullptr, nullptr}, folder,
                                {.bs = 4,
                                 .num_workers = 0,
                                 .device = torch::kCPU,
                                 .seed = 1,
                                 .kind = labels->kind(),
                                 .labels = labels->take({})});
  data.normalize_with(Stats{{0.5, 0.5, 0.5}, {0.25, 0.25, 0.25}});
  return data;
}

DataBunch classes_bunch(const Path& folder) {
  std::vector<std::int64_t> y;
  for (std::int64_t i = 0; i < kItems; ++i) y.push_back(i % 3);
  return report_bunch(folder, std::make_shared<CategoryList>(y, ClassNames(kClasses)));
}

// A body that leaves 8 x 8 places, and a head.
Model network(std::int64_t outputs) {
  torch::manual_seed(3);
  const auto body = models::Stack::from(
      nn::Sequential(nn::Conv2d(nn::Conv2dOptions(3, 4, 3).stride(4).padding(1)), nn::ReLU()));
  const auto head = models::Stack::from(nn::Sequential(nn::AdaptiveAvgPool2d(1), nn::Flatten(),
                                                       nn::Dropout(0.5), nn::Linear(4, outputs)));
  return Model(nn::Sequential(body, head));
}

Learner report_learner(const DataBunch& data, std::int64_t outputs,
                       std::vector<Metric> metrics = {}) {
  return Learner(data, network(outputs), {.metrics = std::move(metrics), .silent = true});
}

}  // namespace

TEST_CASE("a report tells of data, model, training and results, in one file") {
  TempDir dir;
  auto learn = report_learner(classes_bunch(dir.path()), 3, {accuracy});
  learn.lr_find({.num_it = 20});
  learn.fit(2, 1e-2);
  learn.fit_one_cycle(1, 1e-3);
  learn.model()->train();
  const auto before = learn.model()->parameters()[0].clone();
  const auto file = learn.report();
  CHECK(file == dir.path() / "report.html");
  const auto html = read_file(file);
  check_page(html);
  for (const char* id : {"summary", "data", "batch", "model", "training", "lr", "confusion",
                         "top-losses", "classes", "calibration", "timings"}) {
    INFO(id);
    CHECK(has_section(html, id));
  }
  CHECK_FALSE(has_section(html, "numbers"));
  CHECK(has_part(html, "<title>Training report</title>"));
  // Two fits with three epochs, and the search is none of them.
  CHECK(has_part(html, "<h3>Fit 2</h3>"));
  CHECK_FALSE(has_part(html, "<h3>Fit 3</h3>"));
  CHECK(has_part(html, "<dt>Epochs trained</dt><dd>3</dd>"));
  CHECK(has_part(html, fmt::format("{:.6f}", learn.recorder().history[0].train_loss)));
  CHECK(has_part(html, "aria-label=\"Metric accuracy by epoch"));
  CHECK(has_part(html, "Loss against learning rate."));
  // Each picture of the first batch, each top loss with its heat map.
  CHECK(count(html, "alt=\"Training picture of ") == 4);
  CHECK(count(html, "alt=\"The same with the places that speak for ") +
            count(html, "no place speaks for the actual class") ==
        kItems);
  CHECK(count(html, "<ol class=\"cards\">") == 1);
  // Nothing of the learner has changed.
  CHECK(torch::equal(learn.model()->parameters()[0], before));
  for (const auto& module : learn.model()->modules()) CHECK(module->is_training());
}

TEST_CASE("the confusion matrix leads to the pictures of each pair") {
  TempDir dir;
  auto learn = report_learner(classes_bunch(dir.path()), 3);
  const auto html = page_of(learn, {.top_losses = 0, .pair_pictures = 2});
  check_page(html);
  CHECK_FALSE(has_section(html, "top-losses"));
  const auto interp = ClassificationInterpretation::from_learner(learn);
  const auto matrix = interp.confusion_matrix();
  std::int64_t cells = 0;
  for (std::int64_t i = 0; i < 3; ++i) {
    for (std::int64_t j = 0; j < 3; ++j) {
      const auto n = matrix[i][j].item<std::int64_t>();
      const auto id = fmt::format("pair-{}-{}", i, j);
      INFO(id);
      CHECK(has_part(html, fmt::format("<a href=\"#{}\"", id)) == (n > 0));
      if (n == 0) continue;
      ++cells;
      const auto actual = html_text(kClasses[static_cast<std::size_t>(i)]),
                 predicted = html_text(kClasses[static_cast<std::size_t>(j)]);
      CHECK(has_part(
          html, i == j ? fmt::format("aria-label=\"{} recognised: {}\">{}</a>", actual, n, n)
                       : fmt::format("aria-label=\"{} taken for {}: {}\">{}</a>", actual, predicted,
                                     n, n)));
      const auto at = html.find(fmt::format(" id=\"{}\"", id));
      REQUIRE(at != std::string::npos);
      const auto block = html.substr(at, html.find(i == j ? "</template>" : "</details>", at) - at);
      CHECK(count(block, "<img ") == static_cast<std::size_t>(std::min<std::int64_t>(2, n)));
      if (n > 2) CHECK(has_part(block, fmt::format("and {} more", n - 2)));
    }
  }
  CHECK(cells >= 2);
  const auto most = interp.most_confused();
  REQUIRE_FALSE(most.empty());
  const auto list = html.find("<h3>Most confused pairs</h3>");
  CHECK(html.find(html_text(fmt::format("{} taken for {}: {}", most[0].actual, most[0].predicted,
                                        most[0].count)),
                  list) == html.find(" taken for ", list) - html_text(most[0].actual).size());
}

TEST_CASE("names cannot break a report") {
  TempDir dir;
  auto learn = report_learner(classes_bunch(dir.path()), 3);
  const auto html = page_of(learn, {.title = "</title><script>alert(1)</script>&"});
  check_page(html);
  CHECK(has_part(html, "<title>&lt;/title&gt;&lt;script&gt;alert(1)"));
  CHECK_FALSE(has_part(html, "<script>alert"));
  CHECK_FALSE(has_part(html, "<b>&\""));
  CHECK_FALSE(has_part(html, "<i>&"));
  CHECK(has_part(html, "&lt;b&gt;&amp;&quot;"));
  CHECK(has_part(html, "&lt;i&gt;&amp;&quot;&#39;3.png"));
  CHECK(has_part(html, "&lt;i&gt;&amp;&quot;&#39;\uFFFD0.png"));
  CHECK_FALSE(has_part(html, dir.path().string()));
}

TEST_CASE("a learner that was never trained has a report") {
  TempDir dir;
  auto learn = report_learner(classes_bunch(dir.path()), 3);
  const auto html = page_of(learn);
  check_page(html);
  CHECK(has_part(html, "No fit was recorded: the model is as it was given."));
  CHECK_FALSE(has_section(html, "lr"));
  CHECK(has_section(html, "confusion"));
  CHECK_FALSE(has_part(html, "Epochs trained"));
}

TEST_CASE("a network that broke has a report too") {
  TempDir dir;
  auto learn = report_learner(classes_bunch(dir.path()), 3, {accuracy});
  learn.fit(1, 1e-2);
  {
    const torch::NoGradGuard no_grad;
    for (auto& parameter : learn.model()->parameters()) {
      parameter.fill_(std::numeric_limits<float>::quiet_NaN());
    }
  }
  CapturedLog log;
  learn.fit(1, 1e-2);
  const auto html = page_of(learn);
  check_page(html);
  CHECK(has_part(html, "<dt>Mean loss</dt><dd>\u2013</dd>"));
  CHECK_FALSE(has_section(html, "calibration"));
}

TEST_CASE("several labels an item have precision and recall, but no confusion") {
  TempDir dir;
  std::vector<std::vector<std::int64_t>> y;
  for (std::int64_t i = 0; i < kItems; ++i) {
    y.push_back(i % 4 == 0 ? std::vector<std::int64_t>{} : std::vector<std::int64_t>{i % 3, 2});
  }
  auto learn = report_learner(
      report_bunch(dir.path(), std::make_shared<MultiCategoryList>(y, ClassNames(kClasses))), 3);
  learn.fit(1, 1e-2);
  const auto html = page_of(learn);
  check_page(html);
  CHECK_FALSE(has_section(html, "confusion"));
  CHECK(has_section(html, "classes"));
  CHECK(has_section(html, "calibration"));
  CHECK(has_part(html, "<p>is <b>none</b></p>"));
  CHECK(has_part(html, "<dt>F1</dt>"));
}

TEST_CASE("numbers have errors and a plot") {
  TempDir dir;
  std::vector<float> y;
  for (std::int64_t i = 0; i < 2 * kItems; ++i) y.push_back(static_cast<float>(i));
  auto learn = report_learner(report_bunch(dir.path(), std::make_shared<FloatList>(y, 2)), 2);
  const auto html = page_of(learn);
  check_page(html);
  CHECK(has_section(html, "numbers"));
  for (const char* id : {"confusion", "classes", "calibration"}) CHECK_FALSE(has_section(html, id));
  const auto preds = learn.get_preds();
  const double mae = (preds.preds - preds.targets).abs().mean().item<double>();
  CHECK(has_part(html, fmt::format("<dt>Mean absolute error</dt><dd>{:.4f}</dd>", mae)));
  CHECK(count(html, "aria-label=\"Predicted against actual numbers.") == 2);
  CHECK(has_part(html, "<h3>Targets</h3>"));
}

TEST_CASE("items that are no pictures, and many classes") {
  TempDir dir;
  constexpr std::int64_t kMany = 70;
  const auto y = torch::arange(2 * kMany) % kMany;
  // Each class is taken for the next one; of the last ten half are right.
  auto outputs = torch::one_hot((y + 1) % kMany, kMany).to(torch::kFloat32);
  outputs.slice(0, kMany - 10, kMany) =
      torch::one_hot(y.slice(0, kMany - 10, kMany), kMany).to(torch::kFloat32);
  Texts classes;
  for (std::int64_t i = 0; i < kMany; ++i) classes.push_back(fmt::format("class {}", i));
  const auto set = std::make_shared<TensorDataset>(outputs, y);
  const auto data =
      DataBunch::create({set, set, nullptr, nullptr}, dir.path(),
                        {.bs = 16, .num_workers = 0, .device = torch::kCPU, .classes = classes});
  Learner learn(data, Model(nn::Sequential(nn::Identity())), {.silent = true});
  const auto html = page_of(learn);
  check_page(html);
  CHECK(has_part(html, "The 60 of 70 classes that take part in the most confusions."));
  CHECK(count(html, "<th scope=\"row\"") == 60);
  CHECK_FALSE(has_part(html, "<img "));
  CHECK(has_part(html, "item 3"));
  CHECK(has_part(html, "All other pairs"));
  // Without a head there are no heat maps; the learner is none of pictures here anyway.
  auto pictured = report_learner(classes_bunch(dir.path()), 3);
  Learner flat(pictured.data(), Model(nn::Sequential(nn::Flatten(), nn::Linear(3 * 32 * 32, 3))),
               {.silent = true});
  const auto page = page_of(flat);
  check_page(page);
  CHECK_FALSE(has_part(page, "The same with the places"));
  CHECK(has_section(page, "top-losses"));
}

TEST_CASE("what a report cannot show it says, and what is wrong it refuses") {
  TempDir dir;
  const auto both = classes_bunch(dir.path());
  const auto set = both.train_dl().dataset();
  const auto train_only = DataBunch::create(
      {set, nullptr, nullptr, nullptr}, dir.path(),
      {.bs = 4, .num_workers = 0, .device = torch::kCPU, .labels = both.labels()});
  auto learn = report_learner(train_only, 3);
  const auto html = page_of(learn);
  check_page(html);
  CHECK(has_part(html, "Without results. There are no items to predict"));
  CHECK_FALSE(has_section(html, "confusion"));
  CHECK(has_section(html, "model"));
  const auto fix = page_of(learn, {.ds_type = DatasetType::Fix});
  CHECK(has_section(fix, "confusion"));

  const auto unlabelled = page_of(learn, {.ds_type = DatasetType::Test});
  check_page(unlabelled);
  CHECK(has_part(unlabelled, "Without results. There are no items to predict"));
  const auto test = std::make_shared<ImageDataset>(
      LabelList(draw_report_pictures(dir.path()), std::make_shared<EmptyLabelList>(kItems)),
      TfmList{crop_pad()}, ApplyTfmsOptions{.size = 32});
  auto with_test = report_learner(
      DataBunch::create(
          {set, nullptr, nullptr, test}, dir.path(),
          {.bs = 4, .num_workers = 0, .device = torch::kCPU, .labels = both.labels()}),
      3);
  CHECK(has_part(page_of(with_test, {.ds_type = DatasetType::Test}),
                 "Without results. These items have no labels"));

  const auto refused = [&](const ReportOptions& options) {
    const auto error = caught([&] { learn.report("refused.html", options); });
    CHECK_FALSE(std::filesystem::exists(dir.path() / "refused.html"));
    return error.code;
  };
  CHECK(refused({.ds_type = DatasetType::Train}) == "value.report");
  CHECK(refused({.top_losses = -1}) == "value.report");
  CHECK(refused({.pair_pictures = 51}) == "value.report");
  CHECK(refused({.picture_size = 8}) == "value.report");
  std::stop_source stop;
  stop.request_stop();
  CHECK(refused({.ds_type = DatasetType::Fix, .stop = stop.get_token()}) == "train.stopped");
  const auto none =
      std::make_shared<TensorDataset>(torch::rand({0, 2}), torch::zeros({0}, torch::kLong));
  Learner empty(DataBunch::create({none, nullptr, nullptr, nullptr}, dir.path(),
                                  {.num_workers = 0, .device = torch::kCPU, .classes = {"a", "b"}}),
                Model(nn::Sequential(nn::Linear(2, 2))), {.silent = true});
  CHECK(caught([&] { empty.report(); }).code == "data.empty");
  write_file(dir / "file", "");
  CHECK(caught([&] { learn.report(dir / "file" / "page.html"); }).code.starts_with("io."));
}

TEST_CASE("a report draws no conclusion from three batches of the finder") {
  TempDir dir;
  auto learn = report_learner(classes_bunch(dir.path()), 3);
  learn.lr_find({.num_it = 3, .stop_div = false});
  CHECK(has_part(read_file(learn.report()), "It ended after 3 batches: too few for a suggestion."));
}

TEST_CASE("a recorder keeps every fit") {
  TempDir dir;
  auto learn = report_learner(classes_bunch(dir.path()), 3, {accuracy});
  learn.fit(2, 1e-2);
  learn.lr_find({.num_it = 7, .stop_div = false});
  learn.fit(0, 1e-2);
  learn.fit(1, 1e-3);
  const auto fits = learn.recorder().fits();
  REQUIRE(fits.size() == 3);
  CHECK(fits[0].history.size() == 2);
  CHECK(fits[0].losses.size() == 6);
  CHECK(fits[0].metric_names == Texts{"accuracy"});
  CHECK_FALSE(fits[0].lr_find);
  CHECK(fits[1].lr_find);
  CHECK(fits[1].lrs.size() == fits[1].losses.size());
  CHECK_FALSE(fits[2].lr_find);
  CHECK(fits[2].losses == learn.recorder().losses);
  CHECK(fits[2].lrs == std::vector<double>(3, 1e-3));
}

TEST_CASE("calibration compares probabilities with what came true") {
  TempDir dir;
  const auto learn = report_learner(classes_bunch(dir.path()), 3);
  const auto preds = torch::tensor(
      {{0.95f, 0.05f, 0.f}, {0.95f, 0.05f, 0.f}, {0.55f, 0.45f, 0.f}, {0.35f, 0.65f, 0.f}});
  const ClassificationInterpretation interp(learn, preds, torch::tensor({0, 1, 0, 0}),
                                            torch::rand({4}));
  const auto found = calibration(interp);
  REQUIRE(found.bins.size() == 10);
  CHECK(found.count == 4);
  CHECK(found.bins[9].count == 2);
  CHECK(found.bins[9].low == Approx(0.9));
  CHECK(found.bins[9].confidence == Approx(0.95));
  CHECK(found.bins[9].accuracy == Approx(0.5));
  CHECK(found.bins[5].count == 1);
  CHECK(found.bins[5].accuracy == Approx(1));
  CHECK(found.bins[6].accuracy == Approx(0));
  CHECK(found.bins[0].count == 0);
  CHECK(found.accuracy == Approx(0.5));
  CHECK(found.confidence == Approx(0.775));
  CHECK(found.ece == Approx(0.5 * 0.45 + 0.25 * 0.45 + 0.25 * 0.65).margin(1e-6));
  CHECK(found.mce == Approx(0.65).margin(1e-6));
  // In one bin only the means differ.
  CHECK(calibration(interp, {.bins = 1}).ece == Approx(0.275).margin(1e-6));
  const auto layout = plot_detail::layout_of(plot_calibration(found));
  bool titled = false;
  for (const auto& box : layout.texts) titled |= box.text == "Expected calibration error 50.0 %";
  CHECK(titled);
  CHECK(plot_calibration({}).png().starts_with("\x89PNG"));

  CHECK(caught([&] { calibration(interp, {.bins = 0}); }).code == "value.bins");
  const ClassificationInterpretation raw(learn, preds * 3, torch::tensor({0, 1, 0, 0}),
                                         torch::rand({4}));
  CHECK(caught([&] { calibration(raw); }).code == "value.probability");
}

TEST_CASE("calibration of several labels looks at each of them, and numbers have none") {
  TempDir dir;
  std::vector<std::vector<std::int64_t>> y(kItems, {0});
  const auto labels = std::make_shared<MultiCategoryList>(y, ClassNames(kClasses));
  const ClassificationInterpretation interp(report_learner(report_bunch(dir.path(), labels), 3),
                                            torch::tensor({{0.9f, 0.2f, 1.f}}),
                                            torch::tensor({{1.f, 0.f, 1.f}}), torch::rand({1, 3}));
  const auto found = calibration(interp);
  CHECK(found.count == 3);
  CHECK(found.ece == Approx((0.1 + 0.2 + 0.) / 3).margin(1e-6));
  const auto numbers = std::make_shared<FloatList>(std::vector<float>(kItems, 1.f));
  TempDir other;
  const ClassificationInterpretation floats(report_learner(report_bunch(other.path(), numbers), 1),
                                            torch::rand({2}), torch::rand({2}), torch::rand({2}));
  CHECK(caught([&] { calibration(floats); }).code == "data.not_classes");
}
