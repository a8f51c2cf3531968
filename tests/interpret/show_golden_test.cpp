// Titles of show_batch and show_results beside the reference: section "show" of datablock.json; items of several classes.
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/pooling.h>

#include <algorithm>
#include <sstream>

#include "fastcpp/interpret/classification.hpp"
#include "fastcpp/interpret/dataset_formatter.hpp"
#include "fastcpp/vision/image_list.hpp"
#include "interpret/titles.hpp"
#include "support/catch.hpp"
#include "support/golden.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

// Without the white space that NumPy puts between the numbers of a vector, and the form of their exponents.
std::string digits(std::string text) {
  text.erase(std::remove(text.begin(), text.end(), ' '), text.end());
  return text;
}

// A figure has a text for each line of a title; an empty one has none.
std::vector<std::string> lines_of(const Json& titles) {
  std::vector<std::string> lines;
  for (const auto& title : titles) {
    std::istringstream in(title.get<std::string>());
    for (std::string line; std::getline(in, line);) {
      if (!line.empty()) lines.push_back(line);
    }
  }
  return lines;
}

void check_figure_titles(const Figure& figure, const Json& want) {
  auto got = titles(figure);
  for (const auto& line : lines_of(want)) {
    const auto text = digits(line);
    const auto found = std::find_if(got.begin(), got.end(),
                                    [&](const std::string& x) { return digits(x) == text; });
    CAPTURE(text, got);
    REQUIRE(found != got.end());
    got.erase(found);
  }
}

ImageDataBunch bunch(const Json& file, const Json& item, const Path& folder) {
  write_file(folder / "labels.csv", file["csv"].get<std::string>());
  LabelOptions options;
  const auto& label = item["label"];
  if (label.contains("label_delim")) options.label_delim = label["label_delim"].get<std::string>();
  if (label.contains("label_cls")) options.label_cls = LabelKind::kFloat;
  const auto cols = label["cols"].is_string()
                        ? ColumnIds(label["cols"].get<std::string>())
                        : ColumnIds(label["cols"].get<std::vector<std::string>>());
  return ImageList::from_csv(folder, "labels.csv")
      .split_by_idx(file["valid"].get<std::vector<std::int64_t>>())
      .label_from_df(cols, options)
      .databunch({.bs = 4, .num_workers = 0, .device = torch::kCPU});
}

// A model that gives these outputs for any batch.
Learner answering(const DataBunch& data, const torch::Tensor& outputs) {
  return Learner(data,
                 Model(std::make_shared<torch::nn::IdentityImpl>(),
                       [outputs](const torch::Tensor&) { return outputs; }),
                 {.silent = true});
}

torch::Tensor outputs_of(const Json& rows) {
  std::vector<torch::Tensor> outputs;
  for (const auto& row : rows) outputs.push_back(torch::tensor(numbers(row), torch::kFloat32));
  return torch::stack(outputs);
}

}  // namespace

TEST_CASE("titles of batches and results") {
  const auto& file = golden("datablock.json")["show"];
  TempDir dir;
  for (int i = 0; i < 8; ++i) {
    Image::from_tensor(torch::rand({3, 4, 4})).save(dir / (std::to_string(i) + ".png"));
  }
  CHECK(file["cases"].size() == 4);
  const int rows = file["rows"];
  for (const auto& item : file["cases"]) {
    INFO(item["name"].get<std::string>());
    const auto data = bunch(file, item, dir.path());
    check_figure_titles(data.show_batch({.rows = rows, .ds_type = DatasetType::Valid}),
                        item["show_batch"]);
    check_figure_titles(
        data.show_batch({.rows = rows, .ds_type = DatasetType::Valid, .reverse = true}),
        item["show_batch_reverse"]);
    auto learn = answering(data, outputs_of(item["outputs"]));
    const auto results = learn.show_results(DatasetType::Valid, {.rows = rows});
    check_figure_titles(results, item["show_results"]);
    check_figure_titles(results, Json::array({item["figure_title"]}));
    if (item.contains("show_results_thresh_0.3")) {
      check_figure_titles(learn.show_results(DatasetType::Valid, {.rows = rows, .thresh = 0.3}),
                          item["show_results_thresh_0.3"]);
    }
    // Fewer items than the grid has cells: those that there are.
    CHECK_NOTHROW(learn.show_results(DatasetType::Valid, {.rows = 3}));
    CHECK(caught([&] { learn.show_results(DatasetType::Valid, {.rows = 0}); }).code ==
          "value.rows");
  }
}

