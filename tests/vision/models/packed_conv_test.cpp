#include "fastcpp/kernels/packed_conv.hpp"

#include <torch/utils.h>

#include <limits>
#include <string>
#include <thread>

#include "kernels/conv_kernels.hpp"
#include "support/catch.hpp"
#include "support/conv_shape.hpp"
#include "vision/models/layers.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
using models::PackedConv;

namespace {

// Direct products, Winograd tiles that end at the picture's edge or beyond it, channels that fill
// no vector, more and fewer output channels than a block has; sums that go by parts, in blocks that are not full too.
const ConvShape kShapes[] = {
    {1, 3, 64, 33, 31, 7, 2, 3},  {2, 16, 16, 9, 9, 1, 1, 0},    {1, 64, 128, 14, 14, 1, 2, 0},
    {1, 7, 5, 6, 11, 3, 2, 1},    {3, 5, 70, 4, 4, 5, 1, 2},     {1, 24, 24, 7, 7, 3, 1, 1},
    {1, 64, 64, 56, 56, 3, 1, 1}, {2, 32, 48, 28, 30, 3, 1, 1},  {5, 128, 130, 14, 14, 3, 1, 1},
    {1, 16, 33, 15, 18, 3, 1, 0}, {1, 20, 24, 13, 17, 3, 1, 2},  {17, 16, 16, 3, 5, 3, 1, 1},
    {1, 512, 512, 7, 7, 3, 1, 1}, {1, 1, 1, 1, 1, 1, 1, 0},      {1, 1, 200, 12, 1, 3, 1, 1},
    {1, 1200, 70, 7, 7, 1, 1, 0}, {1, 300, 40, 14, 14, 3, 1, 1}, {1, 130, 70, 8, 8, 3, 2, 1},
};

// Float's rounding over some thousand products; Winograd's sums cancel and lose about two digits
// more at worst.
constexpr double kTolerance = 2e-5;

}  // namespace

TEST_CASE("packed convolutions give what LibTorch gives in double precision", "[skips]") {
  if (!models::conv_kernels()) {
    WARN("[skipped] no wide vectors on this processor");
    return;
  }
  const torch::NoGradGuard no_grad;
  torch::manual_seed(3);
  for (const auto& s : kShapes) {
    INFO(name_of(s));
    const auto x = torch::randn({s.n, s.in, s.height, s.width});
    const auto w = torch::randn({s.out, s.in, s.kernel, s.kernel});
    const auto b = torch::randn({s.out});
    const auto f64 = [](const torch::Tensor& t) { return t.to(torch::kFloat64); };
    const auto plain = torch::conv2d(f64(x), f64(w), {}, s.stride, s.padding);
    const auto biased = plain + f64(b).view({1, -1, 1, 1});
    const auto add = torch::randn(plain.sizes());
    const auto both = biased + f64(add);
    for (const int threads : {1, 3}) {
      at::set_num_threads(threads);
      const auto without = PackedConv::make(w, {}, s.stride, s.padding);
      const auto with = PackedConv::make(w, b, s.stride, s.padding);
      CHECK(without->run(x).sizes() == plain.sizes());
      CHECK(gap(without->run(x), plain) < kTolerance);
      CHECK(gap(with->run(x), biased) < kTolerance);
      CHECK(gap(with->run(x.contiguous(torch::MemoryFormat::ChannelsLast), add), both) <
            kTolerance);
      const auto active = with->run(x, add, true);
      CHECK(gap(active, torch::relu(both)) < kTolerance);
      CHECK(active.min().item<float>() >= 0);
      CHECK(gap(with->run(x, {}, true), torch::relu(biased)) < kTolerance);
    }
    at::set_num_threads(1);
  }
}

TEST_CASE("not-a-number goes through packed convolutions and activations") {
  if (!models::conv_kernels()) return;
  auto x = torch::zeros({1, 16, 16, 16});
  x[0][3][8][8] = std::numeric_limits<float>::quiet_NaN();
  const auto conv = PackedConv::make(torch::ones({16, 16, 3, 3}), {}, 1, 1);
  CHECK(conv->run(x, {}, true)[0][0][8][8].isnan().item<bool>());
  const auto narrow = PackedConv::make(torch::ones({3, 16, 1, 1}), {}, 1, 0);
  CHECK(narrow->run(x, {}, true)[0][0][8][8].isnan().item<bool>());
}

