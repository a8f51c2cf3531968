// Convolutions in training: gradients beside LibTorch's, and what is left to LibTorch.
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/forward_grad.h>
#include <torch/csrc/autograd/function.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/utils.h>

#include <string>
#include <vector>

#include "compat/autocast.hpp"
#include "fastcpp/hooks/hook.hpp"
#include "fastcpp/vision/models/fold.hpp"
#include "kernels/conv_kernels.hpp"
#include "support/catch.hpp"
#include "support/conv_shape.hpp"
#include "vision/models/layers.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace nn = torch::nn;
using torch::Tensor;

namespace {

models::Conv2d layer_of(std::int64_t in, std::int64_t out, bool bias, std::int64_t padding = 1) {
  auto layer = models::conv2d(in, out, 3, {.padding = padding, .bias = bias});
  models::init_weights(*layer, {}, 1);
  layer->train();
  return layer;
}

// The output of a layer, and the gradients of its input and parameters.
std::vector<Tensor> step(models::Conv2d& layer, const Tensor& x, const Tensor& dy) {
  layer->zero_grad();
  const auto leaf = x.detach().clone().set_requires_grad(true);
  const auto y = layer(leaf);
  y.backward(dy);
  std::vector<Tensor> result{y.detach(), leaf.grad().clone()};
  for (const auto& p : layer->parameters()) result.push_back(p.grad().clone());
  return result;
}

// Whether the library's kernels made it.
bool is_ours(const Tensor& y) {
  return y.grad_fn() && y.grad_fn()->name().find("TrainedConv") != std::string::npos;
}

bool kernels() {
  return models::conv_kernels() != nullptr;
}

}  // namespace

TEST_CASE("outputs and gradients of trained convolutions are LibTorch's but for rounding") {
  torch::manual_seed(2);
  const bool bias = GENERATE(false, true);
  const std::int64_t padding = GENERATE(0, 1, 2);
  // The last is made in two parts.
  const std::vector<std::vector<std::int64_t>> sizes{
      {5, 24, 14, 11, 40}, {33, 16, 5, 4, 16}, {8, 512, 7, 7, 400}};
  for (const auto& s : sizes) {
    INFO(s << " padding " << padding);
    auto layer = layer_of(s[1], s[4], bias, padding);
    const auto x = torch::randn({s[0], s[1], s[2], s[3]});
    const auto dy = torch::randn({s[0], s[4], s[2] + 2 * padding - 2, s[3] + 2 * padding - 2});
    CHECK(is_ours(layer(x)) == kernels());
    const auto got = step(layer, x, dy);
    models::set_training_conv(*layer, models::TrainingConv::kLibTorch);
    CHECK_FALSE(is_ours(layer(x)));
    const auto want = step(layer, x, dy);
    REQUIRE(got.size() == (bias ? 4 : 3));
    for (std::size_t i = 0; i < got.size(); ++i) {
      REQUIRE(got[i].sizes() == want[i].sizes());
      CHECK(gap(got[i], want[i].to(torch::kFloat64)) < 1e-4);
    }
  }
}

TEST_CASE("an input of fewer tiles than its output has a gradient") {
  torch::manual_seed(2);
  auto layer = layer_of(16, 24, false, /*padding=*/2);
  const auto x = torch::randn({5, 16, 8, 8}), dy = torch::randn({5, 24, 10, 10});
  CHECK(is_ours(layer(x)) == kernels());
  const auto got = step(layer, x, dy);
  models::set_training_conv(*layer, models::TrainingConv::kLibTorch);
  const auto want = step(layer, x, dy);
  for (std::size_t i = 0; i < got.size(); ++i) {
    CHECK(gap(got[i], want[i].to(torch::kFloat64)) < 1e-4);
  }
}

TEST_CASE("only the gradients that somebody needs are made") {
  if (!kernels()) return;
  torch::manual_seed(2);
  const auto x = torch::randn({4, 16, 9, 9}), dy = torch::randn({4, 16, 9, 9});
  auto layer = layer_of(16, 16, true);
  layer(x).backward(dy);
  CHECK(layer->weight.grad().defined());
  // A frozen layer behind one that is trained.
  for (auto& p : layer->parameters()) {
    p.mutable_grad() = Tensor();
    p.set_requires_grad(false);
  }
  const auto leaf = x.clone().set_requires_grad(true);
  const auto y = layer(leaf);
  CHECK(is_ours(y));
  y.backward(dy);
  CHECK(leaf.grad().defined());
  CHECK_FALSE(layer->weight.grad().defined());
  CHECK_FALSE(layer->bias.grad().defined());
  // Then nothing needs its input, which may change.
  const auto input = leaf * 1;
  const auto again = layer(input);
  input.detach().add_(1);
  CHECK_NOTHROW(again.backward(dy));
  // A bias alone.
  layer->bias.set_requires_grad(true);
  layer(x).backward(dy);
  CHECK(gap(layer->bias.grad(), dy.to(torch::kFloat64).sum({0, 2, 3})) < 1e-5);
}

