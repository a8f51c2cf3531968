#include <torch/torch.h>

#include <cmath>

#include "fastcpp/interpret/classification.hpp"
#include "fastcpp/vision/cnn_learner.hpp"
#include "support/catch.hpp"
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

}  // namespace

TEST_CASE("predictions, losses and confusion as the reference computes them") {
  for (const auto& item : golden("interpretation.json").at("cases")) {
    INFO(item.at("name").get<std::string>());
    TempDir dir;
    const auto targets = torch::tensor(item.at("targets").get<std::vector<std::int64_t>>());
    const auto interp = ClassificationInterpretation::from_learner(
        echo(matrix(item.at("outputs")), targets, item, dir.path()));
    CHECK(torch::allclose(interp.preds(), matrix(item.at("preds")), 0, 1e-5));
    CHECK(torch::equal(interp.pred_class(),
                       torch::tensor(item.at("pred_class").get<std::vector<std::int64_t>>())));
    const auto losses = numbers(item.at("losses"));
    for (std::size_t i = 0; i < losses.size(); ++i) {
      CHECK(interp.losses()[static_cast<std::int64_t>(i)].item<double>() ==
            Approx(losses[i]).margin(1e-5));
    }
    const auto counts = interp.confusion_matrix();
    CHECK(torch::equal(counts.to(torch::kFloat32), matrix(item.at("confusion_matrix"))));
    for (const auto& want : item.at("most_confused")) {
      const auto pairs = interp.most_confused(want.at("min_val").get<std::int64_t>());
      REQUIRE(pairs.size() == want.at("result").size());
      for (std::size_t i = 0; i < pairs.size(); ++i) {
        CHECK(pairs[i].actual == want.at("result")[i][0].get<std::string>());
        CHECK(pairs[i].predicted == want.at("result")[i][1].get<std::string>());
        CHECK(pairs[i].count == want.at("result")[i][2].get<std::int64_t>());
      }
    }
    for (const auto& want : item.at("top_losses")) {
      std::optional<std::int64_t> k;
      if (!want.at("k").is_null()) k = want.at("k").get<std::int64_t>();
      const auto top = interp.top_losses(k, want.at("largest").get<bool>());
      CHECK(top.indices == want.at("indices").get<std::vector<std::int64_t>>());
      const auto values = numbers(want.at("losses"));
      for (std::size_t i = 0; i < values.size(); ++i) {
        CHECK(top.losses[static_cast<std::int64_t>(i)].item<double>() ==
              Approx(values[i]).margin(1e-5));
      }
    }
    CHECK(interp.plot_confusion_matrix({.normalize = true}).png().starts_with("\x89PNG"));
    CHECK(caught([&] { interp.plot_top_losses(4); }).code == "data.no_pictures");
  }
}

TEST_CASE("a heat map is the gradient-weighted sum of the last feature map") {
  // Body: one 1x1 convolution. Head: mean, then linear. The gradient is known by hand: weight /
  // places.
  torch::manual_seed(1);
  nn::Sequential body(nn::Conv2d(nn::Conv2dOptions(3, 4, 1)));
  nn::Linear linear(4, 2);
  nn::Sequential head(nn::AdaptiveAvgPool2d(1), nn::Flatten(), linear);
  nn::Sequential model;
  struct Part : nn::Module {
    explicit Part(nn::Sequential layers_) : layers(std::move(layers_)) {
      register_module("layers", layers);
    }
    torch::Tensor forward(const torch::Tensor& x) { return layers->forward(x); }
    nn::Sequential layers;
  };
  model->push_back(std::make_shared<Part>(body));
  model->push_back(std::make_shared<Part>(head));
  TempDir dir;
  auto set =
      std::make_shared<TensorDataset>(torch::rand({4, 3, 5, 5}), torch::zeros({4}, torch::kLong));
  Learner learn(DataBunch::create({set, set, nullptr, nullptr}, dir.path(),
                                  {.bs = 2, .num_workers = 0, .device = torch::kCPU}),
                Model(model), {.silent = true});
  const auto x = torch::rand({1, 3, 5, 5});
  const auto map = grad_cam(learn, x, 1);
  torch::NoGradGuard no_grad;
  const auto acts = body->forward(x)[0];
  const auto expected = (acts * (linear->weight[1] / 25).view({4, 1, 1})).sum(0).relu();
  CHECK(torch::allclose(map, expected, 1e-5, 1e-7));
  CHECK_FALSE(grad_cam(learn, x, 1, 26).defined());
  Learner plain(learn.data(), Model(nn::Sequential(nn::Flatten(), nn::Linear(75, 2), nn::ReLU())),
                {.silent = true});
  CHECK(caught([&] { grad_cam(plain, x, 1); }).code == "train.no_body");
}
