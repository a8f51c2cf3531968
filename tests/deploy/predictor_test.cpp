#include "fastcpp/deploy/predictor.hpp"

#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/pooling.h>
#include <torch/utils.h>

#include <fstream>
#include <thread>

#include "deploy/small_learners.hpp"
#include "fastcpp/vision/models/fold.hpp"
#include "support/catch.hpp"
#include "vision/models/layers.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace nn = torch::nn;

namespace {

torch::Tensor plain(const Learner& learn, const torch::Tensor& x) {
  const torch::NoGradGuard no_grad;
  learn.model()->eval();
  return learn.model()(x);
}

double relative_gap(const torch::Tensor& a, const torch::Tensor& b) {
  return (a - b).abs().max().item<double>() / std::max(1.0, b.abs().max().item<double>());
}

std::int64_t norms_left(nn::Module& module) {
  std::int64_t count = 0;
  for (const auto& part : module.modules()) {
    const auto* norm = part->as<nn::BatchNorm2dImpl>();
    if (norm && !models::is_folded(*norm)) ++count;
  }
  return count;
}

}  // namespace

TEST_CASE("a predictor gives what the learner gives, for every kind of network") {
  TempDir dir;
  const auto data = pictures(dir);
  torch::manual_seed(5);
  const auto x = torch::randn({3, 3, 64, 64});
  for (const char* name :
       {"resnet18", "resnet50", "squeezenet1_1", "densenet121", "vgg16_bn", "mobilenet_v2"}) {
    INFO(name);
    auto learn = learner(data, models::find(name));
    const auto want = plain(learn, x);
    const auto before = learn.model()->parameters()[0].clone();
    const Predictor predictor(learn);
    CHECK(relative_gap(predictor.forward(x), want) < 1e-4);
    CHECK(relative_gap(Predictor(learn, {.fold = false}).forward(x), want) < 1e-4);
    // The learner's own network is as it was.
    CHECK(torch::equal(plain(learn, x), want));
    CHECK(torch::equal(learn.model()->parameters()[0], before));
    CHECK(learn.model()->parameters()[0].requires_grad());
  }
}

TEST_CASE("all batch norms behind convolutions are folded, no others") {
  const auto left = [](const char* name) {
    auto body = create_body(models::find(name), {.pretrained = false});
    auto model = nn::Sequential(models::Stack::from(body));
    live(*model);
    torch::manual_seed(5);
    const auto x = torch::randn({2, 3, 64, 64});
    const torch::NoGradGuard no_grad;
    model->eval();
    const auto want = model->forward(x);
    models::fold_batchnorm(*model);
    CHECK(relative_gap(model->forward(x), want) < 1e-4);
    return norms_left(*model);
  };
  CHECK(left("resnet18") == 0);
  CHECK(left("resnet50") == 0);
  CHECK(left("vgg16_bn") == 0);
  CHECK(left("mobilenet_v2") == 0);
  // Norm, activation, convolution: the first norm of its 58 layers, of 3 transitions, and the last.
  CHECK(left("densenet121") == 58 + 3 + 1);
}

TEST_CASE("single items, batches and the learner agree") {
  TempDir dir;
  const auto data = pictures(dir);
  auto learn = learner(data, models::resnet18);
  const Predictor predictor(learn, {.bs = 3});
  const auto files = get_image_files(dir.path());
  const auto batch = predictor.predict_batch(files);
  REQUIRE(batch.size(0) == static_cast<std::int64_t>(files.size()));
  CHECK(predictor.classes() == std::vector<std::string>{"even", "odd"});
  for (std::size_t i = 0; i < files.size(); ++i) {
    const auto single = predictor.predict(files[i]);
    const auto want = learn.predict(files[i]);
    CHECK(relative_gap(single.probabilities, want.probabilities) < 1e-4);
    CHECK(relative_gap(batch[static_cast<std::int64_t>(i)], want.probabilities) < 1e-4);
    CHECK(single.category == want.category);
    CHECK(single.index.item<std::int64_t>() == want.index.item<std::int64_t>());
  }
  CHECK(relative_gap(predictor.predict(open_image(files[0])).probabilities, batch[0]) < 1e-5);
}

