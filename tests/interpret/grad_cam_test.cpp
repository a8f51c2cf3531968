// Class activation maps: beside the reference (forward.json), by hand, and as figures.
#include "fastcpp/interpret/grad_cam.hpp"

#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/pooling.h>
#include <torch/utils.h>

#include <cmath>

#include "fastcpp/interpret/classification.hpp"
#include "fastcpp/vision/cnn_learner.hpp"
#include "fastcpp/vision/image_data_bunch.hpp"
#include "fastcpp/vision/models/cnn_model.hpp"
#include "plot/layout.hpp"
#include "support/catch.hpp"
#include "support/deviation.hpp"
#include "support/golden.hpp"
#include "support/support.hpp"
#include "support/weight_rule.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace nn = torch::nn;

namespace {

torch::Tensor doubles(const Json& rows) {
  std::vector<double> all;
  for (const auto& row : rows) {
    for (double value : numbers(row)) all.push_back(value);
  }
  return torch::tensor(all, torch::kFloat64).reshape({static_cast<std::int64_t>(rows.size()), -1});
}

// A case of forward.json; `relative` is the golden README's tolerance.
void check(const Json& want, torch::ScalarType type, double relative, Deviation& deviation) {
  auto arch = models::find(want.at("arch").get<std::string>());
  arch.init = nullptr;
  auto model = create_cnn_model(arch, want.at("classes"), {.pretrained = false});
  set_weights_by_rule(*model, want.at("weights_key"), want.at("bn_gain"));
  model->to(type);
  const auto x = sgn_tensor(want.at("input_key"), want.at("input"), 2).to(type);
  const auto cls = want.at("class").get<std::int64_t>();
  const auto cam = grad_cam(model, x, cls);
  CHECK(cam.map.scalar_type() == type);
  const auto output = cam.output.to(torch::kFloat64), acts = cam.acts.to(torch::kFloat64),
             weights = cam.weights.to(torch::kFloat64), map = cam.map.to(torch::kFloat64);
  const auto close = [&](double got, const Json& expected, double scale) {
    CHECK(deviation(got / scale, number(expected) / scale) <= relative);
  };
  close(output[cls].item<double>(), want.at("output"), output.abs().max().item<double>());
  // The sum of n values is held to the tolerance of one, times sqrt(n).
  const auto size = [](const torch::Tensor& values) {
    return values.norm().item<double>() * std::sqrt(static_cast<double>(values.numel()));
  };
  close(acts.sum().item<double>(), want.at("acts_sum"), size(acts));
  close(weights.sum().item<double>(), want.at("weights_sum"), size(weights));
  close(weights.square().sum().item<double>(), want.at("weights_sumsq"),
        2 * number(want.at("weights_sumsq")));
  const auto expected = doubles(want.at("map"));
  REQUIRE(map.sizes() == expected.sizes());
  const auto gap = (map - expected).abs().max().item<double>() / expected.max().item<double>();
  CHECK(deviation.add(gap, static_cast<std::size_t>(map.numel())) <= relative);
}

// Body: one 1x1 convolution, in maps of the input's size. Head: mean, then linear.
struct Small {
  nn::Conv2d body{nn::Conv2dOptions(3, 4, 1)};
  nn::Linear linear{4, 2};
  nn::Sequential model{body.ptr(), models::Stack::from(nn::Sequential(
                                       nn::ReLU(nn::ReLUOptions(true)), nn::AdaptiveAvgPool2d(1),
                                       nn::Flatten(), linear))};
};

std::vector<std::string> texts(const Figure& figure) {
  std::vector<std::string> all;
  for (const auto& box : plot_detail::layout_of(figure).texts) all.push_back(box.text);
  return all;
}

}  // namespace

TEST_CASE("class activation maps are the reference's") {
  const auto& cases = golden("forward.json").at("grad_cam");
  REQUIRE(cases.size() > 0);
  Deviation exact("grad_cam/float64"), rounded("grad_cam/float32");
  for (const auto& want : cases) {
    INFO(want.at("arch").get<std::string>());
    check(want, torch::kFloat64, 1e-9, exact);
    check(want, torch::kFloat32, 5e-5, rounded);
  }
}

