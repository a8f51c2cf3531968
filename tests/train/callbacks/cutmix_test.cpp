// CutMix: against what tests/golden/augment.py computed, and in a training.
#include "fastcpp/train/callbacks/cutmix.hpp"

#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>
#include <torch/utils.h>

#include <cmath>
#include <limits>
#include <memory>
#include <set>
#include <vector>

#include "fastcpp/train/callbacks/mixup.hpp"
#include "support/catch.hpp"
#include "support/golden.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

constexpr std::int64_t kItems = 16, kSide = 8;
// Values are single precision there and here.
constexpr double kCutMixGolden = 1e-6;

torch::Tensor tensor_of(const Json& list, torch::IntArrayRef shape) {
  return torch::tensor(numbers(list), torch::kFloat64).reshape(shape);
}

// Pictures of one colour: item i is all i.
Learner colour_learner(const Path& dir, const torch::Tensor& y, std::uint64_t seed = 0) {
  const auto x = torch::arange(kItems).to(torch::kFloat).reshape({kItems, 1, 1, 1});
  auto set = std::make_shared<TensorDataset>(x.expand({kItems, 3, kSide, kSide}).clone(), y);
  auto data = DataBunch::create({set, set, nullptr, nullptr}, dir,
                                {.bs = 8, .num_workers = 0, .device = torch::kCPU, .seed = seed});
  return {
      data,
      Model(torch::nn::Sequential(torch::nn::Flatten(), torch::nn::Linear(3 * kSide * kSide, 3))),
      {.silent = true}};
}

Learner colour_learner(const Path& dir, std::uint64_t seed = 0) {
  return colour_learner(dir, torch::arange(kItems).remainder(3), seed);
}

// What reaches the model in training, and its loss there.
struct CutBatches : Callback {
  std::vector<torch::Tensor> x, y;
  std::vector<double> losses;
  int order() const override { return 100; }
  void on_loss_begin(TrainState& state) override {
    if (!state.train) return;
    x.push_back(state.last_input);
    y.push_back(state.last_target);
  }
  void on_backward_begin(TrainState& state) override {
    losses.push_back(state.last_loss.item<double>());
  }
};

std::shared_ptr<CutBatches> cut_batches(Learner learner, const CutMixOptions& options,
                                        int epochs = 1) {
  auto batches = std::make_shared<CutBatches>();
  learner.fit(epochs, 1e-3, {.callbacks = {cutmix(options), batches}});
  return batches;
}

}  // namespace

TEST_CASE("CutMix: boxes of given numbers", "[golden]") {
  const auto& cases = golden("augment.json").at("cutmix_boxes");
  CHECK(cases.size() >= 20);
  for (const auto& item : cases) {
    INFO(item.dump());
    const auto got =
        cutmix_box(number(item.at("lambda")), number(item.at("row")), number(item.at("col")),
                   item.at("rows").get<std::int64_t>(), item.at("cols").get<std::int64_t>());
    const auto& want = item.at("want");
    CHECK(got.row == want[0].get<std::int64_t>());
    CHECK(got.col == want[1].get<std::int64_t>());
    CHECK(got.rows == want[2].get<std::int64_t>());
    CHECK(got.cols == want[3].get<std::int64_t>());
  }
}

TEST_CASE("CutMix: batches, targets and losses of given numbers", "[golden]") {
  const auto& cases = golden("augment.json").at("cutmix");
  CHECK(cases.size() >= 3);
  for (const auto& item : cases) {
    INFO("lambda " << item.at("lambda"));
    const auto shape = item.at("shape").get<std::vector<std::int64_t>>();
    const auto n = shape.at(0);
    const auto perm = torch::tensor(item.at("perm").get<std::vector<std::int64_t>>(), torch::kLong);
    const auto target = tensor_of(item.at("target"), {n});
    const auto share = number(item.at("share"));
    CutMixCallback callback({.stack_y = false, .draw = [&](std::int64_t) {
                               return CutMixDraw{.lambda = number(item.at("lambda")),
                                                 .row = number(item.at("row")),
                                                 .col = number(item.at("col")),
                                                 .perm = perm};
                             }});
    TrainState state;
    state.train = true;
    const auto x = tensor_of(item.at("x"), shape).to(torch::kFloat);
    state.last_input = x;
    state.last_target = target.to(torch::kLong);
    callback.on_batch_begin(state);
    CHECK(torch::allclose(state.last_input.to(torch::kFloat64), tensor_of(item.at("want"), shape),
                          0, kCutMixGolden));
    CHECK(torch::allclose(x.to(torch::kFloat64), tensor_of(item.at("x"), shape), 0, kCutMixGolden));
    CHECK(torch::allclose(state.last_target.to(torch::kFloat64),
                          tensor_of(item.at("target_want"), {n}), 0, kCutMixGolden));
    const auto classes = target.to(torch::kLong);
    const auto loss = mixup_loss(
        cross_entropy(), tensor_of(item.at("output"), {n, item.at("classes").get<std::int64_t>()}),
        {classes, classes.index_select(0, perm), torch::full({n}, share, torch::kFloat64)});
    CHECK(torch::allclose(loss, tensor_of(item.at("loss"), {n}), 0, kCutMixGolden));
  }
}

