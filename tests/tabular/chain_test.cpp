// Small losses and graphs of a table's training beside LibTorch's own: the loss's operation, and running backward without the engine.
#include <torch/autograd.h>
#include <torch/csrc/autograd/anomaly_mode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/nn/functional/loss.h>
#include <torch/nn/modules/embedding.h>
#include <torch/utils.h>

#include <cmath>
#include <utility>
#include <vector>

#include "compat/gradient_hook.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/tabular/model.hpp"
#include "fastcpp/train/metrics/loss.hpp"
#include "support/catch.hpp"
#include "train/chain.hpp"
#include "train/metrics/small_cross_entropy.hpp"

using namespace fastcpp;
using torch::Tensor;

namespace {

constexpr double kRounding = 1e-6;  // of single precision, of numbers near 1

double apart(const Tensor& a, const Tensor& b) {
  return (a.to(torch::kFloat64) - b.to(torch::kFloat64)).abs().max().item<double>();
}

struct Derived {
  Tensor loss, gradient;
};

Derived by_library(const Tensor& values, const Tensor& targets) {
  const auto outputs = values.clone().requires_grad_();
  const auto loss = losses::small_cross_entropy(outputs, targets);
  REQUIRE(loss);
  loss->backward();
  return {*loss, outputs.grad()};
}

Derived by_libtorch(const Tensor& values, const Tensor& targets) {
  const auto outputs = values.to(torch::kFloat64).requires_grad_();
  const auto loss = torch::nn::functional::cross_entropy(outputs, targets);
  loss.backward();
  return {loss, outputs.grad()};
}

bool is_small(const Tensor& loss) {
  return loss.grad_fn() && loss.grad_fn()->name() == "CrossEntropyBackward";
}

}  // namespace

TEST_CASE("small cross-entropy: value and gradient are LibTorch's", "[train]") {
  torch::manual_seed(1);
  for (const auto& [rows, classes] :
       std::vector<std::pair<int, int>>{{1, 1}, {1, 2}, {64, 2}, {7, 37}, {512, 2}, {1, 1024}}) {
    CAPTURE(rows, classes);
    const auto values = torch::randn({rows, classes}) * 10;
    const auto targets = torch::randint(0, classes, {rows}, torch::kInt64);
    const auto got = by_library(values, targets), want = by_libtorch(values, targets);
    // The outputs are up to 40.
    CHECK(apart(got.loss, want.loss) < 40 * kRounding);
    CHECK(apart(got.gradient, want.gradient) < kRounding);
  }
  CHECK_FALSE(
      losses::small_cross_entropy(torch::zeros({20, 100}), torch::zeros({20}, torch::kInt64)));
  const auto far = torch::tensor({1e30F, -1e30F, 0.0F, 200.0F}).reshape({2, 2});
  const auto got = by_library(far, torch::tensor({0, 0}));
  CHECK(got.loss.item<double>() == 100);
  CHECK(apart(got.gradient, torch::tensor({0.0, 0.0, -0.5, 0.5}).reshape({2, 2})) < kRounding);
  const auto nan = by_library(torch::tensor({NAN, 1.0F}).reshape({1, 2}), torch::tensor({1}));
  CHECK(std::isnan(nan.loss.item<double>()));
}

TEST_CASE("small cross-entropy: what it does not know is LibTorch's", "[train]") {
  const auto targets = torch::tensor({0, 2, 1, 1});
  const auto loss = cross_entropy();
  TabularModel model(TabularModelOptions{.n_cont = 3, .out_sz = 3});
  const auto outputs = model->forward({}, torch::randn({4, 3}));
  const bool known = outputs.grad_fn() && outputs.grad_fn()->name() == "TabularBackward";
  CHECK(is_small(loss(outputs, targets)) == known);
  if (!known) return;  // a processor without kernels
  CHECK(is_small(cross_entropy({.axis = 1})(outputs, targets)));
  CHECK_FALSE(is_small(cross_entropy({.weight = torch::ones({3})})(outputs, targets)));
  CHECK_FALSE(is_small(loss(outputs.to(torch::kFloat64), targets)));
  CHECK_FALSE(is_small(loss(outputs * 2, targets)));
  CHECK_FALSE(losses::small_cross_entropy(torch::randn({3, 4}).t(), targets));
  CHECK_FALSE(
      is_small(loss(outputs, torch::tensor({0, 2, -100, 1}))));  // LibTorch's "to be ignored"
  CHECK(std::isfinite(loss(outputs, torch::tensor({0, 2, -100, 1})).item<double>()));
  CHECK_THROWS_AS(loss(outputs, torch::tensor({0, 2, 3, 1})), Error);
  CHECK_THROWS_AS(loss(outputs, torch::tensor({0, 2})), ValueError);
  const torch::NoGradGuard no_grad;
  CHECK_FALSE(loss(outputs, targets).requires_grad());
}

