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
  CHECK(check_forward("full", "resnet18") > 0);
  CHECK(check_forward("cnn", "resnet18") > 0);
}
TEST_CASE("forward: resnet34") {
  CHECK(check_forward("full", "resnet34") > 0);
  CHECK(check_forward("cnn", "resnet34") > 0);
}
TEST_CASE("forward: resnet50") {
  CHECK(check_forward("full", "resnet50") > 0);
  CHECK(check_forward("cnn", "resnet50") > 0);
}
TEST_CASE("forward: squeezenet1_1") {
  CHECK(check_forward("full", "squeezenet1_1") > 0);
  CHECK(check_forward("cnn", "squeezenet1_1") > 0);
}
TEST_CASE("forward: mobilenet_v2") {
  CHECK(check_forward("full", "mobilenet_v2") > 0);
  CHECK(check_forward("cnn", "mobilenet_v2") > 0);
}
TEST_CASE("forward: densenet121") {
  CHECK(check_forward("full", "densenet121") > 0);
  CHECK(check_forward("cnn", "densenet121") > 0);
}
TEST_CASE("forward: vgg16_bn") {
  CHECK(check_forward("cnn", "vgg16_bn") > 0);
}
TEST_CASE("forward: alexnet") {
  CHECK(check_forward("full", "alexnet") > 0);
  CHECK(check_forward("cnn", "alexnet") > 0);
}
TEST_CASE("forward: every architecture of the reference has a test case") {
  const std::set<std::string> tested{"resnet18",     "resnet34",    "resnet50", "squeezenet1_1",
                                     "mobilenet_v2", "densenet121", "vgg16_bn", "alexnet"};
  const auto golden_file = golden("forward.json");
  for (const auto* list : {"full", "cnn"}) {
    std::set<std::string> known;
    for (const auto& expected : golden_file.at(list)) known.insert(expected.at("arch"));
    CHECK(known == tested);
  }
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
