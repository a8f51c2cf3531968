#include "train/optim/adam_many.hpp"

#include <torch/nn/modules/linear.h>
#include <torch/utils.h>

#include <cmath>

#include "fastcpp/train/optim/optimizer.hpp"
#include "support/catch.hpp"

using namespace fastcpp;

namespace {

// Some steps of the rule, parameter by parameter, and of all of them at once.
void compare(double decay, double l2) {
  const torch::NoGradGuard no_grad;
  torch::manual_seed(4);
  const HyperParams h{.lr = 1e-2, .mom = 0.9, .beta = 0.99, .decay = decay, .l2 = l2};
  std::vector<torch::Tensor> one, many, means, squares;
  for (const auto& shape : std::vector<std::vector<std::int64_t>>{{3}, {4, 5}, {2, 3, 3, 3}}) {
    one.push_back(torch::randn(shape, torch::kFloat64));
    many.push_back(one.back().clone());
    means.push_back(torch::zeros_like(one.back()));
    squares.push_back(torch::zeros_like(one.back()));
  }
  std::vector<ParamState> states(one.size());
  const auto rule = adam()();
  for (int step = 1; step <= 5; ++step) {
    std::vector<torch::Tensor> gradients;
    std::vector<ParamState*> pointers;
    for (std::size_t i = 0; i < one.size(); ++i) {
      gradients.push_back(torch::randn_like(one[i]));
      pointers.push_back(&states[i]);
    }
    const auto before = gradients[1].clone();
    rule->update_all(one, gradients, pointers, h);
    adam_many(
        many, gradients, means, squares,
        {.lr = h.lr, .beta1 = h.mom, .beta2 = h.beta, .eps = 1e-8, .decay = decay, .step = step},
        l2);
    CHECK(torch::equal(gradients[1], before));
    for (std::size_t i = 0; i < one.size(); ++i) {
      CHECK(torch::allclose(one[i], many[i], 1e-12, 1e-14));
      CHECK(torch::allclose(states[i].buffers.at("exp_avg"), means[i], 1e-12, 1e-14));
      CHECK(torch::allclose(states[i].buffers.at("exp_avg_sq"), squares[i], 1e-12, 1e-14));
    }
  }
}

}  // namespace

TEST_CASE("Adam on all parameters at once is Adam on each") {
  compare(1, 0);
  compare(1 - 1e-2 * 1e-2, 0);
  compare(1, 1e-2);
  std::vector<torch::Tensor> none;
  adam_many(none, {}, none, none, {}, 0);
  CHECK(none.empty());
}

TEST_CASE("a step that the device leaves out changes nothing and is not counted") {
  torch::manual_seed(4);
  const torch::nn::Linear layer(3, 2);
  const torch::nn::Linear other(3, 2);
  const std::vector<LayerGroup> groups{{layer.ptr()}}, other_groups{{other.ptr()}};
  {
    const torch::NoGradGuard no_grad;
    other->weight.copy_(layer->weight);
    other->bias.copy_(layer->bias);
  }
  // Where LibTorch can leave a step out on the CPU (2.4), it does here; else the optimizer waits for the number.
  OptimWrapper some(adam(), groups, *layer), all(adam(), other_groups, *other);
  for (auto* opt : {&some, &all}) {
    opt->set_lr({1e-2});
    opt->set_wd({1e-2});
  }
  const auto give = [](const torch::nn::Linear& to, const torch::Tensor& g) {
    to->weight.mutable_grad() = g.clone();
    to->bias.mutable_grad() = g.select(1, 0).clone();
  };
  const auto count = [](const OptimWrapper& opt) {
    return opt.state_dict().at("state").at(0).at("step").as_tensor().item<float>();
  };
  int taken = 0;
  for (const float overflow : {1.F, 0.F, 1.F, 1.F, 0.F, 0.F}) {
    const auto g = torch::randn({2, 3});
    give(layer, overflow != 0 ? torch::full({2, 3}, INFINITY) : g);
    const auto before = layer->weight.detach().clone();
    some.step(torch::full({}, overflow));
    if (overflow != 0) {
      CHECK(torch::equal(layer->weight, before));
      continue;
    }
    give(other, g);
    all.step();
    ++taken;
    CHECK(torch::allclose(layer->weight, other->weight, 1e-5, 1e-7));
    CHECK(torch::allclose(layer->bias, other->bias, 1e-5, 1e-7));
    CHECK(count(some) == taken);
  }
  // A plain step goes on from the same count, and a copy keeps its own.
  const auto copy = some.snapshot();
  const auto g = torch::randn({2, 3});
  give(layer, g);
  give(other, g);
  some.step();
  all.step();
  CHECK(torch::allclose(layer->weight, other->weight, 1e-5, 1e-7));
  CHECK(count(some) == 4);
  CHECK(count(copy) == 3);
}
