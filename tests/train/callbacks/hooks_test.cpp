// What hooks see, compared with the layers computed by hand.
#include "fastcpp/hooks/hook.hpp"

#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/pooling.h>
#include <torch/nn/pimpl.h>
#include <torch/optim/sgd.h>
#include <torch/utils.h>

#include <cmath>
#include <map>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

#include "fastcpp/train/callbacks/activation_stats.hpp"
#include "fastcpp/train/forward.hpp"
#include "fastcpp/train/learner.hpp"
#include "fastcpp/train/model_sizes.hpp"
#include "support/catch.hpp"
#include "support/points.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace nn = torch::nn;

namespace {

nn::Sequential hooked_network() {
  torch::manual_seed(4);
  return nn::Sequential(nn::Linear(2, 5), nn::ReLU(), nn::Linear(5, 2));
}

torch::Tensor by_hand(const nn::LinearImpl& layer, const torch::Tensor& x) {
  return x.matmul(layer.weight.t()) + layer.bias;
}

// Sums of five numbers in another order.
constexpr double kSumOrder = 1e-6;

bool near(const torch::Tensor& a, const torch::Tensor& b) {
  return a.defined() && a.sizes() == b.sizes() && torch::allclose(a, b, 1e-5, kSumOrder);
}

// Calls its layers itself, as the blocks of residual networks do.
struct HookedBlockImpl : nn::Module {
  HookedBlockImpl() {
    conv = register_module("conv", nn::Conv2d(nn::Conv2dOptions(1, 3, 3).padding(1)));
    norm = register_module("norm", nn::BatchNorm2d(3));
    plain = register_module("plain", nn::Linear(nn::LinearOptions(8, 4).bias(false)));
    biased = register_module("biased", nn::Linear(4, 2));
  }
  // n x 1 x 6 x 8 -> n x 3 x 6 x 2
  torch::Tensor forward(const torch::Tensor& x) { return biased(plain(norm(conv(x)).relu_())); }
  nn::Conv2d conv{nullptr};
  nn::BatchNorm2d norm{nullptr};
  nn::Linear plain{nullptr}, biased{nullptr};
};
TORCH_MODULE(HookedBlock);

// Counts the calls for each layer and keeps a copy of what was seen: later layers may work in place.
struct SeenByHook {
  std::map<const nn::Module*, std::vector<torch::Tensor>> of;
  Hook::Function function() {
    return [this](const nn::Module& module, const torch::Tensor& output) {
      of[&module].push_back(output.clone());
      return torch::Tensor();
    };
  }
};

}  // namespace

TEST_CASE("hooks see what the layers of a sequence give, until they are removed") {
  auto net = hooked_network();
  const Model model(net);
  const auto x = torch::randn({7, 2});
  auto hooks = hook_outputs(net->children());
  REQUIRE(hooks.size() == 3);
  CHECK_FALSE(hooks[0].stored().defined());
  const torch::Tensor output = model(x);
  const auto& first = *net->ptr(0)->as<nn::Linear>();
  const auto& last = *net->ptr(2)->as<nn::Linear>();
  CHECK(near(hooks[0].stored(), by_hand(first, x)));
  CHECK(near(hooks[1].stored(), by_hand(first, x).relu()));
  CHECK(near(hooks[2].stored(), by_hand(last, by_hand(first, x).relu())));
  CHECK(torch::equal(hooks[2].stored(), output));
  CHECK_FALSE(hooks[0].stored().requires_grad());
  CHECK(output.requires_grad());

  // The same numbers with hooks and without.
  const auto whole = hook_output(net.ptr(), {.detach = false});
  CHECK(torch::equal(forward(model, x), output));
  CHECK(torch::equal(whole.stored(), output));
  CHECK(whole.stored().requires_grad());

  const auto before = hooks.stored();
  hooks.remove();
  forward(model, 2 * x);
  for (std::size_t i = 0; i < 3; ++i) CHECK(hooks[i].stored().is_same(before[i]));
  CHECK_FALSE(torch::equal(whole.stored(), output));
  hooks.clear();
  CHECK_FALSE(hooks.stored()[1].defined());
  CHECK(caught([] { hook_output(nullptr); }).code == "value.hook");
  CHECK(caught([&] { Hook(net.ptr(), nullptr); }).code == "value.hook");
}

TEST_CASE("a hook ends with its last copy, and sees its own thread only") {
  auto net = hooked_network();
  const Model model(net);
  int calls = 0;
  const auto count = [&calls](const nn::Module&, const torch::Tensor&) {
    ++calls;
    return torch::Tensor();
  };
  {
    std::optional<Hook> copy;
    {
      const Hook hook(net->ptr(1), count);
      copy = hook;
    }
    model(torch::ones({1, 2}));
    CHECK(calls == 1);
    std::thread([&] { model(torch::ones({1, 2})); }).join();
    CHECK(calls == 1);
  }
  model(torch::ones({1, 2}));
  CHECK(calls == 1);
}