TEST_CASE("a backward pass may be run twice, and makes a graph where one is wanted") {
  torch::manual_seed(2);
  auto layer = layer_of(16, 16, true);
  const auto x = torch::randn({4, 16, 9, 9}).set_requires_grad(true);
  const auto penalty = [&] {
    const auto y = layer(x).pow(2).sum();
    const auto g = torch::autograd::grad({y}, {x}, {}, true, /*create_graph=*/true)[0];
    return torch::autograd::grad({g.pow(2).sum()}, {x, layer->weight, layer->bias});
  };
  const auto got = penalty();
  models::set_training_conv(*layer, models::TrainingConv::kLibTorch);
  const auto want = penalty();
  for (std::size_t i = 0; i < got.size(); ++i) {
    CHECK(gap(got[i], want[i].to(torch::kFloat64)) < 1e-4);
  }
  models::set_training_conv(*layer, models::TrainingConv::kPacked);
  {
    // Casts are decided where the forward pass runs.
    const auto twice = 2 * layer(x);
    const compat::Autocast autocast(torch::kCPU, torch::kBFloat16);
    const auto g = torch::autograd::grad({twice.sum()}, {x}, {}, true, /*create_graph=*/true)[0];
    const auto exact =
        torch::conv_transpose2d(torch::full({4, 16, 9, 9}, 2, torch::kFloat64),
                                layer->weight.detach().to(torch::kFloat64), {}, 1, 1);
    CHECK(gap(g.detach(), exact) < 1e-4);
  }
  const auto y = layer(x).sum();
  y.backward({}, /*retain_graph=*/true);
  const auto once = layer->weight.grad().clone();
  y.backward();
  CHECK(torch::allclose(layer->weight.grad(), 2 * once));
  CHECK_THROWS_AS(y.backward(), c10::Error);
}

TEST_CASE("a weight that changed between the passes is refused") {
  auto layer = layer_of(16, 16, false);
  const auto y = layer(torch::randn({8, 16, 8, 8})).sum();
  {
    const torch::NoGradGuard no_grad;
    layer->weight.mul_(2);
  }
  CHECK_THROWS_AS(y.backward(), c10::Error);
}

TEST_CASE("derivatives forward are LibTorch's, and hooks are told of a trained layer") {
  torch::manual_seed(2);
  auto layer = layer_of(16, 16, false);
  const auto x = torch::randn({4, 16, 9, 9}), tangent = torch::randn({4, 16, 9, 9});
  const auto level = torch::autograd::ForwardADLevel::get_next_idx();
  {
    const auto y = layer(torch::_make_dual(x, tangent, static_cast<std::int64_t>(level)));
    const auto along = std::get<1>(torch::_unpack_dual(y, static_cast<std::int64_t>(level)));
    const auto want = torch::conv2d(tangent.to(torch::kFloat64),
                                    layer->weight.detach().to(torch::kFloat64), {}, 1, 1);
    REQUIRE(along.defined());
    CHECK(gap(along.detach(), want) < 1e-4);
  }
  torch::autograd::ForwardADLevel::release_idx(level);
  int calls = 0;
  const Hook hook(layer.ptr(), [&](const nn::Module&, const Tensor& output) {
    ++calls;
    return output.detach().clone();
  });
  const auto y = models::stack(layer)->forward(x);
  CHECK(is_ours(y) == kernels());
  CHECK(calls == 1);
  CHECK(torch::equal(hook.stored(), y.detach()));
}

TEST_CASE("training that the kernels do not know is LibTorch's") {
  torch::manual_seed(2);
  const auto x = torch::randn({4, 16, 9, 9});
  const auto made_by = [&](auto&& change) {
    auto layer = layer_of(16, 16, false);
    change(*layer);
    return is_ours(layer(x));
  };
  CHECK(made_by([](auto&) {}) == kernels());
  CHECK_FALSE(made_by([](auto& l) { l.eval(); }));
  CHECK_FALSE(made_by([](auto& l) { l.options.stride(2); }));
  CHECK_FALSE(made_by([](auto& l) { l.options.padding(3); }));
  CHECK_FALSE(made_by([](auto& l) { l.options.dilation(2); }));
  CHECK_FALSE(made_by([](auto& l) { l.options.padding_mode(torch::kReflect); }));
  CHECK_FALSE(is_ours(layer_of(16, 8, false)(x)));
  CHECK_FALSE(is_ours(layer_of(8, 16, false)(torch::randn({4, 8, 9, 9}))));
  CHECK_FALSE(is_ours(layer_of(16, 16, false)(x[0])));
  CHECK_FALSE(is_ours(layer_of(16, 16, false)(x.narrow(0, 0, 3))));             // few tiles
  CHECK_FALSE(is_ours(layer_of(16, 16, false)(torch::randn({64, 16, 2, 2}))));  // mostly beyond
  // LibTorch says what does not fit.
  auto wrong = layer_of(16, 16, true);
  for (const auto& sizes : {std::vector<std::int64_t>{3}, {1, 16}, {20}}) {
    wrong->bias.set_data(torch::zeros(sizes));
    CHECK_THROWS_AS(wrong(x), c10::Error);
  }
  {
    const compat::Autocast autocast(torch::kCPU, torch::kBFloat16);
    CHECK_FALSE(is_ours(layer_of(16, 16, false)(x)));
  }
  const torch::NoGradGuard no_grad;
  CHECK_FALSE(layer_of(16, 16, false)(x).requires_grad());
}

TEST_CASE("through many layers gradients stay LibTorch's but for rounding") {
  torch::manual_seed(3);
  nn::Sequential net;
  for (int i = 0; i < 8; ++i) {
    net->push_back(layer_of(32, 32, false));
    net->push_back(models::batch_norm(32));
    net->push_back(nn::Tanh());  // smooth: where ReLU switches, rounding decides
  }
  const auto x = torch::randn({4, 32, 20, 20}), dy = torch::randn({4, 32, 20, 20});
  const auto gradients = [&] {
    net->zero_grad();
    net->forward(x).backward(dy);
    std::vector<Tensor> result;
    for (const auto& p : net->parameters()) result.push_back(p.grad().clone());
    return result;
  };
  const auto got = gradients();
  models::set_training_conv(*net, models::TrainingConv::kLibTorch);
  const auto want = gradients();
  for (std::size_t i = 0; i < got.size(); ++i) {
    CHECK(gap(got[i], want[i].to(torch::kFloat64)) < 1e-4);
  }
}