TEST_CASE("small cross-entropy: graphs kept, released and derived again", "[train]") {
  torch::manual_seed(1);
  const auto values = torch::randn({5, 3});
  const auto targets = torch::tensor({0, 2, 1, 1, 0});
  const auto outputs = values.clone().requires_grad_();
  auto loss = *losses::small_cross_entropy(outputs, targets);
  loss.backward({}, /*retain_graph=*/true);
  const auto once = outputs.grad().clone();
  loss.backward();
  CHECK(apart(outputs.grad(), 2 * once) < kRounding);
  CHECK_THROWS_AS(loss.backward(), c10::Error);

  const auto second = [&](const Tensor& x, const Tensor& made) {
    const auto first = torch::autograd::grad({made}, {x}, {}, true, true)[0];
    return torch::autograd::grad({first.square().sum()}, {x})[0];
  };
  const auto x = values.clone().requires_grad_();
  const auto wide = values.to(torch::kFloat64).requires_grad_();
  CHECK(apart(second(x, *losses::small_cross_entropy(x, targets)),
              second(wide, torch::nn::functional::cross_entropy(wide, targets))) < kRounding);
}

TEST_CASE("a chain of operations runs backward as by the engine", "[train]") {
  torch::manual_seed(1);
  const TabularModelOptions options{
      .emb_szs = {{10, 6}, {10, 6}}, .n_cont = 3, .out_sz = 2, .layers = {20, 10}};
  TabularModel model(options);
  const auto codes = torch::randint(0, 3, {16, 2}, torch::kInt64);
  const auto numbers = torch::randn({16, 3});
  const auto targets = torch::randint(0, 2, {16}, torch::kInt64);
  const auto params = model->parameters();
  Tensor outputs;
  const auto loss = [&] {
    outputs = model->forward(codes, numbers);
    return cross_entropy()(outputs, targets);
  };
  const auto gradients = [&](const auto& run) {
    for (const auto& p : params) p.mutable_grad() = Tensor();
    run(loss());
    std::vector<Tensor> all;
    for (const auto& p : params) all.push_back(p.grad().defined() ? p.grad().clone() : Tensor());
    return all;
  };
  const bool known = is_small(loss());  // none on a processor without kernels
  const auto by_engine = [](const Tensor& made) { made.backward(); };
  const auto by_chain = [&](const Tensor& made) {
    CHECK(backward_of_chain(made) == known);
    if (!known) made.backward();
  };
  const auto left_to_engine = [](const Tensor& made) {
    REQUIRE_FALSE(backward_of_chain(made));
    backward(made);
  };
  const auto same = [](const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
    for (std::size_t i = 0; i < a.size(); ++i) {
      REQUIRE(a[i].defined() == b[i].defined());
      if (a[i].defined()) CHECK(torch::equal(a[i], b[i]));
    }
  };
  const auto want = gradients(by_engine);
  same(gradients(by_chain), want);

  // Gradients that are there are added to, and the graph is released.
  const auto twice = gradients([&](const Tensor& made) {
    backward(made);
    backward(loss());
    CHECK_THROWS_AS(backward(made), c10::Error);
  });
  for (std::size_t i = 0; i < want.size(); ++i) {
    if (want[i].numel() > 0) CHECK(apart(twice[i], 2 * want[i]) < kRounding);
  }

  params[0].requires_grad_(false);  // a frozen embedding
  const auto frozen = gradients(by_chain);
  CHECK_FALSE(frozen[0].defined());
  same(frozen, gradients(by_engine));
  params[0].requires_grad_(true);

  // Who looks at gradients sees them.
  int seen = 0;
  {
    const compat::GradientHook waits(params[2], [&] { ++seen; });
    same(gradients(left_to_engine), want);
    CHECK(seen == 1);
  }
  {
    const torch::autograd::DetectAnomalyGuard anomaly;
    same(gradients(left_to_engine), want);
  }
  gradients([&](const Tensor& made) {
    outputs.retain_grad();
    left_to_engine(made);
  });
  CHECK(outputs.grad().defined());
  same(gradients(by_chain), want);

  // And any other loss is LibTorch's.
  const auto scaled = gradients([&](const Tensor& made) { left_to_engine(made * 2); });
  for (std::size_t i = 0; i < want.size(); ++i) {
    if (want[i].numel() > 0) CHECK(apart(scaled[i], 2 * want[i]) < kRounding);
  }

  // A weight that stands twice gets both gradients.
  model->embeds[1]->as<torch::nn::EmbeddingImpl>()->weight =
      model->embeds[0]->as<torch::nn::EmbeddingImpl>()->weight;
  const auto shared = gradients(by_chain)[0];
  CHECK(apart(shared, gradients(by_engine)[0]) < kRounding);
  CHECK(shared.abs().sum().item<double>() > 0);

  // Last: LibTorch 1.13 leaves a list where a hook was.
  const auto once = gradients(by_engine)[2];
  params[2].register_hook([&](const Tensor& gradient) {
    ++seen;
    return 3 * gradient;
  });
  CHECK(apart(gradients(left_to_engine)[2], 3 * once) < kRounding);
  CHECK(seen == 2);
}