TEST_CASE("a hook on a gradient") {
  auto net = hooked_network();
  const Model model(net);
  const auto x = torch::randn({4, 2});
  const auto hook = hook_output(net->ptr(0), {.grad = true});
  const auto acts = hook_output(net->ptr(0));
  torch::Tensor(model(x)).select(1, 1).sum().backward();
  // d output[1] / d hidden = the second row of the weight where the unit is on.
  const auto& last = *net->ptr(2)->as<nn::Linear>();
  const auto want = last.weight[1].expand({4, 5}) * acts.stored().gt(0);
  CHECK(near(hook.stored(), want.detach()));
}

TEST_CASE("layers that a forward function calls itself are seen once each") {
  HookedBlock block;
  const Model model(block.ptr());
  SeenByHook seen;
  const Hooks hooks(block->children(), seen.function());
  const auto x = torch::randn({2, 1, 6, 8});
  torch::Tensor output = model(x);
  output.square().sum().backward();
  // Neither the way back nor a step counts.
  torch::optim::SGD(block->parameters(), 0.0).step();
  REQUIRE(seen.of.size() == 4);
  for (const auto& [module, outputs] : seen.of) {
    INFO(module->name());
    CHECK(outputs.size() == 1);
  }
  const auto at = [&](const nn::Module& layer) { return seen.of.at(&layer).at(0); };
  const torch::NoGradGuard no_grad;
  const auto conv = torch::conv2d(x, block->conv->weight, block->conv->bias, 1, 1);
  CHECK(near(at(*block->conv), conv));
  // Before the step in place after it.
  const auto mean = conv.mean({0, 2, 3}, true), var = conv.var({0, 2, 3}, false, true);
  const auto norm = (conv - mean) / (var + 1e-5).sqrt();
  CHECK(torch::allclose(at(*block->norm), norm, 1e-4, 1e-5));
  const auto plain = at(*block->norm).relu().matmul(block->plain->weight.t());
  CHECK(near(at(*block->plain), plain));
  CHECK(torch::equal(at(*block->biased), output));
}

TEST_CASE("what a hook's function throws leaves the pass, and the next pass is whole") {
  HookedBlock block;
  auto sequence = hooked_network();
  bool broken = true;
  const auto function = [&](const nn::Module&, const torch::Tensor& output) {
    if (broken) throw ValueError("value.test", "no such output");
    return output;
  };
  const Hook inside(block->conv.ptr(), function), outside(sequence->ptr(1), function);
  const Model by_operation(block.ptr()), by_sequence(sequence);
  const auto x = torch::ones({1, 1, 6, 8});
  CHECK(caught([&] { by_operation(x); }).code == "value.test");
  CHECK(caught([&] { by_sequence(torch::ones({1, 2})); }).code == "value.test");
  broken = false;
  by_operation(x);
  by_sequence(torch::ones({1, 2}));
  CHECK(inside.stored().sizes() == torch::IntArrayRef({1, 3, 6, 8}));
  CHECK(outside.stored().sizes() == torch::IntArrayRef({1, 5}));
}

TEST_CASE("a hook may run networks and remove itself") {
  auto net = hooked_network();
  const Model model(net);
  int calls = 0;
  std::optional<Hook> hook;
  hook.emplace(net->ptr(0), [&](const nn::Module&, const torch::Tensor&) {
    ++calls;
    const torch::Tensor other = model(torch::zeros({1, 2}));
    hook->remove();
    return other;
  });
  const torch::Tensor output = model(torch::ones({3, 2}));
  CHECK(output.size(0) == 3);
  CHECK(hook->stored().size(0) == 1);
  model(torch::ones({3, 2}));
  CHECK(calls == 1);
}

TEST_CASE("statistics of activations go on with their training") {
  const auto trained = [](const Path& dir, std::int64_t stop_at, bool resume) {
    torch::manual_seed(2);
    Learner learn(bunch_of_points(dir, {.n_train = 20, .n_valid = 10, .bs = 8}),
                  Model(hooked_network()), {.silent = true});
    const auto stats = std::make_shared<ActivationStats>();
    std::stop_source source;
    const auto stop = make_callback({.on_step_end = [&](Learner&, TrainState& state) {
      if (state.iteration == stop_at) source.request_stop();
    }});
    learn.fit(2, 1e-2,
              {.callbacks = {stats, stop},
               .stop = source.get_token(),
               .checkpoint = CheckpointOptions{.resume = resume}});
    return stats->stats();
  };
  TempDir whole_dir, dir;
  const auto whole = trained(whole_dir.path(), -1, false);
  CHECK(trained(dir.path(), 2, false).size(2) == 3);
  CHECK(torch::equal(trained(dir.path(), -1, true), whole));
}

