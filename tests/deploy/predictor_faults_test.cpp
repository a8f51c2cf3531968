// What a predictor must not depend on, and how it refuses.
#include <torch/nn/cloneable.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/pooling.h>
#include <torch/utils.h>

#include <any>
#include <stdexcept>
#include <stop_token>
#include <thread>

#include "fastcpp/deploy/predictor.hpp"
#include "fastcpp/vision/cnn_learner.hpp"
#include "fastcpp/vision/image_data_bunch.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace nn = torch::nn;

namespace {

ImageDataBunch noise_pictures(const TempDir& dir) {
  torch::manual_seed(1);
  for (int i = 0; i < 8; ++i) {
    const auto name = (i % 2 ? "odd_" : "even_") + std::to_string(i) + ".png";
    Image::from_tensor(torch::rand({3, 40, 40})).save(dir.path() / name);
  }
  return ImageDataBunch::from_name_re(
      dir.path(), get_image_files(dir.path()), R"(/([^/]+)_\d+.png$)",
      {.size = 32, .bs = 4, .num_workers = 0, .device = torch::kCPU, .seed = 1});
}

Learner resnet_learner(const DataBunch& data) {
  return cnn_learner(data, models::resnet18, {.pretrained = false, .silent = true});
}

struct Net : nn::SequentialImpl {
  Net() : nn::SequentialImpl(nn::AdaptiveAvgPool2d(1), nn::Flatten(), nn::Linear(3, 2)) {}
};

struct Throwing : nn::Cloneable<Throwing> {
  nn::Linear layer{nullptr};
  Throwing() { reset(); }
  void reset() override { layer = register_module("layer", nn::Linear(3, 2)); }
  torch::Tensor forward(const torch::Tensor& x) {
    if (x.size(0) > 0) throw std::runtime_error("no such view");
    return x;
  }
};

}  // namespace

TEST_CASE("later normalisation and item readers do not reach a predictor") {
  TempDir dir;
  auto data = noise_pictures(dir);
  auto learn = resnet_learner(data);
  const Predictor predictor(learn);
  const auto file = get_image_files(dir.path())[0];
  const auto before = predictor.predict(file).probabilities;
  data.normalize_with(imagenet_stats);
  data.set_item_reader([](const std::any&) { return torch::zeros({3, 32, 32}); });
  CHECK(torch::equal(predictor.predict(file).probabilities, before));
  CHECK(torch::equal(predictor.predict_batch({file})[0], before));
  CHECK_FALSE(torch::equal(Predictor(learn).predict(file).probabilities, before));
}

TEST_CASE("data may be normalised while a predictor works") {
  TempDir dir;
  auto data = noise_pictures(dir);
  const Predictor predictor(resnet_learner(data));
  const auto files = get_image_files(dir.path());
  const auto want = predictor.predict_batch(files);
  torch::Tensor got;
  std::jthread worker([&] { got = predictor.predict_batch(files); });
  data.normalize_with(imagenet_stats);
  worker.join();
  CHECK(torch::equal(got, want));
}

TEST_CASE("modules that cannot be copied are refused in words") {
  TempDir dir;
  Learner learn(noise_pictures(dir), Model(std::make_shared<Net>()), {.silent = true});
  const auto error = caught([&] { Predictor{learn}; });
  CHECK(error.code == "value.predictor");
  CHECK(error.message.find("Net") != std::string::npos);
  Learner own(noise_pictures(dir),
              Model(std::make_shared<Net>(),
                    [](const torch::Tensor& x) {
                      return x.mean({2, 3});
                    }),
              {.silent = true});
  CHECK(caught([&] { Predictor{own}; }).code == "value.predictor");
}

TEST_CASE("what a module throws leaves a predictor as ours") {
  TempDir dir;
  const Predictor predictor(
      Learner(noise_pictures(dir), Model(std::make_shared<Throwing>()), {.silent = true}));
  const auto files = get_image_files(dir.path());
  CHECK(caught([&] { predictor.predict(files[0]); }).code == "core.unexpected");
  CHECK(caught([&] { predictor.predict_batch(files); }).code == "core.unexpected");
  CHECK(caught([&] { predictor.forward(torch::zeros({1, 3, 8, 8})); }).code == "core.unexpected");
  CHECK_FALSE(caught([&] { predictor.forward(torch::Tensor()); }).code.empty());
  CHECK(caught([&] { predictor.predict(3.5); }).code == "value.item");
}

TEST_CASE("predicting many files can be stopped") {
  TempDir dir;
  const Predictor predictor(resnet_learner(noise_pictures(dir)), {.bs = 2});
  std::stop_source source;
  source.request_stop();
  const auto error = caught(
      [&] { predictor.predict_batch(get_image_files(dir.path()), {.stop = source.get_token()}); });
  CHECK(error.code == "train.stopped");
}

TEST_CASE("packing can be left out") {
  TempDir dir;
  auto learn = resnet_learner(noise_pictures(dir));
  const auto x = torch::randn({2, 3, 32, 32});
  const torch::NoGradGuard no_grad;
  learn.model()->eval();
  const auto want = learn.model()(x);
  CHECK(torch::allclose(Predictor(learn, {.pack = false}).forward(x), want, 1e-4, 1e-4));
  // Without folding and packing it is LibTorch's own sum.
  const auto same = Predictor(learn, {.fold = false, .pack = false}).forward(x);
  CHECK(torch::allclose(same, want, 1e-5, 1e-5));
}

TEST_CASE("options that a user gives a network hold in a predictor") {
  TempDir dir;
  auto learn = resnet_learner(noise_pictures(dir));
  for (const auto& module : learn.model()->modules()) {
    auto* conv = module->as<nn::Conv2dImpl>();
    if (!conv || conv->weight.size(2) != 3 || conv->options.stride()->at(0) != 1) continue;
    conv->options.dilation(2).padding(2);
  }
  const auto x = torch::randn({2, 3, 64, 64});
  const torch::NoGradGuard no_grad;
  learn.model()->eval();
  CHECK(torch::allclose(Predictor(learn).forward(x), learn.model()(x), 1e-3, 1e-3));
}
