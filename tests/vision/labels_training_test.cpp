// Trainings on labels that are no single class: a number that pictures show, and two tags a photograph.
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/pooling.h>
#include <torch/utils.h>

#include <opencv2/imgproc.hpp>

#include "fastcpp/train/callbacks/callbacks.hpp"
#include "fastcpp/vision/image_list.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace nn = torch::nn;

namespace {

// A grey disc on a dark field; what is asked for is its radius.
void draw_disc(const Path& file, double radius, Rng& rng) {
  constexpr int kSide = 32;
  cv::Mat pixels(kSide, kSide, CV_8UC3, cv::Scalar::all(20));
  const cv::Point middle(static_cast<int>(rng.integer(12, 20)),
                         static_cast<int>(rng.integer(12, 20)));
  constexpr int kShift = 4;  // sixteenths of a pixel
  cv::circle(pixels, middle * (1 << kShift), static_cast<int>(radius * (1 << kShift)),
             cv::Scalar::all(220), cv::FILLED, cv::LINE_AA, kShift);
  Image::from_rgb(pixels).save(file);
}

}  // namespace

TEST_CASE("a number is learned from pictures") {
  TempDir dir;
  Rng rng(7);
  std::vector<Cell> names, radii;
  for (int i = 0; i < 800; ++i) {
    const double radius = rng.uniform(3, 11);
    const auto name = "disc_" + std::to_string(i) + ".png";
    draw_disc(dir / name, radius, rng);
    names.emplace_back(name);
    radii.emplace_back(radius);
  }
  const auto data =
      ImageList::from_df(Table({Column("name", names), Column("radius", radii)}), dir.path())
          .split_by_rand_pct(0.2, 42)
          .label_from_df()
          .databunch({.bs = 16, .num_workers = 2, .device = torch::kCPU, .seed = 1})
          .normalize();
  CHECK(data.labels()->name() == "FloatList");
  CHECK(data.c() == 1);
  torch::manual_seed(1);
  nn::Sequential net(nn::Conv2d(nn::Conv2dOptions(3, 8, 5).stride(2)), nn::BatchNorm2d(8),
                     nn::ReLU(), nn::Conv2d(nn::Conv2dOptions(8, 16, 3).stride(2)),
                     nn::BatchNorm2d(16), nn::ReLU(), nn::AdaptiveAvgPool2d(1), nn::Flatten(),
                     nn::Linear(16, 32), nn::ReLU(), nn::Linear(32, 1));
  Learner learn(data, Model(net), {.metrics = {root_mean_squared_error}, .silent = true});
  learn.fit_one_cycle(20, {.max_lr = 1e-2});
  const auto found = learn.get_preds();
  const auto targets = found.targets.to(torch::kFloat64),
             preds = found.preds.flatten().to(torch::kFloat64);
  const auto mean = data.ds(DatasetType::Train).targets()->to(torch::kFloat64).mean();
  const double error = (preds - targets).square().mean().sqrt().item<double>(),
               of_mean = (targets - mean).square().mean().sqrt().item<double>();
  INFO("error " << error << ", of the mean " << of_mean);
  CHECK(error < of_mean / 10);
  // One picture: the number in words, as data and raw.
  const auto one = learn.predict(data.ds(DatasetType::Valid).list().items[0]);
  CHECK(one.category.starts_with("["));
  CHECK(one.index.numel() == 1);
}
