// Gradients of several batches in one step, against steps that are computed here.
#include "fastcpp/train/callbacks/accumulate.hpp"

#include <torch/nn/functional/linear.h>
#include <torch/nn/functional/loss.h>
#include <torch/nn/modules/linear.h>
#include <torch/utils.h>

#include <cmath>
#include <utility>

#include "fastcpp/train/callbacks/callbacks.hpp"
#include "fastcpp/train/callbacks/ema.hpp"
#include "fastcpp/train/callbacks/mixed_precision.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace nn = torch::nn;

namespace {

constexpr double kSumTolerance = 1e-12;  // double precision, sums in another order
constexpr double kAccumulateLr = 0.3;

struct Groups {
  TempDir dir;
  torch::Tensor x, y;
  nn::Linear layer{3, 2};
  Learner learn;

  // Items first to last of a drawn set, in order.
  explicit Groups(std::int64_t first, std::int64_t last, std::int64_t bs = 4)
      : learn(data(first, last, bs), model(), {.opt_func = sgd(), .wd = 0, .silent = true}) {}

  DataBunch data(std::int64_t first, std::int64_t last, std::int64_t bs) {
    torch::manual_seed(11);
    const auto all_x = torch::randn({64, 3}, torch::kFloat64);
    const auto all_y = torch::randint(2, {64}, torch::kLong);
    x = all_x.slice(0, first, last).clone();
    y = all_y.slice(0, first, last).clone();
    return DataBunch::create({std::make_shared<TensorDataset>(x, y), nullptr, nullptr, nullptr},
                             dir.path(),
                             {.bs = bs,
                              .num_workers = 0,
                              .device = torch::kCPU,
                              .classes = {"a", "b"},
                              .shuffle = false});
  }
  Model model() {
    torch::manual_seed(12);
    layer = nn::Linear(3, 2);
    layer->to(torch::kFloat64);
    return Model(layer);
  }
  // What one step on these items makes of weight and bias.
  std::pair<torch::Tensor, torch::Tensor> step(std::pair<torch::Tensor, torch::Tensor> from,
                                               const torch::Tensor& items, double clip = 0) const {
    auto weight = from.first.detach().clone().set_requires_grad(true);
    auto bias = from.second.detach().clone().set_requires_grad(true);
    torch::nn::functional::cross_entropy(
        torch::nn::functional::linear(x.index_select(0, items), weight, bias),
        y.index_select(0, items))
        .backward();
    auto dw = weight.grad(), db = bias.grad();
    if (clip > 0) {
      const double norm = std::sqrt((dw.square().sum() + db.square().sum()).item<double>());
      if (norm > clip) dw = dw * (clip / norm), db = db * (clip / norm);
    }
    return {weight.detach() - kAccumulateLr * dw, bias.detach() - kAccumulateLr * db};
  }
  std::pair<torch::Tensor, torch::Tensor> weights() const {
    return {layer->weight.detach().clone(), layer->bias.detach().clone()};
  }
  bool at(const std::pair<torch::Tensor, torch::Tensor>& want) const {
    return torch::allclose(layer->weight, want.first, kSumTolerance, kSumTolerance) &&
           torch::allclose(layer->bias, want.second, kSumTolerance, kSumTolerance);
  }
};

torch::Tensor items_of(std::int64_t first, std::int64_t last) {
  return torch::arange(first, last, torch::kLong);
}

}  // namespace

TEST_CASE("several batches make the step of one that holds all their items") {
  Groups s(0, 64);
  auto want = s.weights();
  for (int epoch = 0; epoch < 2; ++epoch) {
    for (int i = 0; i < 4; ++i) want = s.step(want, items_of(16 * i, 16 * i + 16));
  }
  s.learn.fit(2, kAccumulateLr, {.callbacks = {accumulate_scheduler({.n_step = 4})}});
  CHECK(s.at(want));
  // The losses are means of batches as ever.
  Groups one(0, 64);
  one.learn.fit(1, 0.0);
  Groups four(0, 64);
  four.learn.fit(1, 0.0, {.callbacks = {accumulate_scheduler({.n_step = 4})}});
  CHECK(one.learn.recorder().losses == four.learn.recorder().losses);
}

