// Interpretation of items without one class each, and of sets without items.
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>

#include <fmt/format.h>

#include "fastcpp/interpret/classification.hpp"
#include "fastcpp/vision/image_data_bunch.hpp"
#include "interpret/titles.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace nn = torch::nn;

namespace {

// A learner over pictures whose labels are of any kind.
Learner pictured_learner(const Path& folder, std::size_t n, LabelKind kind) {
  const std::vector<std::string> classes{"cat", "dog", "pug"};
  std::vector<Path> files;
  std::vector<std::int64_t> y;
  for (std::size_t i = 0; i < n; ++i) {
    files.push_back(folder / fmt::format("picture_{}.png", i));
    Image::from_tensor(torch::rand({3, 2, 2})).save(files.back());
    y.push_back(static_cast<std::int64_t>(i % 3));
  }
  const LabelList list(files, y, classes);
  const auto set = std::make_shared<ImageDataset>(list, TfmList{}, ApplyTfmsOptions{});
  const auto data = DataBunch::create(
      {set, set, nullptr, nullptr}, folder,
      {.num_workers = 0, .device = torch::kCPU, .kind = kind, .classes = classes});
  return Learner(data, Model(nn::Sequential(nn::Identity())), {.silent = true});
}

bool has(const std::vector<std::string>& texts, const std::string& text) {
  return std::find(texts.begin(), texts.end(), text) != texts.end();
}

void check_no_classes(const ClassificationInterpretation& interp) {
  CHECK_FALSE(interp.pred_class().defined());
  CHECK(caught([&] { interp.confusion_matrix(); }).code == "data.not_classes");
  CHECK(caught([&] { interp.most_confused(); }).code == "data.not_classes");
  const auto error = caught([&] { interp.plot_confusion_matrix(); });
  CHECK(error.code == "data.not_classes");
  CHECK(error.message.find("plot_confusion_matrix needs items of one class each") !=
        std::string::npos);
  CHECK(caught([&] { interp.GradCAM(0); }).code == "data.not_classes");
  CHECK(caught([&] { interp.plot_top_losses(1, {.heatmap = true}); }).code == "data.not_classes");
  CHECK(interp.top_losses(1).indices == std::vector<std::int64_t>{1});
}

}  // namespace

TEST_CASE("numbers have top losses, but no confusion") {
  TempDir dir;
  const ClassificationInterpretation interp(pictured_learner(dir.path(), 2, LabelKind::kFloat),
                                            torch::tensor({1.5f, 2.f}), torch::tensor({1.f, 4.f}),
                                            torch::tensor({0.25f, 4.f}));
  check_no_classes(interp);
  const auto texts = titles(interp.plot_top_losses(2));
  CHECK(has(texts, "Prediction/Actual/Loss"));
  CHECK(has(texts, "2.00/4.00 / 4.00"));
  CHECK(has(texts, "1.50/1.00 / 0.25"));
}

TEST_CASE("several labels an item have top losses, but no confusion") {
  TempDir dir;
  const ClassificationInterpretation interp(
      pictured_learner(dir.path(), 2, LabelKind::kMultiCategory),
      torch::tensor({{.9f, .1f, .8f}, {.1f, .2f, .3f}}),
      torch::tensor({{1.f, 0.f, 1.f}, {0.f, 1.f, 0.f}}),
      torch::tensor({{.25f, .25f, .25f}, {1.f, 2.f, 3.f}}));
  check_no_classes(interp);
  CHECK(has(titles(interp.plot_top_losses(2)), "cat;pug/cat;pug / 0.25"));
  CHECK(has(titles(interp.plot_top_losses(2)), "/dog / 2.00"));
}

TEST_CASE("top losses name their files on request") {
  TempDir dir;
  const ClassificationInterpretation interp(pictured_learner(dir.path(), 2, LabelKind::kCategory),
                                            torch::eye(3).slice(0, 0, 2), torch::tensor({0, 1}),
                                            torch::tensor({0.5f, 1.f}));
  CHECK_FALSE(has(titles(interp.plot_top_losses(2)), "picture_1.png"));
  const auto named = interp.plot_top_losses(2, {.show_names = true, .dpi = 50});
  CHECK(has(titles(named), "picture_1.png"));
  CHECK(named.pixel_width() == 600);
  const auto only = titles(interp.plot_top_losses(1, {.show_text = false, .show_names = true}));
  CHECK(has(only, "picture_1.png"));
  CHECK(only.size() == 2);
}

TEST_CASE("what does not fit together is refused, and what is empty says so") {
  TempDir dir;
  const auto learn = pictured_learner(dir.path(), 3, LabelKind::kCategory);
  const auto make = [&](torch::Tensor preds, torch::Tensor y, torch::Tensor losses) {
    return ClassificationInterpretation(learn, preds, y, losses);
  };
  const auto code = [&](torch::Tensor preds, torch::Tensor y, torch::Tensor losses) {
    return caught([&] { make(preds, y, losses); }).code;
  };
  const auto preds = torch::rand({2, 3}), losses = torch::rand({2});
  CHECK(code(preds, torch::tensor({0, 3}), losses) == "value.class_index");
  CHECK(code(preds, torch::tensor({-1, 0}), losses) == "value.class_index");
  CHECK(code(preds, torch::tensor({0}), losses) == "value.length");
  CHECK(code(preds, torch::tensor({0, 1}), {}) == "value.undefined_tensor");
  const auto empty = make(torch::empty({0, 3}), torch::empty({0}, torch::kLong), torch::empty({0}));
  CHECK(caught([&] { empty.plot_top_losses(9); }).code == "data.empty");
  CHECK(empty.top_losses().indices.empty());
  CHECK(empty.confusion_matrix().sum().item<std::int64_t>() == 0);
  CHECK(empty.most_confused().empty());
  CHECK(empty.plot_confusion_matrix({.normalize = true}).png().starts_with("\x89PNG"));
  CHECK(caught([&] { empty.plot_confusion_matrix({.norm_dec = 400}); }).code ==
        "value.plot_option");
  // More outputs than the data have classes: the further ones have numbers.
  const auto wide = make(torch::eye(5).slice(0, 2, 4), torch::tensor({0, 4}), losses);
  CHECK(wide.confusion_matrix().size(0) == 5);
  CHECK(wide.most_confused()[0].predicted == "pug");
  CHECK(wide.most_confused()[1].predicted == "3");
  CHECK(wide.plot_confusion_matrix().png().starts_with("\x89PNG"));
}