TEST_CASE("test items that nobody labelled have no truth in their titles") {
  TempDir dir;
  for (const auto* name : {"cat/1.png", "dog/2.png", "dog/3.png", "test/4.png"}) {
    make_folder((dir / name).parent_path());
    Image::from_tensor(torch::rand({3, 4, 4})).save(dir / name);
  }
  const auto data = ImageList::from_folder(dir.path())
                        .filter_by_folder({"cat", "dog"})
                        .split_by_idx({1})
                        .label_from_folder()
                        .add_test_folder()
                        .databunch({.bs = 2, .num_workers = 0, .device = torch::kCPU});
  CHECK(titles(data.show_batch({.rows = 1, .ds_type = DatasetType::Test})).empty());
  auto learn = answering(data, torch::tensor({{0.f, 2.f}}));
  const auto shown = titles(learn.show_results(DatasetType::Test, {.rows = 1}));
  CHECK(std::count(shown.begin(), shown.end(), "dog") == 1);
  CHECK(std::count(shown.begin(), shown.end(), "cat") == 0);
}

TEST_CASE("results are not told apart by item where items were left out") {
  TempDir dir;
  for (const auto* name : {"cat/1.png", "cat/2.png", "dog/3.png", "dog/4.png"}) {
    make_folder((dir / name).parent_path());
    Image::from_tensor(torch::rand({3, 4, 4})).save(dir / name);
  }
  write_file(dir / "cat/2.png", "no picture");
  CapturedLog log;
  const auto data = ImageList::from_folder(dir.path())
                        .split_by_idxs({0, 1, 2, 3}, {1, 2})
                        .label_from_folder()
                        .add_test({dir / "cat/1.png", dir / "cat/2.png"})
                        .databunch({.bs = 2,
                                    .num_workers = 0,
                                    .device = torch::kCPU,
                                    .no_check = true,
                                    .on_error = OnError::kSkip});
  Learner learn(data,
                Model(torch::nn::Sequential(torch::nn::AdaptiveAvgPool2d(1), torch::nn::Flatten(),
                                            torch::nn::Linear(3, 2))),
                {.silent = true});
  const auto refused = [](auto&& what) {
    const auto error = caught(what);
    CHECK(error.code == "data.left_out");
    CHECK(error.message.find("2.png") != std::string::npos);
  };
  refused([&] { ClassificationInterpretation::from_learner(learn); });
  refused([&] {
    DatasetFormatter::from_similars(learn, {.layer_ls = {0}, .pool = SimilarPool::kNone});
  });
  refused([&] { DatasetFormatter::from_most_unsure(learn, 1); });
}

TEST_CASE("items of several classes whose likeliest class is none of theirs") {
  const auto& file = golden("datablock.json")["show"];
  TempDir dir;
  for (int i = 0; i < 8; ++i) {
    Image::from_tensor(torch::rand({3, 4, 4})).save(dir / (std::to_string(i) + ".png"));
  }
  const auto data = bunch(file, file["cases"][0], dir.path());
  // Labels of the validation set: clear haze; clear; primary clear; primary haze clear.
  auto learn = answering(
      data,
      torch::tensor({{-1.f, 0.f, 3.f}, {-1.f, 2.f, 0.f}, {-1.f, -2.f, 1.f}, {1.f, -1.f, 2.f}}));
  const auto interp = ClassificationInterpretation::from_learner(learn);
  const auto found = interp.plot_multi_top_losses(1);
  CHECK(found.indices == std::vector<std::int64_t>{0, 1});
  CHECK(found.str() == "2 misclassified samples over 4 samples in the validation set.");
  REQUIRE(found.figures.size() == 1);
  // -log(1 - sigmoid(3)) and sigmoid(3).
  check_figure_titles(found.figures[0], Json::array({"Predicted: primary\nActual: clear;haze\n"
                                                     "Loss: 3.049, probability: 0.953"}));
  CHECK(caught([&] { interp.plot_multi_top_losses(21); }).code == "value.samples");
  const auto numbers = bunch(file, file["cases"][1], dir.path());
  auto other = answering(numbers, torch::zeros({4, 1}));
  CHECK(caught([&] {
          ClassificationInterpretation::from_learner(other).plot_multi_top_losses();
        }).code == "data.not_classes");
}