TEST_CASE("the batches left at an epoch's end make a step, or none") {
  Groups s(0, 24), dropped(0, 24);
  auto want = s.weights(), want_dropped = want;
  for (int epoch = 0; epoch < 2; ++epoch) {
    want = s.step(s.step(want, items_of(0, 16)), items_of(16, 24));
    want_dropped = s.step(want_dropped, items_of(0, 16));
  }
  const auto average = std::make_shared<EMACallback>();
  s.learn.callbacks().push_back(
      std::make_shared<AccumulateScheduler>(AccumulateOptions{.n_step = 4}));
  s.learn.fit(2, kAccumulateLr, {.callbacks = {average}});
  dropped.learn.fit(2, kAccumulateLr,
                    {.callbacks = {accumulate_scheduler({.n_step = 4, .drop_last = true})}});
  CHECK(average->steps() == 4);
  CHECK(dropped.at(want_dropped));
  // The average is in that model; the weights themselves come from a fit without it.
  Groups plain(0, 24);
  plain.learn.accumulate({.n_step = 4}).fit(2, kAccumulateLr);
  CHECK(plain.at(want));
  plain.learn.accumulate({.n_step = 2}).accumulate({.n_step = 1});
  CHECK(plain.learn.callbacks().empty());
}

TEST_CASE("clipping sees the gradients of the whole group") {
  Groups s(0, 16);
  const auto want = s.step(s.weights(), items_of(0, 16), 0.05);
  s.learn.fit(1, kAccumulateLr,
              {.callbacks = {gradient_clipping(0.05), accumulate_scheduler({.n_step = 4})}});
  CHECK(
      torch::allclose(s.layer->weight, want.first, 1e-5, 1e-7));  // clipping adds 1e-6 to the norm
}

TEST_CASE("each batch of a group is unscaled once, whatever the scale of its loss") {
  Groups s(0, 16);
  const auto want = s.step(s.weights(), items_of(0, 16));
  s.learn.fit(1, kAccumulateLr,
              {.callbacks = {accumulate_scheduler({.n_step = 4}),
                             mixed_precision({.loss_scale = 1024.0, .loss_fp32 = false})}});
  CHECK(s.at(want));
}

TEST_CASE("a batch that another callback skips is not added") {
  Groups s(0, 16);
  const auto want = s.step(s.weights(), torch::cat({items_of(0, 4), items_of(8, 16)}));
  const auto skips = make_callback({.on_backward_begin = [](Learner&, TrainState& state) {
    state.skip_step = state.iteration == 1;
  }});
  s.learn.fit(1, kAccumulateLr, {.callbacks = {skips, accumulate_scheduler({.n_step = 4})}});
  CHECK(s.at(want));
}

TEST_CASE("a group goes on from its state") {
  Groups whole(0, 16), begin(0, 16), rest(12, 16);
  const auto want = whole.step(whole.weights(), items_of(0, 16));
  const auto first = std::make_shared<AccumulateScheduler>(AccumulateOptions{.n_step = 4});
  const auto second = std::make_shared<AccumulateScheduler>(AccumulateOptions{.n_step = 4});
  const auto keep = make_callback({.on_batch_end = [&](Learner&, TrainState& state) {
    if (state.iteration == 2) second->load_state(first->state());
  }});
  begin.learn.fit(1, kAccumulateLr, {.callbacks = {first, keep}});
  CHECK(second->batches() == 3);
  rest.learn.fit(1, kAccumulateLr, {.callbacks = {second}});
  CHECK(rest.at(want));
  CHECK(caught([] { AccumulateScheduler({.n_step = 0}); }).code == "value.n_batches");
}
