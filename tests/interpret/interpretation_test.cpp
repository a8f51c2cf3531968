#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>

#include <cmath>

#include "fastcpp/interpret/classification.hpp"
#include "fastcpp/vision/cnn_learner.hpp"
#include "fastcpp/vision/image_data_bunch.hpp"
#include "plot/layout.hpp"
#include "plot/model.hpp"
#include "support/catch.hpp"
#include "support/deviation.hpp"
#include "support/golden.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace nn = torch::nn;

namespace {

torch::Tensor tensor(const Array& a) {
  return torch::tensor(a.values, torch::kFloat64).reshape(a.shape).to(torch::kFloat32);
}

torch::Tensor matrix(const Json& rows) {
  if (rows.is_object()) return tensor(array(rows));
  std::vector<double> all;
  for (const auto& row : rows) {
    for (double value : numbers(row)) all.push_back(value);
  }
  return torch::tensor(all, torch::kFloat64)
      .reshape({static_cast<std::int64_t>(rows.size()), -1})
      .to(torch::kFloat32);
}

// A learner whose model hands its inputs on: the golden outputs are its data.
Learner echo(const torch::Tensor& outputs, const torch::Tensor& targets, const Json& item,
             const Path& path) {
  auto set = std::make_shared<TensorDataset>(outputs, targets);
  auto data = DataBunch::create({set, set, nullptr, nullptr}, path,
                                {.bs = item.at("batch_size").get<std::int64_t>(),
                                 .num_workers = 0,
                                 .device = torch::kCPU,
                                 .classes = item.at("classes").get<std::vector<std::string>>()});
  return Learner(data, Model(nn::Sequential(nn::Identity())), {.silent = true});
}

// The same predictions over pictures that do not matter, for the figures.
ClassificationInterpretation pictured(const ClassificationInterpretation& interp, const Json& item,
                                      const Path& folder) {
  const auto file = folder / "any.png";
  Image::from_tensor(torch::rand({3, 2, 2})).save(file);
  const auto y = item.at("targets").get<std::vector<std::int64_t>>();
  const LabelList list(std::vector<Path>(y.size(), file), y,
                       item.at("classes").get<std::vector<std::string>>());
  const auto set = std::make_shared<ImageDataset>(list, TfmList{}, ApplyTfmsOptions{});
  const auto data =
      DataBunch::create({set, set, nullptr, nullptr}, folder,
                        {.num_workers = 0, .device = torch::kCPU, .classes = list.classes()});
  return {Learner(data, Model(nn::Sequential(nn::Identity())), {.silent = true}), interp.preds(),
          interp.y_true(), interp.losses()};
}

void check_matrix_figure(const ClassificationInterpretation& interp, bool normalize,
                         const Json& values, const Json& texts, Deviation& deviation) {
  const auto figure = interp.plot_confusion_matrix({.normalize = normalize});
  const auto layout = plot_detail::layout_of(figure);
  const auto& cells = std::get<plot_detail::Matrix>(layout.axes.at(0).model->items.at(0));
  std::size_t i = 0;
  for (std::size_t row = 0; row < values.size(); ++row) {
    for (std::size_t col = 0; col < values[row].size(); ++col, ++i) {
      CHECK(deviation(cells.values.at(i), number(values[row][col])) <= 1e-5);
      CHECK(cells.texts.at(i) == texts[row][col].get<std::string>());
    }
  }
  CHECK(i == cells.values.size());
}

void check_titles(const ClassificationInterpretation& interp, const Json& want) {
  const auto figure = interp.plot_top_losses(want.at("k").get<std::int64_t>(),
                                             {.largest = want.at("largest").get<bool>()});
  const auto layout = plot_detail::layout_of(figure);
  const auto& grid = want.at("grid");
  CHECK(layout.axes.size() == grid[0].get<std::size_t>() * grid[1].get<std::size_t>());
  std::vector<std::string> titles;
  for (const auto& axes : layout.axes) {
    if (!axes.model->items.empty()) titles.push_back(axes.model->title);
  }
  CHECK(titles == want.at("titles").get<std::vector<std::string>>());
}

}  // namespace