TEST_CASE("CutMix: what the model gets is one box of a partner, and the loss knows its share") {
  TempDir dir;
  auto learner = colour_learner(dir.path());
  const auto loss = learner.loss_func().name();
  const auto batches = cut_batches(learner, {}, 3);
  CHECK(learner.loss_func().name() == loss);
  // Validation has the loss itself.
  CHECK(learner.recorder().val_losses.back() == Approx(learner.validate().front()).epsilon(1e-5));
  REQUIRE(batches->x.size() == 6);
  std::set<double> shares;
  for (std::size_t b = 0; b < batches->x.size(); ++b) {
    const auto& x = batches->x[b];
    const auto& y = batches->y[b];
    REQUIRE(y.sizes() == torch::IntArrayRef({8, 3}));
    const double share = y[0][2].item<double>();
    shares.insert(share);
    for (std::int64_t i = 0; i < 8; ++i) {
      CHECK(y[i][2].item<double>() == share);
      // Colours of the picture: its own, and the partner's in the box.
      const auto own = y[i][0].item<double>(), partner = y[i][1].item<double>();
      const auto plane = x[i][0];
      CHECK(torch::equal(plane, x[i][2]));
      for (const auto colour : {plane.min().item<double>(), plane.max().item<double>()}) {
        const bool known = std::fmod(colour, 3) == own || std::fmod(colour, 3) == partner;
        CHECK(known);
      }
      const auto darkest = plane.eq(plane.min()).to(torch::kFloat64).mean().item<double>();
      // An item may be its own partner.
      const auto kept = darkest == 1 ? share : darkest;
      const bool fits = std::abs(kept - share) < 1e-6 || std::abs(kept - (1 - share)) < 1e-6;
      CHECK(fits);
    }
  }
  CHECK(shares.size() > 2);
}

TEST_CASE("CutMix: the draw is that of seed, fit, epoch and batch, whatever the first epoch was") {
  TempDir dir;
  const auto shares = [&](std::uint64_t seed, int epochs, int start_epoch) {
    auto learner = colour_learner(dir.path(), seed);
    auto batches = std::make_shared<CutBatches>();
    learner.fit_one_cycle(
        epochs, {.max_lr = 1e-3, .callbacks = {cutmix(), batches}, .start_epoch = start_epoch});
    std::vector<double> all;
    for (const auto& y : batches->y) all.push_back(y[0][2].item<double>());
    return all;
  };
  const auto whole = shares(5, 6, 0);
  REQUIRE(whole.size() == 12);
  CHECK(shares(5, 6, 0) == whole);
  CHECK(shares(6, 6, 0) != whole);
  CHECK(shares(5, 6, 4) == std::vector<double>(whole.begin() + 8, whole.end()));
}

TEST_CASE("CutMix: alpha says how much is cut") {
  TempDir dir;
  std::vector<double> means;
  for (const double alpha : {0.1, 1.0}) {
    double whole = 0, n = 0;
    const auto batches = cut_batches(colour_learner(dir.path(), 3), {.alpha = alpha}, 40);
    for (const auto& y : batches->y) {
      whole += y[0][2].item<double>() == 1 ? 1 : 0;
      ++n;
    }
    means.push_back(whole / n);
  }
  // Half a side is less than a pixel where lambda > 15 / 16: with probabilities 0.38 and 0.06.
  CHECK(means[0] > means[1] + 0.15);
}