TEST_CASE("a packed convolution refuses what does not fit") {
  if (!models::conv_kernels()) return;
  const auto conv = PackedConv::make(torch::randn({4, 8, 3, 3}), {}, 1, 0);
  CHECK_THROWS_AS(conv->run(torch::randn({1, 7, 9, 9})), c10::Error);
  CHECK_THROWS_AS(conv->run(torch::randn({1, 8, 2, 9})), c10::Error);
  CHECK_THROWS_AS(conv->run(torch::randn({8, 9, 9})), c10::Error);
  CHECK_THROWS_AS(conv->run(torch::randn({1, 8, 9, 9}).to(torch::kFloat64)), c10::Error);
  CHECK_THROWS_AS(conv->run(torch::randn({1, 8, 9, 9}), torch::randn({1, 4, 9, 9})), c10::Error);
  CHECK(PackedConv::make(torch::randn({4, 8, 3, 3}).to(torch::kFloat64), {}, 1, 0) == nullptr);
}

TEST_CASE("threads that pack the same convolution at once agree") {
  if (!models::conv_kernels()) return;
  const auto conv = PackedConv::make(torch::randn({64, 64, 3, 3}), {}, 1, 1);
  const auto x = torch::randn({1, 64, 20, 20});
  std::vector<torch::Tensor> got(4);
  {
    std::vector<std::jthread> threads;
    for (auto& mine : got) threads.emplace_back([&] { mine = conv->run(x); });
  }
  for (const auto& mine : got) CHECK(torch::equal(mine, got[0]));
}

TEST_CASE("a convolution layer is copied with its weights, and packed on request") {
  const torch::NoGradGuard no_grad;
  auto conv = models::conv2d(16, 8, 3, {.padding = 1, .bias = true});
  models::init_weights(*conv, {}, 1);
  const auto copy = std::dynamic_pointer_cast<models::Conv2dImpl>(conv->clone());
  REQUIRE(copy);
  const auto x = torch::randn({2, 16, 12, 12});
  const auto want = conv(x);
  CHECK(torch::equal(copy->forward(x), want));
  CHECK(copy->weight.data_ptr() != conv->weight.data_ptr());
  copy->pack();
  CHECK(torch::allclose(copy->forward(x), want, 1e-4, 1e-5));
  conv->weight.zero_();
  CHECK(torch::allclose(copy->forward(x), want, 1e-4, 1e-5));
}

TEST_CASE("a frozen convolution is packed in training and notices what changes") {
  if (!models::conv_kernels()) return;
  torch::manual_seed(5);
  const bool bias = GENERATE(false, true);
  auto conv = models::conv2d(24, 40, 3, {.padding = 1, .bias = bias});
  models::init_weights(*conv, {}, 1);
  for (auto& p : conv->parameters()) p.set_requires_grad(false);
  conv->train();
  const auto x = torch::randn({3, 24, 14, 11});
  const auto plain = [&](const torch::Tensor& in) {
    return torch::conv2d(in, conv->weight, conv->bias, 1, 1);
  };
  const auto got = conv(x);
  CHECK(gap(got, plain(x).to(torch::kFloat64)) < kTolerance);
  CHECK_FALSE(torch::equal(got, plain(x)));  // so it is not LibTorch's sum

  conv->weight.mul_(-3);
  CHECK(gap(conv(x), plain(x).to(torch::kFloat64)) < kTolerance);
  if (bias) {
    conv->bias.add_(1);
    CHECK(gap(conv(x), plain(x).to(torch::kFloat64)) < kTolerance);
    for (int i = 1; i < 4; ++i) conv->bias.set_data(torch::full({40}, 100.0 * i));
    CHECK(gap(conv(x), plain(x).to(torch::kFloat64)) < kTolerance);
  }
  conv->weight.set_data(torch::randn_like(conv->weight));
  CHECK(gap(conv(x), plain(x).to(torch::kFloat64)) < kTolerance);
  const auto before = conv->weight._version();
  conv->weight.data_ptr<float>()[0] = 100;
  REQUIRE(conv->weight._version() == before);
  conv->train();
  CHECK(gap(conv(x), plain(x).to(torch::kFloat64)) < kTolerance);

  conv->eval();
  CHECK(torch::equal(conv(x), plain(x)));
  conv->train();
  auto leaf = x.clone().set_requires_grad(true);
  conv(leaf).sum().backward();
  auto other = x.clone().set_requires_grad(true);
  plain(other).sum().backward();
  CHECK(gap(leaf.grad(), other.grad().to(torch::kFloat64)) < kTolerance);
  conv->weight.set_requires_grad(true);
  CHECK(conv(x).requires_grad());
  CHECK(gap(conv(x).detach(), plain(x).detach().to(torch::kFloat64)) < kTolerance);
  conv->set_training_conv(models::TrainingConv::kLibTorch);
  CHECK(torch::equal(conv(x), plain(x)));
  leaf.mutable_grad() = torch::Tensor();
  conv(leaf).sum().backward();
  CHECK(torch::equal(leaf.grad(), other.grad()));
}

