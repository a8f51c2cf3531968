#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>
#include <torch/utils.h>

#include <cmath>
#include <limits>

#include "fastcpp/plot/figure.hpp"
#include "fastcpp/train/callbacks/tracker.hpp"
#include "fastcpp/train/learner.hpp"
#include "plot/layout.hpp"
#include "plot/model.hpp"
#include "support/catch.hpp"
#include "support/points.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace nn = torch::nn;

namespace {

Learner learner(const TempDir& dir) {
  const auto data = bunch_of_points(dir.path());
  torch::manual_seed(3);
  const nn::Sequential network(nn::Linear(2, 8), nn::ReLU(), nn::Linear(8, 2));
  return Learner(data, Model(network), {.metrics = {accuracy, error_rate}, .silent = true});
}

// Makes the loss of epoch 2 no number.
class Poison : public Callback {
 public:
  int order() const override { return -20; }
  void on_backward_begin(TrainState& state) override {
    if (state.epoch == 1 && state.num_batch == 4) {
      state.last_loss = state.last_loss * std::numeric_limits<double>::quiet_NaN();
    }
  }
};

const plot_detail::Line& line(const Figure& figure, std::size_t panel, std::size_t item) {
  const auto layout = plot_detail::layout_of(figure);
  return std::get<plot_detail::Line>(layout.axes.at(panel).model->items.at(item));
}

}  // namespace

TEST_CASE("plots of the recorder") {
  TempDir dir;
  CapturedLog log;
  auto learn = learner(dir);
  learn.lr_find({.num_it = 40, .stop_div = false});
  CHECK(learn.recorder().plot({.suggestion = true}).svg().find("<svg") != std::string::npos);
  const auto found = learn.recorder().suggested_lrs();
  REQUIRE(found.minimum.has_value());
  const auto named = learn.recorder().plot({.suggestions = true});
  const auto count = [](const std::optional<double>& rate) { return rate ? 1u : 0u; };
  // The curve and a dot for each rate.
  CHECK(plot_detail::layout_of(named).axes.at(0).model->items.size() ==
        2 + count(found.valley) + count(found.slide) + count(found.steep));
  CHECK(learn.recorder().plot({.show_grid = true}).svg().size() >
        learn.recorder().plot().svg().size());
  REQUIRE(learn.recorder().min_grad_lr);
  CHECK(log.info.back().starts_with("Min loss divided by 10: "));
  learn.fit_one_cycle(2);
  for (const auto& figure : {learn.recorder().plot_lr({.show_moms = true}),
                             learn.recorder().plot_losses(), learn.recorder().plot_metrics()}) {
    CHECK(figure.png().starts_with("\x89PNG"));
  }
}

TEST_CASE("after a training that ended early, plots show what was validated") {
  TempDir dir;
  auto learn = learner(dir);
  learn.fit(
      4, kDefaultLr,
      {.callbacks = {std::make_shared<Poison>(), std::make_shared<TerminateOnNaNCallback>()}});
  auto& recorder = learn.recorder();
  REQUIRE(recorder.metrics.size() == 1);
  for (std::size_t panel : {0u, 1u}) {
    const auto figure = recorder.plot_metrics();
    CHECK(line(figure, panel, 0).x == std::vector<double>{10});
    CHECK(line(figure, panel, 0).y == std::vector<double>{recorder.metrics[0][panel]});
    CHECK(figure.png().starts_with("\x89PNG"));
  }
  const auto figure = recorder.plot_losses();
  CHECK(line(figure, 0, 1).x == std::vector<double>{10});

  // An epoch without validation before one with it: the point stands where its epoch ended.
  recorder.history = {{.epoch = 0, .train_loss = 1},
                      {.epoch = 1, .train_loss = 1, .valid_loss = 0.5, .metrics = {0.25, 0.75}}};
  recorder.nb_batches = {10, 10};
  recorder.val_losses = {0.5};
  recorder.metrics = {{0.25, 0.75}};
  CHECK(line(recorder.plot_metrics(), 1, 0).x == std::vector<double>{20});
  CHECK(line(recorder.plot_losses(), 0, 1).x == std::vector<double>{20});
}

TEST_CASE("a suggestion at an end of the curve is said to be doubtful") {
  TempDir dir;
  auto learn = learner(dir);
  learn.fit(1);
  auto& recorder = learn.recorder();
  const auto plotted = [&](auto loss_at) {
    recorder.lrs.clear();
    recorder.losses.clear();
    for (int i = 0; i < 100; ++i) {
      recorder.lrs.push_back(1e-7 * std::pow(10, 0.08 * i));
      recorder.losses.push_back(loss_at(i));
    }
    // A fit that ended in the middle of a batch knows one rate more.
    recorder.lrs.push_back(100);
    CapturedLog log;
    const auto figure = recorder.plot({.suggestion = true, .dpi = 50});
    CHECK(figure.pixel_width() == 300);
    const auto layout = plot_detail::layout_of(figure);
    const auto& items = layout.axes.at(0).model->items;
    CHECK(std::get<plot_detail::Line>(items.at(0)).x.size() == 85);
    const auto& dot = std::get<plot_detail::Dots>(items.at(1));
    CHECK((dot.color == colors::gray) == !dot.label.empty());
    CHECK(log.warnings.size() == (dot.label.empty() ? 0 : 1));
    return dot.color == colors::gray;
  };
  // Falls in the middle; falls at once and then rises, as after unfreezing; falls nowhere.
  CHECK_FALSE(plotted([](int i) { return -std::tanh((i - 50) / 10.0); }));
  CHECK(plotted([](int i) { return std::exp(-i / 2.0) + std::exp((i - 90) / 4.0); }));
  CHECK(plotted([](int i) { return std::exp((i - 90) / 4.0); }));
  CHECK(plotted([](int i) { return -i * i / 1e4; }));
  CHECK(recorder.suggest()->doubtful);
}
