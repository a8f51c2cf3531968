// Arguments of optimizers and schedules, and states that do not fit.
#include "fastcpp/train/optim/optimizer.hpp"

#include <c10/core/DefaultDtype.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>

#include <limits>

#include "fastcpp/core/error.hpp"
#include "fastcpp/train/optim/schedule.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

const auto kNan = std::numeric_limits<double>::quiet_NaN();

// Two linear layers, a group each.
struct Network {
  torch::nn::Sequential net{torch::nn::Linear(3, 4), torch::nn::Linear(4, 2)};
  std::vector<LayerGroup> groups{{net->ptr(0)}, {net->ptr(1)}};

  OptimWrapper opt(const OptFunc& make = adam()) { return {make, groups, *net}; }
  void step(OptimWrapper& opt) {
    opt.set_lr({1e-2});
    net->forward(torch::ones({2, 3})).sum().backward();
    opt.step();
    opt.zero_grad();
  }
};

}  // namespace

TEST_CASE("arguments of optimizers out of range are refused") {
  CHECK(caught([] { adam({.beta1 = 1}); }).code == "value.optimizer");
  CHECK(caught([] { adam({.beta2 = 1}); }).code == "value.optimizer");
  CHECK(caught([] { adam({.beta2 = -0.1}); }).code == "value.optimizer");
  CHECK(caught([] { adam({.eps = kNan}); }).code == "value.optimizer");
  CHECK(caught([] { sgd({.momentum = kNan}); }).code == "value.optimizer");
  CHECK(caught([] { rmsprop({.alpha = 1}); }).code == "value.optimizer");
  CHECK(caught([] { adam({.beta2 = 1}); }).message == "beta2: expected 0 <= beta2 < 1, found 1");
  Network network;
  CHECK(caught([&] { network.opt(OptFunc{}); }).code == "value.opt_func");
  CHECK(caught([&] { network.opt([] { return std::shared_ptr<const UpdateRule>(); }); }).code ==
        "value.opt_func");
  CHECK(caught([&] {
          network.opt(
              []() -> std::shared_ptr<const UpdateRule> { throw std::logic_error("mine"); });
        }).code == "core.unexpected");
  auto opt = network.opt();
  CHECK(caught([&] { opt.set_wd({-1}); }).code == "value.hyper_range");
  CHECK(caught([&] { opt.set_wd({kNan}); }).code == "value.hyper_range");
  CHECK(caught([&] { opt.set_lr({1e-3, kNan}); }).code == "value.hyper_range");
  CHECK(caught([&] { opt.set_mom({1}); }).code == "value.hyper_range");
  CHECK(caught([&] { opt.set_beta({1}); }).code == "value.hyper_range");
  CHECK(caught([&] { opt.set_lr({1, 2, 3}); }).code == "value.hyper_length");
  CHECK(caught([] { Scheduler({1, 2}, {1}, 3, annealing_cos); }).code == "value.hyper_length");
  CHECK(caught([] { Scheduler({1}, {1}, 3, nullptr); }).code == "value.anneal");
  CHECK(caught([] { Scheduler({1}, {1}, -1, annealing_cos); }).code == "value.anneal");
  CHECK(caught([] { annealing_poly(kNan); }).code == "value.anneal");
}

TEST_CASE("a state that does not fit changes nothing and is explained with counts") {
  Network network;
  auto opt = network.opt();
  network.step(opt);
  const auto state = opt.state_dict();
  const auto whole = opt.load_state_dict(state);
  CHECK(static_cast<bool>(whole));
  CHECK(whole.taken == 4);
  CHECK(whole.expected == 4);

  // Saved while everything was trained, loaded frozen.
  requires_grad(*network.net->ptr(0), false);
  auto frozen = network.opt();
  const auto report = frozen.load_state_dict(state);
  CHECK_FALSE(static_cast<bool>(report));
  CHECK(report.taken == 0);
  CHECK(report.expected == 2);
  INFO(report.why);
  CHECK(report.why.find("parameter group 0 has 1 parameters, the optimizer's 0") !=
        std::string::npos);
  for (const auto& group : frozen.groups()) {
    for (const auto& one : group.states) CHECK(one.step == 0);
  }

  // Another number of groups, another optimizer, another network, no state at all.
  requires_grad(*network.net->ptr(0), true);
  const std::vector<LayerGroup> one{{network.net->ptr(0), network.net->ptr(1)}};
  OptimWrapper joined(adam(), one, *network.net);
  CHECK(joined.load_state_dict(state).why.find("4 parameter groups") != std::string::npos);
  auto momentum = network.opt(sgd({.momentum = 0.9}));
  CHECK(momentum.load_state_dict(state).why.find("SGD") != std::string::npos);
  torch::nn::Sequential wide(torch::nn::Linear(3, 5), torch::nn::Linear(5, 2));
  OptimWrapper other(adam(), {{wide->ptr(0)}, {wide->ptr(1)}}, *wide);
  CHECK(other.load_state_dict(state).why.find("'0.weight' has another shape") != std::string::npos);
  CHECK_FALSE(static_cast<bool>(opt.load_state_dict(Value(3))));
}

TEST_CASE("a saved state does not depend on the default dtype") {
  Network network;
  auto opt = network.opt();
  network.step(opt);
  const auto former = c10::get_default_dtype();
  c10::set_default_dtype(caffe2::TypeMeta::Make<double>());
  const auto state = opt.state_dict();
  c10::set_default_dtype(former);
  for (const auto& [index, one] : state.at("state").entries()) {
    for (const auto& [name, tensor] : one.entries())
      CHECK(tensor.as_tensor().scalar_type() == torch::kFloat32);
  }
}