TEST_CASE("several threads may predict at once") {
  TempDir dir;
  const auto data = pictures(dir);
  const Predictor predictor(learner(data, models::resnet18));
  const auto files = get_image_files(dir.path());
  std::vector<torch::Tensor> want;
  for (const auto& file : files) want.push_back(predictor.predict(file).probabilities);
  std::vector<std::vector<torch::Tensor>> got(4);
  {
    std::vector<std::jthread> threads;
    for (auto& mine : got) {
      threads.emplace_back([&] {
        for (const auto& file : files) mine.push_back(predictor.predict(file).probabilities);
      });
    }
  }
  for (const auto& mine : got) {
    for (std::size_t i = 0; i < files.size(); ++i) CHECK(torch::equal(mine[i], want[i]));
  }
}

TEST_CASE("training goes on without the predictor") {
  TempDir dir;
  auto learn = learner(pictures(dir), models::resnet18);
  const Predictor predictor(learn);
  const auto file = get_image_files(dir.path())[0];
  const auto before = predictor.predict(file).probabilities;
  learn.fit(1, 1e-2);
  CHECK(torch::equal(predictor.predict(file).probabilities, before));
  CHECK_FALSE(torch::equal(Predictor(learn).predict(file).probabilities, before));
}

TEST_CASE("bfloat16 predictions are near") {
  TempDir dir;
  auto learn = learner(pictures(dir), models::resnet18);
  const auto x = torch::randn({2, 3, 64, 64});
  const auto want = plain(learn, x);
  const auto got = Predictor(learn, {.bf16 = true}).forward(x);
  CHECK(got.scalar_type() == torch::kFloat32);
  CHECK_FALSE(torch::equal(got, want));
  CHECK(relative_gap(got, want) < 0.1);
}

TEST_CASE("a file that cannot be read is named, wherever it is") {
  TempDir dir;
  const Predictor predictor(learner(pictures(dir), models::resnet18), {.bs = 2});
  auto files = get_image_files(dir.path());
  const auto broken = dir.path() / "broken.png";
  std::ofstream(broken) << "not a picture";
  files.insert(files.begin() + 5, broken);
  files.push_back(dir.path() / "missing.png");
  const auto error = caught([&] { predictor.predict_batch(files); });
  CHECK(error.code == "image.cannot_decode");
  CHECK(error.message.find("broken.png") != std::string::npos);
  CHECK(caught([&] { predictor.predict_batch({}); }).code == "data.empty");
  CHECK(caught([&] { predictor.forward(torch::zeros({1, 5, 64, 64})); }).code == "train.failed");
}

namespace {

class NotCloneable : public nn::Module {
 public:
  torch::Tensor forward(torch::Tensor x) { return x.mean({2, 3}); }
};

}  // namespace

TEST_CASE("models of one's own") {
  TempDir dir;
  const auto data = pictures(dir);
  // A plain sequence runs its batch norm itself, so it must stay.
  nn::Sequential own(nn::Conv2d(nn::Conv2dOptions(3, 4, 3)), nn::BatchNorm2d(4),
                     nn::AdaptiveAvgPool2d(1), nn::Flatten(), nn::Linear(4, 2));
  live(*own);
  Learner learn(data, Model(own), {.silent = true});
  const auto x = torch::randn({2, 3, 64, 64});
  const Predictor predictor(learn);
  CHECK(relative_gap(predictor.forward(x), plain(learn, x)) < 1e-5);

  Learner other(data, Model(std::make_shared<NotCloneable>()), {.silent = true});
  CHECK(caught([&] { Predictor{other}; }).code == "value.predictor");
  CHECK(caught([&] { Predictor(learn, {.bs = 0}); }).code == "value.predictor");
}
