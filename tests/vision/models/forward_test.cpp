// Forward passes of the architectures against the reference; the largest is in forward_slow_test.cpp.
#include <torch/types.h>

#include <set>

#include "forward_passes.hpp"
#include "support/catch.hpp"
#include "support/deviation.hpp"
#include "support/golden.hpp"
#include "support/weight_rule.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

TEST_CASE("forward: resnet18") {
  check_forward("full", "resnet18");
  check_forward("cnn", "resnet18");
}
TEST_CASE("forward: resnet34") {
  check_forward("full", "resnet34");
  check_forward("cnn", "resnet34");
}
TEST_CASE("forward: resnet50") {
  check_forward("full", "resnet50");
  check_forward("cnn", "resnet50");
}
TEST_CASE("forward: squeezenet1_1") {
  check_forward("full", "squeezenet1_1");
  check_forward("cnn", "squeezenet1_1");
}
TEST_CASE("forward: mobilenet_v2") {
  check_forward("full", "mobilenet_v2");
  check_forward("cnn", "mobilenet_v2");
}
TEST_CASE("forward: densenet121") {
  check_forward("full", "densenet121");
  check_forward("cnn", "densenet121");
}
TEST_CASE("forward: vgg16_bn") {
  check_forward("cnn", "vgg16_bn");
}
TEST_CASE("forward: alexnet") {
  check_forward("full", "alexnet");
  check_forward("cnn", "alexnet");
}
TEST_CASE("forward: architectures without a test case of their own") {
  const std::set<std::string> own{"resnet18",     "resnet34",    "resnet50", "squeezenet1_1",
                                  "mobilenet_v2", "densenet121", "vgg16_bn", "alexnet"};
  const auto golden_file = golden("forward.json");
  std::set<std::string> others;
  for (const auto* list : {"full", "cnn"}) {
    for (const auto& expected : golden_file.at(list)) {
      const auto arch = expected.at("arch").get<std::string>();
      if (!own.contains(arch)) others.insert(arch);
    }
  }
  for (const auto& arch : others) {
    check_forward("full", arch);
    check_forward("cnn", arch);
  }
  CHECK(golden_file.at("full").size() + golden_file.at("cnn").size() > 0);
}
TEST_CASE("the formulas of inputs and weights") {
  const auto golden_file = golden("rng.json");
  Deviation deviation("rng/weights");
  const auto stream = golden_file.at("sgn");
  const SgnStream v(stream.at("key").get<std::string>());
  const auto want = numbers(stream.at("values"));
  for (std::size_t i = 0; i < want.size(); ++i) CHECK(deviation(v(i), want[i]) == 0);
  for (const auto& expected : golden_file.at("weights")) {
    auto weight = torch::zeros(expected.at("shape").get<std::vector<std::int64_t>>());
    set_by_rule(weight, expected.at("name"), expected.at("prefix"), expected.at("bn_gain"));
    const auto values = numbers(expected.at("values"));
    weight = weight.flatten();
    REQUIRE(static_cast<std::size_t>(weight.numel()) == values.size());
    for (std::int64_t i = 0; i < weight.numel(); ++i) {
      CHECK(deviation(weight[i].item<float>(), values[static_cast<std::size_t>(i)]) == 0);
    }
  }
}
