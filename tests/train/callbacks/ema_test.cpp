// The moving average of the weights: ema.json, which a program of its own wrote (tests/golden/ema.py), and what surrounds it.
#include "fastcpp/train/callbacks/ema.hpp"

#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>
#include <torch/utils.h>

#include "fastcpp/io/checkpoint.hpp"
#include "fastcpp/train/callbacks/tracker.hpp"
#include "support/catch.hpp"
#include "support/golden.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace nn = torch::nn;

namespace {

constexpr double kEmaTolerance = 1e-12;  // both sides compute in double precision, in another order

torch::Tensor ema_grid(const std::string& key, std::int64_t rows, std::int64_t cols) {
  auto grid = torch::empty({rows, cols}, torch::kFloat64);
  for (std::int64_t i = 0; i < grid.numel(); ++i) {
    grid.data_ptr<double>()[i] = sgn(key, static_cast<std::uint64_t>(i));
  }
  return grid;
}

// The linear layer of ema.json over its items, in order.
struct EmaCase {
  TempDir dir;
  nn::Linear layer;
  Learner learn;

  explicit EmaCase(const Json& c)
      : layer(c.at("n_in").get<std::int64_t>(), c.at("n_out").get<std::int64_t>()),
        learn(data(c, dir.path()), model(c, layer), {.opt_func = sgd(), .silent = true}) {}

  static DataBunch data(const Json& c, const Path& path) {
    const auto n = c.at("n").get<std::int64_t>();
    auto set = std::make_shared<TensorDataset>(ema_grid("ema.x", n, c.at("n_in")),
                                               ema_grid("ema.y", n, c.at("n_out")));
    return DataBunch::create({set, set, nullptr, nullptr}, path,
                             {.bs = c.at("bs").get<std::int64_t>(),
                              .num_workers = 0,
                              .device = torch::kCPU,
                              .kind = LabelKind::kFloat,
                              .shuffle = false});
  }
  static Model model(const Json& c, nn::Linear& layer) {
    const torch::NoGradGuard no_grad;
    layer->to(torch::kFloat64);
    layer->weight.copy_(ema_grid("ema.weight", c.at("n_out"), c.at("n_in")));
    layer->bias.copy_(ema_grid("ema.bias", 1, c.at("n_out"))[0]);
    return Model(layer);
  }

  torch::Tensor weights() const {
    return torch::cat({layer->weight.detach().flatten(), layer->bias.detach()}).clone();
  }
};

bool ema_close(const torch::Tensor& found, const Json& want) {
  return torch::allclose(found, torch::tensor(numbers(want), torch::kFloat64), kEmaTolerance,
                         kEmaTolerance);
}

std::vector<torch::Tensor> ema_copies(const nn::Module& module) {
  std::vector<torch::Tensor> all;
  for (const auto& entry : state_dict(module)) all.push_back(entry.second.clone());
  return all;
}

bool ema_equal(const std::vector<torch::Tensor>& a, const std::vector<torch::Tensor>& b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!torch::equal(a[i], b[i])) return false;
  }
  return a.size() == b.size();
}

// A batch norm between two layers, on ten batches an epoch.
struct NormedNet {
  TempDir dir;
  nn::Sequential net;
  Learner learn;
  NormedNet() : net(make()), learn(data(dir.path()), Model(net), {.silent = true}) {}

  static nn::Sequential make() {
    torch::manual_seed(5);
    return nn::Sequential(nn::Linear(4, 6), nn::BatchNorm1d(6), nn::ReLU(), nn::Linear(6, 2));
  }
  static DataBunch data(const Path& path) {
    torch::manual_seed(6);
    const auto x = torch::randn({40, 4}, torch::kFloat32);
    auto set = std::make_shared<TensorDataset>(x, x.select(1, 0).gt(0).to(torch::kLong));
    return DataBunch::create({set, set, nullptr, nullptr}, path,
                             {.bs = 4, .num_workers = 0, .device = torch::kCPU, .seed = 3});
  }
};

}  // namespace

TEST_CASE("the average of the weights is that of the golden file, at every epoch") {
  const auto& cases = golden("ema.json").at("cases");
  for (const auto& c : cases) {
    INFO(c.at("name").get<std::string>());
    EmaCase s(c);
    const auto& want = c.at("epochs");
    const auto average = std::make_shared<EMACallback>(
        EmaOptions{.decay = number(c.at("decay")), .warm_up = c.at("warm_up").get<bool>()});
    std::size_t begun = 0, ended = 0;
    const auto watch =
        make_callback({.on_epoch_begin =
                           [&](Learner&, TrainState&) {
                             if (begun > 0)
                               CHECK(ema_close(s.weights(), want.at(begun - 1).at("trained")));
                             ++begun;
                           },
                       .on_epoch_end =
                           [&](Learner&, TrainState& state) {
                             CHECK(ema_close(s.weights(), want.at(ended).at("average")));
                             CHECK(state.last_metrics.at(0) ==
                                   Approx(number(want.at(ended).at("valid_loss"))).epsilon(1e-9));
                             ++ended;
                           }});
    s.learn.fit(static_cast<int>(want.size()), number(c.at("lr")),
                {.wd = number(c.at("wd")), .callbacks = {average, watch}});
    CHECK(begun == want.size());
    CHECK(ended == want.size());
    CHECK(ema_close(s.weights(), want.back().at("average")));
    CHECK(average->steps() == 9);

    EmaCase trained(c);
    trained.learn.fit(
        static_cast<int>(want.size()), number(c.at("lr")),
        {.wd = number(c.at("wd")),
         .callbacks = {ema({.decay = number(c.at("decay")), .at_end = EmaEnd::kTrained})}});
    CHECK(ema_close(trained.weights(), want.back().at("trained")));
    CHECK(trained.learn.validate().at(0) ==
          Approx(number(want.back().at("valid_loss_trained"))).epsilon(1e-9));
  }
  CHECK(cases.size() == 5);
}

