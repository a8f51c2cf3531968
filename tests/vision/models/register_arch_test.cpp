#include <torch/nn/modules/container/any.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/pooling.h>

#include <algorithm>
#include <thread>

#include "fastcpp/vision/models/cnn_model.hpp"
#include "fastcpp/vision/models/models.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

models::Arch tiny(const std::string& name) {
  return {.name = name,
          .make =
              [](std::int64_t classes) {
                auto net = std::make_shared<models::Network>();
                net->add("conv", torch::nn::AnyModule(
                                     torch::nn::Conv2d(torch::nn::Conv2dOptions(3, 4, 3))));
                net->add("pool", torch::nn::AnyModule(torch::nn::AdaptiveAvgPool2d(1)));
                net->then([](torch::Tensor x) { return x.flatten(1); });
                net->add("fc", torch::nn::AnyModule(torch::nn::Linear(4, classes)));
                return net;
              },
          .cut = -2};
}

bool known(const std::string& name) {
  const auto names = models::names();
  return std::count(names.begin(), names.end(), name) == 1;
}

}  // namespace

TEST_CASE("an own architecture is found by its name") {
  const auto& kept = models::register_arch(tiny("tiny"));
  CHECK(&models::find("tiny") == &kept);
  CHECK(known("tiny"));
  CHECK(known("resnet34"));
  CHECK(
      models::find("tiny").build({.num_classes = 3})->forward(torch::zeros({1, 3, 8, 8})).size(1) ==
      3);
  CHECK(create_body(models::find("tiny"), {.pretrained = false})->size() == 1);
}

TEST_CASE("architectures without a name, a function or a network are refused") {
  CHECK(caught([] { models::register_arch(tiny("")); }).code == "value.arch");
  models::Arch empty;
  empty.name = "empty";
  CHECK(caught([&] { models::register_arch(empty); }).code == "value.arch");
  const auto taken = caught([] { models::register_arch(tiny("resnet18")); });
  CHECK(taken.code == "value.arch");
  CHECK(taken.message.find("resnet18") != std::string::npos);
  models::register_arch(tiny("twice"));
  CHECK(caught([] { models::register_arch(tiny("twice")); }).code == "value.arch");

  CHECK(caught([&] { empty.build(); }).code == "value.arch");
  auto none = empty;
  none.make = [](std::int64_t) { return nullptr; };
  CHECK(caught([&] { none.build(); }).code == "value.arch");
  CHECK(caught([&] { create_body(none, {.pretrained = false}); }).code == "value.arch");
}

TEST_CASE("several threads may register and look up") {
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([t] {
        for (int i = 0; i < 25; ++i) {
          models::register_arch(tiny("arch_" + std::to_string(t) + "_" + std::to_string(i)));
          models::names();
          models::find("resnet50");
        }
      });
    }
  }
  CHECK(known("arch_3_24"));
  CHECK(known("arch_0_0"));
}

TEST_CASE("null modules and empty functions are told") {
  CHECK(caught([] { num_features_model(nullptr); }).code == "value.body");
  torch::nn::Linear layer(2, 2);
  CHECK(caught([&] { apply_init(*layer, nullptr); }).code == "value.init");
  models::Network network;
  network.add("fc", torch::nn::AnyModule(layer));
  CHECK(caught([&] { network.then(nullptr); }).code == "value.network");
  CHECK(caught([&] { network.add("fc", torch::nn::AnyModule(layer)); }).code == "train.failed");
  CHECK(caught([] { models::Stack::from(nullptr); }).code == "value.network");
}