TEST_CASE("statistics of activations") {
  TempDir dir;
  auto net = hooked_network();
  Learner learn(bunch_of_points(dir.path(), {.n_train = 20, .n_valid = 10, .bs = 8}), Model(net),
                {.silent = true});
  const auto stats = std::make_shared<ActivationStats>();
  CHECK(stats->stats().sizes() == torch::IntArrayRef({2, 0, 0}));
  const auto batch = std::make_shared<RecordOnCPU>();
  std::vector<torch::Tensor> inputs;
  const auto keep = make_callback({.on_batch_end =
                                       [&](Learner&, TrainState& state) {
                                         if (state.train) inputs.push_back(batch->input());
                                       },
                                   .order = 10});
  // At rate 0 the weights stay what they are.
  learn.fit(2, 0.0, {.wd = 0, .callbacks = {stats, batch, keep}});
  REQUIRE(inputs.size() == 4);
  const auto found = stats->stats();
  REQUIRE(found.sizes() == torch::IntArrayRef({2, 2, 4}));
  const auto& first = *net->ptr(0)->as<nn::Linear>();
  const auto& last = *net->ptr(2)->as<nn::Linear>();
  for (std::int64_t b = 0; b < 4; ++b) {
    const auto hidden = by_hand(first, inputs[static_cast<std::size_t>(b)]);
    const auto out = by_hand(last, hidden.relu());
    std::int64_t layer = 0;
    for (const auto& values : {hidden, out}) {
      INFO("batch " << b << ", layer " << layer);
      const double n = static_cast<double>(values.numel());
      const double mean = values.sum().item<double>() / n;
      const double squares = (values - mean).square().sum().item<double>();
      CHECK(found[0][layer][b].item<double>() == Approx(mean).margin(1e-5));
      CHECK(found[1][layer][b].item<double>() == Approx(std::sqrt(squares / (n - 1))).margin(1e-5));
      ++layer;
    }
  }
  // The last batch was one of validation, 8 + 2 items, of which nothing is recorded.
  CHECK(batch->target().length() == 2);
  CHECK_FALSE(stats->hooks().stored()[0].defined());
  // A new fit begins anew.
  learn.fit(1, 0.0, {.callbacks = {stats}});
  CHECK(stats->stats().sizes() == torch::IntArrayRef({2, 2, 2}));
}

TEST_CASE("statistics of chosen layers, and of one that does not run") {
  TempDir dir;
  auto net = hooked_network();
  Learner learn(bunch_of_points(dir.path(), {.n_train = 16, .n_valid = 8, .bs = 8}), Model(net),
                {.silent = true});
  const auto stranger = nn::Linear(2, 2).ptr();
  const auto stats =
      std::make_shared<ActivationStats>(HookCallbackOptions{.modules = {net->ptr(1), stranger}});
  learn.fit(1, 1e-3, {.callbacks = {stats}});
  const auto found = stats->stats();
  REQUIRE(found.sizes() == torch::IntArrayRef({2, 2, 2}));
  CHECK(found[0][0].min().item<float>() > 0);  // means behind a ReLU
  CHECK(found.select(1, 1).isnan().all().item<bool>());
}

TEST_CASE("the sizes that a network's children give") {
  const Model body(nn::Sequential(nn::Conv2d(nn::Conv2dOptions(3, 4, 3).stride(2).padding(1)),
                                  nn::ReLU(), nn::AdaptiveAvgPool2d(1)));
  using Size = std::vector<std::int64_t>;
  CHECK(model_sizes(body, {32, 48}) ==
        std::vector<Size>{{1, 4, 16, 24}, {1, 4, 16, 24}, {1, 4, 1, 1}});
  CHECK(model_sizes(body).front() == Size{1, 4, 128, 128});
  CHECK(body->is_training());
  const auto x = dummy_batch(body, {8, 9});
  CHECK(x.sizes() == torch::IntArrayRef({1, 3, 8, 9}));
  CHECK(x.abs().max().item<float>() <= 1);
  CHECK(x.std(true).item<float>() > 0.4F);  // of numbers between -1 and 1: 0.577
  CHECK(torch::equal(x, dummy_batch(body, {8, 9})));
  CHECK(dummy_eval(body).sizes() == torch::IntArrayRef({1, 4, 1, 1}));
  CHECK(has_params(*body));
  CHECK_FALSE(has_params(*nn::ReLU()));
  CHECK(caught([&] { dummy_batch(body, {0, 9}); }).code == "value.size");
  CHECK(caught([] { dummy_batch(Model(nn::Sequential(nn::ReLU()))); }).code == "value.model");
  CHECK(caught([] { model_sizes(Model()); }).code == "value.model");
}