TEST_CASE(
    "statistics of batch norms are averaged, counters copied, and a training is not disturbed") {
  NormedNet s, plain;
  torch::Tensor expected = s.net->ptr(1)->buffers()[0].detach().clone().to(torch::kFloat64);
  std::vector<torch::Tensor> last;
  int compared = 0;
  const auto average = std::make_shared<EMACallback>(EmaOptions{.decay = 0.8});
  const auto watch = make_callback(
      {.on_epoch_begin =
           [&](Learner&, TrainState& state) {
             if (state.epoch == 0) return;
             CHECK(ema_equal(ema_copies(*s.net), last));
             ++compared;
           },
       .on_step_end =
           [&](Learner&, TrainState&) {
             expected = expected * 0.8 + s.net->ptr(1)->buffers()[0].to(torch::kFloat64) * 0.2;
           },
       .on_batch_end =
           [&](Learner&, TrainState& state) {
             if (state.train) last = ema_copies(*s.net);
           }});
  s.learn.fit(3, 1e-2, {.callbacks = {average, watch}});
  CHECK(compared == 2);
  CHECK(torch::allclose(average->average().at("1.running_mean").to(torch::kFloat64), expected, 1e-4,
                        1e-6));
  CHECK(average->average().at("1.num_batches_tracked").item<std::int64_t>() == 30);
  CHECK_FALSE(ema_equal(ema_copies(*s.net), last));
  plain.learn.fit(3, 1e-2);
  CHECK(ema_equal(ema_copies(*plain.net), last));
}

TEST_CASE("the averaged weights are what is saved, without a validation set too") {
  NormedNet s;
  const auto average = std::make_shared<EMACallback>(EmaOptions{.decay = 0.9});
  const auto unvalidated = make_callback({.on_epoch_begin = [](Learner&, TrainState& state) {
    state.skip_validate = state.epoch == 1;
  }});
  s.learn.fit(2, 1e-2,
              {.callbacks = {average, unvalidated,
                             save_model({.every = SaveEvery::kEpoch, .name = "run"})}});
  const auto saved = load_weights(s.dir / "models/run_1.pth");
  CHECK(saved.size() == average->average().size());
  for (const auto& [name, tensor] : average->average()) {
    INFO(name);
    CHECK(torch::equal(saved.at(name), tensor));
  }
  const auto error = caught([&] {
    s.learn.fit(
        2, 1e-2,
        {.callbacks = {average, make_callback({.on_batch_end = [&](Learner&, TrainState& state) {
                         if (!state.train) throw ValueError("value.mine", "in the validation");
                       }})}});
  });
  // The model has the weights of the training after a failure, not the average.
  CHECK(error.code == "value.mine");
  CHECK_FALSE(torch::equal(average->average().at("0.weight"), s.net->ptr(0)->parameters()[0]));
}

TEST_CASE("an average goes on from its state") {
  const auto c = golden("ema.json").at("cases").at(0);
  EmaCase whole(c), parts(c);
  const auto one = std::make_shared<EMACallback>(EmaOptions{.decay = 0.9});
  whole.learn.fit(2, 0.1, {.callbacks = {one}});
  const auto first =
      std::make_shared<EMACallback>(EmaOptions{.decay = 0.9, .at_end = EmaEnd::kTrained});
  const auto second = std::make_shared<EMACallback>(EmaOptions{.decay = 0.9});
  Value kept;
  // While the model holds the average, the state has the weights of the training too.
  const auto keep = make_callback({.on_epoch_end = [&](Learner&, TrainState&) {
    kept = first->state();
    CHECK(torch::equal(kept.at("average").at("weight").as_tensor(), parts.layer->weight.detach()));
    CHECK_FALSE(
        torch::equal(kept.at("trained").at("weight").as_tensor(), parts.layer->weight.detach()));
    second->load_state(kept);
  }});
  parts.learn.fit(1, 0.1, {.callbacks = {first, keep}});
  parts.learn.fit(1, 0.1, {.callbacks = {second}});
  CHECK(second->steps() == one->steps());
  for (const auto& [name, tensor] : one->average()) {
    CHECK(torch::equal(tensor, second->average().at(name)));
  }
  CHECK(torch::equal(whole.weights(), parts.weights()));
  CHECK(caught([] { EMACallback({.decay = 1}); }).code == "value.ema");
  CHECK(caught([] { ema({.decay = -0.1}); }).code == "value.ema");
}