TEST_CASE("CutMix: any targets, mixed losses or targets, and masks that follow") {
  torch::manual_seed(3);
  const auto perm = torch::arange(7, -1, -1, torch::kLong);
  // A box of 4 x 4 in the middle: a quarter.
  const CutMixOptions fixed{.draw = [&](std::int64_t) {
    return CutMixDraw{.lambda = 0.75, .row = 0.5, .col = 0.5, .perm = perm};
  }};
  for (const auto& y : {torch::rand({kItems, 3}), torch::rand({kItems, 3}).round()}) {
    TempDir dir;
    auto learner = colour_learner(dir.path(), y);
    learner.set_loss_func(mse_loss());
    const auto mixed_losses = cut_batches(learner, fixed);
    REQUIRE(mixed_losses->y.front().sizes() == torch::IntArrayRef({8, 3}));
    const auto& x = mixed_losses->x.front();
    CHECK(torch::equal(x.slice(2, 2, 6).slice(3, 2, 6),
                       x.slice(2, 0, 1).slice(3, 0, 1).index_select(0, perm).expand({8, 3, 4, 4})));
    const auto targets = cut_batches(learner, {.stack_y = false, .draw = fixed.draw});
    // Colours tell which items the batch has.
    const auto items = targets->x.front().select(1, 0).select(1, 0).select(1, 0).to(torch::kLong);
    const auto own = y.index_select(0, items);
    CHECK(torch::allclose(targets->y.front(), 0.75 * own + 0.25 * own.index_select(0, perm)));
  }
  CutMixCallback callback(fixed);
  TrainState state;
  state.train = true;
  state.last_input = torch::rand({8, 3, 8, 8});
  const auto mask = torch::randint(0, 5, {8, 8, 8}, torch::kLong);
  state.last_target = mask;
  callback.on_batch_begin(state);
  auto want = mask.clone();
  want.slice(1, 2, 6).slice(2, 2, 6).copy_(
      mask.index_select(0, perm).slice(1, 2, 6).slice(2, 2, 6));
  CHECK(torch::equal(state.last_target, want));
  state.train = false;
  state.last_target = mask;
  callback.on_batch_begin(state);
  CHECK(torch::equal(state.last_target, mask));
}

TEST_CASE("CutMix: what it cannot cut is refused, and the loss always comes back") {
  TempDir dir;
  auto learner = colour_learner(dir.path());
  const auto loss = learner.loss_func().name();
  const auto fails_with = [&](const std::vector<CallbackArg>& callbacks) {
    const auto error = caught([&] { learner.fit(1, 1e-3, {.callbacks = callbacks}); });
    CHECK(learner.loss_func().name() == loss);
    return error.code;
  };
  CHECK(fails_with({cutmix(), cutmix()}) == "value.cutmix");
  CHECK(fails_with({mixup(), cutmix()}) == "value.cutmix");
  CHECK(fails_with({cutmix(), mixup()}) == "value.mixup");
  CHECK(fails_with({cutmix({.draw = [](std::int64_t) { return CutMixDraw{}; }})}) ==
        "value.cutmix");
  CHECK(fails_with({cutmix({.draw = [](std::int64_t n) {
          return CutMixDraw{.lambda = 2, .perm = torch::arange(n, torch::kLong)};
        }})}) == "value.cutmix");
  CHECK(fails_with({cutmix({.draw = [](std::int64_t n) {
          return CutMixDraw{.row = 1, .perm = torch::arange(n, torch::kLong)};
        }})}) == "value.cutmix");
  CHECK(fails_with({cutmix()}) == "");
  CHECK(caught([] { cutmix({.alpha = 0}); }).code == "value.cutmix");
  CHECK(caught([] { CutMixCallback({.alpha = std::numeric_limits<double>::infinity()}); }).code ==
        "value.cutmix");
  TrainState rows;
  rows.train = true;
  rows.last_input = torch::ones({2, 3});
  rows.last_target = torch::ones({2}, torch::kLong);
  CutMixCallback callback;
  CHECK(caught([&] { callback.on_batch_begin(rows); }).code == "value.cutmix");
}
