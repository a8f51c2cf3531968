// fine_tune, and the rates that lr_find names, against values worked out by hand.
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>

#include "fastcpp/train/learner.hpp"
#include "support/catch.hpp"
#include "support/points.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace nn = torch::nn;

namespace {

// A flat start, a fall from point 10 to 20 with its steepest step behind point 15, a rise that is steeper at last.
std::vector<double> curve() {
  std::vector<double> losses{2};
  for (int i = 1; i < 40; ++i) {
    const double step = i <= 10 ? 0 : i == 16 ? -0.3 : i <= 20 ? -0.1 : i <= 37 ? 0.2 : 0.5;
    losses.push_back(losses.back() + step);
  }
  return losses;
}

std::vector<double> rates() {
  std::vector<double> lrs;
  for (int i = 0; i < 40; ++i) lrs.push_back(1e-5 * std::pow(10, i / 10.0));
  return lrs;
}

struct Tuned {
  TempDir dir;
  nn::Sequential net = [] {
    torch::manual_seed(3);
    return nn::Sequential(nn::Linear(2, 8), nn::ReLU(), nn::Linear(8, 4), nn::ReLU(),
                          nn::Linear(4, 2));
  }();
  Learner learn{bunch_of_points(dir.path(), {.n_train = 64, .n_valid = 32, .bs = 16}),
                Model(net),
                {.silent = true}};
};

}  // namespace

TEST_CASE("the rates that a curve suggests") {
  const auto lrs = rates();
  const auto found = suggested_lrs(lrs, curve());
  CHECK(found.minimum == lrs[20] / 10);
  CHECK(found.steep == lrs[15]);
  // The fall has 11 points and ends at 20; it is taken to begin at 9: 9 + int(11 / 3) + int(11 / 6).
  CHECK(found.valley == lrs[13]);
  // Slopes at (39, 24), (38, 23), (37, 22) differ, those at (36, 21) are both 0.2.
  CHECK(found.slide == lrs[22]);
}

TEST_CASE("curves that suggest nothing, or little") {
  CHECK(suggested_lrs({}, {}) == SuggestedLRs{});
  CHECK(suggested_lrs({1e-3}, {1}) == SuggestedLRs{});
  CHECK(suggested_lrs({1e-3, 1e-2}, {1}) == SuggestedLRs{});
  const auto rising = suggested_lrs({1e-3, 1e-2, 1e-1}, {1, 2, 3});
  CHECK_FALSE(rising.valley.has_value());
  CHECK_FALSE(rising.steep.has_value());
  CHECK_FALSE(rising.slide.has_value());  // too few points
  CHECK(rising.minimum == 1e-4);
  // What lies behind a loss that is no number does not count.
  auto losses = curve();
  auto lrs = rates();
  const auto whole = suggested_lrs(lrs, losses);
  lrs.push_back(1);
  losses.push_back(std::nan(""));
  CHECK(suggested_lrs(lrs, losses) == whole);
}

TEST_CASE("lr_find returns what the recorder's curve suggests, and leaves the learner as it was") {
  Tuned s;
  const auto before = s.net->ptr(0)->parameters()[0].detach().clone();
  const auto found = s.learn.lr_find({.num_it = 40, .stop_div = false});
  CHECK(found.outcome == FitOutcome::kFinished);
  const auto& recorder = s.learn.recorder();
  REQUIRE(recorder.losses.size() == 40);
  const std::vector<double> lrs(recorder.lrs.begin() + 4, recorder.lrs.end() - 5);
  const std::vector<double> losses(recorder.losses.begin() + 4, recorder.losses.end() - 5);
  CHECK(suggested_lrs(lrs, losses) == found);
  CHECK(torch::equal(before, s.net->ptr(0)->parameters()[0]));
}

TEST_CASE("fine_tune trains the head, then everything at lower rates") {
  Tuned s;
  s.learn.split({s.net->ptr(2), s.net->ptr(4)});
  std::vector<bool> first_layer_trains;
  const auto watch = make_callback({.on_train_begin = [&](Learner& learn, TrainState&) {
    first_layer_trains.push_back(learn.model()->parameters()[0].requires_grad());
  }});
  CHECK(s.learn.fine_tune(2, 1e-2, {.callbacks = {watch}}) == FitOutcome::kFinished);
  CHECK(first_layer_trains == std::vector<bool>{false, true});
  const auto fits = s.learn.recorder().fits();
  REQUIRE(fits.size() == 2);
  const auto highest = [](const FitRecord& fit) {
    return *std::max_element(fit.lrs.begin(), fit.lrs.end());
  };
  // One epoch of 4 batches: int(4 * 0.99) = 3 batches up from a 25th.
  REQUIRE(fits[0].lrs.size() == 4);
  CHECK(fits[0].lrs[0] == Approx(1e-2 / 25));
  CHECK(fits[0].lrs[3] == Approx(1e-2));
  // Two epochs of 4: int(8 * 0.3) = 2 batches up from a fifth of half the rate.
  REQUIRE(fits[1].lrs.size() == 8);
  CHECK(fits[1].lrs[0] == Approx(5e-3 / 5));
  CHECK(fits[1].lrs[2] == Approx(5e-3));
  CHECK(highest(fits[1]) == Approx(5e-3));
  // At the end: a hundredth of it for the first group, at the rate max / (div * 1e4) and evenly spaced logarithms.
  const auto& lr = s.learn.opt().lr();
  REQUIRE(lr.size() == 3);
  CHECK(lr[2] / lr[0] == Approx(100));
  CHECK(lr[1] / lr[0] == Approx(10));
  CHECK(caught([&] { s.learn.fine_tune(1, 0.0); }).code == "value.fine_tune");
  CHECK(caught([&] { s.learn.fine_tune(-1); }).code == "value.fine_tune");
  CHECK(caught([&] { s.learn.fine_tune(1, {.freeze_epochs = -1}); }).code == "value.fine_tune");
  CHECK(caught([&] { s.learn.fine_tune(1, {.lr_mult = 0}); }).code == "value.fine_tune");
}
