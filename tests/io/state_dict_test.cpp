#include "fastcpp/io/state_dict.hpp"

#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include "fastcpp/core/error.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;

namespace {

torch::nn::Sequential small_net() {
  return torch::nn::Sequential(torch::nn::Conv2d(torch::nn::Conv2dOptions(3, 4, 3).bias(false)),
                               torch::nn::BatchNorm2d(4), torch::nn::Linear(4, 2));
}

std::vector<std::string> names(const StateDict& weights) {
  std::vector<std::string> result;
  for (const auto& entry : weights) result.push_back(entry.first);
  return result;
}

// All but one entry.
StateDict without(const StateDict& weights, const std::string& name) {
  StateDict result;
  for (const auto& [key, tensor] : weights) {
    if (key != name) result.insert(key, tensor);
  }
  return result;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("StateDict keeps the order of insertion") {
  StateDict weights;
  weights.insert("b", torch::zeros({1}));
  weights.insert("a", torch::zeros({2}));
  weights.insert("b", torch::zeros({3}));
  CHECK(names(weights) == std::vector<std::string>{"b", "a"});
  CHECK(weights.at("b").numel() == 3);
  CHECK(weights.find("c") == nullptr);
  const auto caught = test::caught([&] { weights.at("c"); });
  CHECK(caught.code == "weights.missing_key");
  CHECK(contains(caught.message, "'c'"));
  CHECK(test::caught([&] { weights.insert("u", {}); }).code == "value.undefined_tensor");
  const StateDict copy = weights;
  CHECK(copy.at("a").data_ptr() == weights.at("a").data_ptr());
}

TEST_CASE("state_dict lists parameters, buffers and children as PyTorch does") {
  auto net = small_net();
  const StateDict weights = state_dict(*net);
  CHECK(names(weights) == std::vector<std::string>{"0.weight", "1.weight", "1.bias",
                                                   "1.running_mean", "1.running_var",
                                                   "1.num_batches_tracked", "2.weight", "2.bias"});
  CHECK_FALSE(weights.at("0.weight").requires_grad());
  weights.at("2.bias").fill_(5);
  CHECK(net->named_parameters()["2.bias"].eq(5).all().item<bool>());
}

TEST_CASE("load_state_dict copies values and converts types") {
  auto from = small_net(), to = small_net();
  StateDict weights;
  for (const auto& [name, tensor] : state_dict(*from)) {
    weights.insert(name, tensor.is_floating_point() ? tensor.to(torch::kFloat64) : tensor + 4);
  }
  const auto report = load_state_dict(*to, weights);
  CHECK(report.ok());
  const StateDict expected = state_dict(*from), loaded = state_dict(*to);
  for (const auto& [name, tensor] : loaded) {
    INFO(name);
    CHECK(tensor.scalar_type() == expected.at(name).scalar_type());
    // float32 -> float64 -> float32 is exact.
    CHECK((name.ends_with("tracked") ? tensor.equal(expected.at(name) + 4)
                                     : tensor.equal(expected.at(name))));
  }
  CHECK(to->named_parameters()["0.weight"].requires_grad());
  weights.at("0.weight").zero_();
  CHECK_FALSE(loaded.at("0.weight").eq(0).all().item<bool>());
}

TEST_CASE("a mismatch lists everything and loads nothing") {
  auto net = small_net();
  StateDict weights;
  for (const auto& [name, tensor] : state_dict(*net))
    weights.insert(name, torch::full_like(tensor, 9));
  weights = without(weights, "2.bias");
  weights.insert("0.weight", torch::zeros({4, 3, 5, 5}));
  for (int i = 0; i < 20; ++i) weights.insert("extra." + std::to_string(i), torch::zeros({1}));
  const StateDict before = state_dict(*small_net());
  const auto kept = state_dict(*net).at("1.bias").clone();
  const auto caught = test::caught([&] { load_state_dict(*net, weights); });
  CHECK(caught.code == "weights.mismatch");
  CHECK(contains(caught.message, "missing from the weights (1): 2.bias"));
  CHECK(contains(caught.message, "unknown to the network (20): extra.0, extra.1"));
  CHECK(contains(caught.message, "and 12 more"));
  CHECK(contains(caught.message, "0.weight: network [4, 3, 3, 3], weights [4, 3, 5, 5]"));
  CHECK(state_dict(*net).at("1.bias").equal(kept));

  const auto report = load_state_dict(*net, weights, {.strict = false});
  CHECK_FALSE(report.ok());
  CHECK(report.missing == std::vector<std::string>{"2.bias"});
  CHECK(report.unexpected.size() == 20);
  CHECK(report.wrong_shape.size() == 1);
  CHECK(state_dict(*net).at("1.bias").eq(9).all().item<bool>());
  CHECK_FALSE(state_dict(*net).at("0.weight").eq(9).any().item<bool>());
}

TEST_CASE("weights that cannot be copied are refused before any is") {
  auto net = small_net();
  StateDict weights;
  for (const auto& [name, tensor] : state_dict(*net))
    weights.insert(name, torch::full_like(tensor, 9));
  const auto kept = state_dict(*net).at("0.weight").clone();
  for (const auto& odd : {torch::zeros({2, 4}).to_sparse(),
                          torch::zeros({2, 4}, torch::TensorOptions(torch::kMeta))}) {
    weights.insert("2.weight", odd);
    const auto caught = test::caught([&] { load_state_dict(*net, weights); });
    CHECK(caught.code == "weights.cannot_copy");
    CHECK(contains(caught.message, "'2.weight'"));
    CHECK(state_dict(*net).at("0.weight").equal(kept));
  }
}

TEST_CASE("weights of old PyTorch lack num_batches_tracked and dimensions") {
  auto net = small_net();
  state_dict(*net).at("1.num_batches_tracked").fill_(11);
  const StateDict old = without(state_dict(*net), "1.num_batches_tracked");
  CHECK(load_state_dict(*net, old).ok());
  CHECK(state_dict(*net).at("1.num_batches_tracked").item<std::int64_t>() == 0);

  StateDict one = state_dict(*net);
  one.insert("1.num_batches_tracked", torch::full({1}, 5, torch::kInt64));
  CHECK(load_state_dict(*net, one).ok());
  CHECK(state_dict(*net).at("1.num_batches_tracked").item<std::int64_t>() == 5);
}