TEST_CASE("predictions, losses and confusion as the reference computes them") {
  Deviation probabilities("interpretation/preds"), item_losses("interpretation/losses"),
      counted("interpretation/confusion_matrix"), top_values("interpretation/top_losses"),
      normalized("interpretation/normalized");
  const auto largest = [](const torch::Tensor& got, const torch::Tensor& want) {
    return (got - want).abs().max().item<double>();
  };
  for (const auto& item : golden("interpretation.json").at("cases")) {
    INFO(item.at("name").get<std::string>());
    TempDir dir;
    const auto targets = torch::tensor(item.at("targets").get<std::vector<std::int64_t>>());
    const auto interp = ClassificationInterpretation::from_learner(
        echo(matrix(item.at("outputs")), targets, item, dir.path()));
    const auto preds = matrix(item.at("preds"));
    REQUIRE(interp.preds().sizes() == preds.sizes());
    CHECK(probabilities.add(largest(interp.preds(), preds),
                            static_cast<std::size_t>(preds.numel())) <= 1e-5);
    CHECK(torch::equal(interp.pred_class(),
                       torch::tensor(item.at("pred_class").get<std::vector<std::int64_t>>())));
    const auto losses = numbers(item.at("losses"));
    REQUIRE(static_cast<std::size_t>(interp.losses().numel()) == losses.size());
    for (std::size_t i = 0; i < losses.size(); ++i) {
      CHECK(item_losses(interp.losses()[static_cast<std::int64_t>(i)].item<double>(), losses[i]) <=
            1e-5 * std::max(1.0, std::abs(losses[i])));
    }
    const auto counts = interp.confusion_matrix();
    const auto want_counts = matrix(item.at("confusion_matrix"));
    REQUIRE(counts.sizes() == want_counts.sizes());
    CHECK(counted.add(largest(counts.to(torch::kFloat32), want_counts),
                      static_cast<std::size_t>(counts.numel())) == 0);
    for (const auto& want : item.at("most_confused")) {
      const auto pairs = interp.most_confused(want.at("min_val").get<std::int64_t>());
      REQUIRE(pairs.size() == want.at("result").size());
      for (std::size_t i = 0; i < pairs.size(); ++i) {
        CHECK(pairs[i].actual == want.at("result")[i][0].get<std::string>());
        CHECK(pairs[i].predicted == want.at("result")[i][1].get<std::string>());
        CHECK(pairs[i].count == want.at("result")[i][2].get<std::int64_t>());
      }
    }
    check_matrix_figure(interp, false, item.at("confusion_matrix"), item.at("cell_text"), counted);
    check_matrix_figure(interp, true, item.at("normalized"), item.at("cell_text_normalized"),
                        normalized);
    const auto with_pictures = pictured(interp, item, dir.path());
    for (const auto& want : item.at("top_losses")) {
      if (want.contains("titles")) check_titles(with_pictures, want);
      std::optional<std::int64_t> k;
      if (!want.at("k").is_null()) k = want.at("k").get<std::int64_t>();
      const auto top = interp.top_losses(k, {.largest = want.at("largest").get<bool>()});
      CHECK(top.indices == want.at("indices").get<std::vector<std::int64_t>>());
      const auto values = numbers(want.at("losses"));
      for (std::size_t i = 0; i < values.size(); ++i) {
        CHECK(top_values(top.losses[static_cast<std::int64_t>(i)].item<double>(), values[i]) <=
              1e-5 * std::max(1.0, std::abs(values[i])));
      }
    }
    CHECK(interp.plot_confusion_matrix({.normalize = true}).png().starts_with("\x89PNG"));
    CHECK(caught([&] { interp.plot_top_losses(4); }).code == "data.no_pictures");
  }
}

TEST_CASE("confused pairs print as fastai prints them") {
  CHECK(to_string(std::vector<Confusion>{}) == "[]");
  CHECK(to_string({{"British_Shorthair", "Russian_Blue", 5}, {"Ragdoll", "Birman", 3}}) ==
        "[('British_Shorthair', 'Russian_Blue', 5), ('Ragdoll', 'Birman', 3)]");
}

TEST_CASE("a stop token ends the interpretation between two batches") {
  TempDir dir;
  const auto set = std::make_shared<TensorDataset>(torch::eye(3), torch::arange(3));
  const auto data = DataBunch::create(
      {set, set, nullptr, nullptr}, dir.path(),
      {.bs = 1, .num_workers = 0, .device = torch::kCPU, .classes = {"a", "b", "c"}});
  const Learner learn(data, Model(nn::Sequential(nn::Identity())), {.silent = true});
  std::stop_source source;
  int batches = 0;
  const auto error = caught([&] {
    ClassificationInterpretation::from_learner(learn, {.activ =
                                                           [&](const torch::Tensor& x) {
                                                             if (++batches == 2)
                                                               source.request_stop();
                                                             return x;
                                                           },
                                                       .stop = source.get_token()});
  });
  CHECK(error.code == "train.stopped");
  CHECK(batches == 2);
}