TEST_CASE("a network's own convolution and batch norm are folded, but not across a step") {
  const torch::NoGradGuard no_grad;
  torch::manual_seed(7);
  const bool step = GENERATE(false, true);
  const auto net = std::make_shared<models::Network>();
  auto conv = models::conv2d(3, 8, 3, {.stride = 2});
  models::init_weights(*conv, {}, 1);
  auto norm = models::batch_norm(8);
  norm->running_mean.uniform_(-1, 1);
  net->add("conv", models::any(conv));
  if (step) net->then([](torch::Tensor x) { return x.abs(); });
  net->add("norm", models::any(norm));
  net->add("relu", models::any(models::relu()));
  net->then([](torch::Tensor x) { return x + 1; });
  net->add("pool", models::any(models::MaxPool2d(torch::nn::MaxPool2dOptions(3).stride(2))));
  net->eval();
  const auto x = torch::randn({2, 3, 30, 21});
  const auto want = net->forward(x).to(torch::kFloat64);
  models::fold_batchnorm(*net);
  models::pack_convolutions(*net);
  CHECK(models::is_folded(*norm) == !step);
  CHECK(gap(net->forward(x), want) < 1e-5);
}

TEST_CASE("layers that somebody else runs give what they gave when they are folded") {
  const torch::NoGradGuard no_grad;
  torch::manual_seed(8);
  const auto x = torch::randn({2, 3, 64, 48});
  const auto net = models::find("resnet18").build({.num_classes = 4, .seed = 2});
  net->eval();
  // A sequence of LibTorch's runs the layers of a body, and a function those of a network.
  auto body = net->body(-2);
  body->push_back(torch::nn::AdaptiveAvgPool2d(1));
  body->eval();
  const auto want = body->forward(x).to(torch::kFloat64);
  models::fold_batchnorm(*body);
  models::pack_convolutions(*body);
  CHECK(gap(body->forward(x), want) < 1e-4);
  CHECK(gap(net->body(-2)->forward(x).mean({2, 3}, true), want) < 1e-4);
}

namespace {

struct ReluConv : torch::nn::Conv2dImpl {
  using Conv2dImpl::Conv2dImpl;
  torch::Tensor forward(const torch::Tensor& x) { return Conv2dImpl::forward(x).relu(); }
};

}  // namespace

TEST_CASE("classes derived from a convolution, and layers in several places, are not folded") {
  const torch::NoGradGuard no_grad;
  torch::manual_seed(9);
  auto conv = models::conv2d(3, 3, 3, {.padding = 1});
  models::init_weights(*conv, {}, 1);
  auto norm = models::batch_norm(3), other = models::batch_norm(3);
  norm->running_mean.uniform_(-1, 1);
  other->running_var.uniform_(1, 2);
  const bool derived = GENERATE(true, false);
  const auto layers = std::make_shared<models::Stack>();
  if (derived) {
    layers->push_back(std::make_shared<ReluConv>(torch::nn::Conv2dOptions(3, 3, 3)));
    layers->push_back(norm);
  } else {
    layers->push_back(conv);
    layers->push_back(norm);
    layers->push_back(conv);
    layers->push_back(other);
  }
  layers->eval();
  const auto x = torch::randn({2, 3, 9, 8});
  const auto want = layers->forward(x).to(torch::kFloat64);
  models::fold_batchnorm(*layers);
  CHECK(gap(layers->forward(x), want) < 1e-6);
  CHECK_FALSE(models::is_folded(*norm));
  CHECK_FALSE(models::is_folded(*other));
}

TEST_CASE("a network of each family, folded and packed, gives what it gave") {
  const torch::NoGradGuard no_grad;
  torch::manual_seed(6);
  for (const auto& name : {"resnet18", "resnet50", "squeezenet1_0", "squeezenet1_1", "densenet121",
                           "vgg11_bn", "alexnet", "mobilenet_v2"}) {
    INFO(name);
    auto net = models::find(name).build({.num_classes = 10, .seed = 2});
    net->eval();
    const auto x = torch::randn({2, 3, 97, 75});
    const auto want = net->forward(x).to(torch::kFloat64);
    for (auto& p : net->parameters()) p.set_requires_grad(false);
    models::fold_batchnorm(*net);
    models::pack_convolutions(*net);
    CHECK(gap(net->forward(x), want) < 1e-4);
  }
}