TEST_CASE("a heat map is the gradient-weighted sum of the last feature maps") {
  torch::manual_seed(1);
  Small net;
  // Known by hand where the ReLU lets everything through: weight / places.
  torch::NoGradGuard no_grad;
  net.body->weight.abs_();
  net.body->bias.fill_(1);
  const auto x = torch::rand({1, 3, 5, 5});
  const auto cam = grad_cam(net.model, x, 1);
  const auto acts = net.body->forward(x)[0];
  const auto weights = net.linear->weight[1] / 25;
  CHECK(torch::allclose(cam.acts, acts));
  CHECK(torch::allclose(cam.weights, weights, 1e-5, 1e-7));
  CHECK(torch::allclose(cam.map, (acts * weights.view({4, 1, 1})).sum(0).relu(), 1e-5, 1e-7));
  CHECK(torch::allclose(cam.output, net.model->forward(x)[0]));
  CHECK(cam.places() == 25);
  CHECK_FALSE(net.body->weight.grad().defined());
  CHECK_FALSE(net.model->is_training());
}

TEST_CASE("heat maps of a model without a body, or of no class") {
  Small net;
  const auto code = [](const Model& model, torch::Tensor x, std::int64_t cls) {
    return caught([&] { grad_cam(model, x, cls); }).code;
  };
  const auto x = torch::rand({1, 3, 5, 5});
  CHECK(code(net.linear, torch::rand({1, 4}), 1) == "train.no_body");
  CHECK(code(nn::Sequential(nn::Flatten(), nn::Linear(75, 2)), x, 1) == "train.no_body");
  CHECK(code(net.model, torch::rand({2, 3, 5, 5}), 1) == "train.no_body");
  CHECK(code(net.model, torch::rand({1, 2, 5, 5}), 1) == "train.failed");
  CHECK(code(net.model, x, 2) == "value.class_index");
  CHECK(code(net.model, x, -1) == "value.class_index");
}

TEST_CASE("figures with heat maps") {
  TempDir dir;
  torch::manual_seed(1);
  std::vector<Path> files;
  std::vector<std::string> labels;
  for (int i = 0; i < 10; ++i) {
    files.push_back(dir.path() / fmt::format("{}.png", i));
    labels.push_back(i % 2 ? "one" : "two");
    Image::from_tensor(torch::rand({3, 8, 8})).save(files.back());
  }
  const auto data = ImageDataBunch::from_lists(dir.path(), files, labels,
                                               {.size = 4,
                                                .bs = 2,
                                                .num_workers = 0,
                                                .device = torch::kCPU,
                                                .valid_pct = 0.4,
                                                .seed = 1})
                        .normalize(imagenet_stats);
  Small net;
  const Learner learn(data, Model(net.model), {.silent = true});
  const auto interp = ClassificationInterpretation::from_learner(learn);
  const auto name = [&](const torch::Tensor& classes, std::int64_t i) {
    return data.classes()[static_cast<std::size_t>(classes[i].item<std::int64_t>())];
  };
  const auto title = fmt::format("pred. class: {}, actual class: {}", name(interp.pred_class(), 3),
                                 name(interp.y_true(), 3));
  const auto figure = interp.GradCAM(3);
  CHECK(texts(figure) == std::vector{title});
  // 4 x 4 = 16 places are just enough.
  const auto plain = interp.GradCAM(3, {.heatmap_thresh = 17});
  CHECK(texts(plain) == std::vector{title});
  CHECK(figure.png() != plain.png());
  CHECK(interp.GradCAM(3, {.image = false}).png() != figure.png());
  CHECK(texts(interp.GradCAM(0, {.ds_type = DatasetType::Fix})).size() == 1);
  CHECK(caught([&] { interp.GradCAM(4); }).code == "value.index");
  CHECK(caught([&] { interp.GradCAM(-1); }).code == "value.index");

  const auto with = interp.plot_top_losses(4, {.heatmap = true}).png();
  const auto without = interp.plot_top_losses(4).png();
  CHECK(with != without);
  CHECK(interp.plot_top_losses(4, {.heatmap = true, .heatmap_thresh = 17}).png() == without);
  CHECK(interp.plot_top_losses(4, {.heatmap = true, .alpha = 0.3}).png() != with);
  CHECK(interp.plot_top_losses(4, {.heatmap = true, .cmap = Colormap::kViridis}).png() != with);
  const TopLossesPlotOptions defaults;
  CHECK((defaults.heatmap_thresh == 16 && defaults.alpha == 0.6 &&
         defaults.cmap == Colormap::kMagma));
  const auto top = interp.top_losses(1);
  const auto worst = top.indices[0];
  CHECK(
      texts(interp.plot_top_losses(1)) ==
      std::vector<std::string>{
          "Prediction/Actual/Loss/Probability",
          fmt::format(
              "{}/{} / {:.2f} / {:.2f}", name(interp.pred_class(), worst),
              name(interp.y_true(), worst), top.losses[0].item<double>(),
              interp.preds()[worst][interp.y_true()[worst].item<std::int64_t>()].item<double>())});
}
