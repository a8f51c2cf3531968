// Rate finder, one cycle and callbacks on tables and ratings, as on pictures.
#include <torch/utils.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "fastcpp/collab/collab_data_bunch.hpp"
#include "fastcpp/collab/collab_learner.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/io/state_dict.hpp"
#include "fastcpp/tabular/tabular_data_bunch.hpp"
#include "fastcpp/tabular/tabular_learner.hpp"
#include "fastcpp/train/callbacks/callbacks.hpp"
#include "fastcpp/train/callbacks/cutmix.hpp"
#include "fastcpp/train/callbacks/mixup.hpp"
#include "fastcpp/train/callbacks/tracker.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

// A figure of two columns of categories, as a table's target or as a rating.
Learner figures(bool table, const Path& path) {
  std::vector<std::int64_t> left, right;
  std::vector<double> sums;
  for (std::int64_t i = 0; i < 400; ++i) {
    left.push_back(i % 11);
    right.push_back(i % 7);
    sums.push_back(1 + 0.3 * static_cast<double>(i % 11 + i % 7) + 0.01);
  }
  const Table df({Column("left", left), Column("right", right), Column("sum", sums)});
  if (!table) {
    const auto data = CollabDataBunch::from_df(
        df, {.seed = 1, .path = path, .bs = 16, .device = torch::kCPU, .order_seed = 7});
    return collab_learner(data,
                          {.n_factors = 4, .y_range = {{0.0, 7.0}}, .silent = true, .seed = 1});
  }
  std::vector<std::int64_t> valid;
  for (std::int64_t row = 320; row < 400; ++row) valid.push_back(row);
  const auto data = TabularDataBunch::from_df(path, df, "sum", valid,
                                              {.procs = {tabular::Categorify()},
                                               .cat_names = {"left", "right"},
                                               .bs = 16,
                                               .device = torch::kCPU,
                                               .seed = 7});
  return tabular_learner(data,
                         {.layers = {16}, .y_range = {{0.0, 7.0}}, .silent = true, .seed = 1});
}

std::vector<torch::Tensor> weights(const Learner& learn) {
  std::vector<torch::Tensor> copies;
  for (const auto& entry : state_dict(*learn.model())) copies.push_back(entry.second.clone());
  return copies;
}

void check_same(const std::vector<torch::Tensor>& a, const std::vector<torch::Tensor>& b) {
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) CHECK(torch::equal(a[i], b[i]));
}

}  // namespace

TEST_CASE("lr_find leaves a table's and a rating's learner as they were, with a rate that trains") {
  for (const bool table : {true, false}) {
    const TempDir dir;
    auto learn = figures(table, dir.path());
    const auto before = weights(learn);
    const auto rates = learn.lr_find();
    check_same(weights(learn), before);
    CHECK(learn.recorder().losses.size() >= 20);
    REQUIRE(rates.valley);
    CHECK(*rates.valley > 1e-5);
    CHECK(*rates.valley < 10);
    // No file of it stays.
    CHECK(std::filesystem::is_empty(dir.path()));
    learn.fit_one_cycle(4, 3e-2);
    const auto losses = learn.recorder().val_losses;
    REQUIRE(losses.size() == 4);
    CHECK(losses.back() < 0.5 * losses.front());
    // Up and down again.
    const auto& lrs = learn.recorder().lrs;
    CHECK(*std::max_element(lrs.begin(), lrs.end()) == Approx(3e-2).epsilon(0.01));
    CHECK(lrs.back() < lrs.front());
  }
}

TEST_CASE("callbacks on tables and ratings: the best model, a history, an early end") {
  for (const bool table : {true, false}) {
    const TempDir dir;
    auto learn = figures(table, dir.path());
    std::vector<torch::Tensor> best;
    double least = std::numeric_limits<double>::infinity();
    CallbackFunctions watch;
    watch.on_epoch_end = [&](Learner& self, TrainState& state) {
      const auto loss = self.recorder().val_losses.back();
      if (loss < least) best = weights(self);
      least = std::min(least, loss);
      // From the second epoch on nothing is learnt any more, but forgotten.
      if (state.epoch == 1) {
        const torch::NoGradGuard no_grad;
        for (auto& parameter : self.model()->parameters()) parameter.mul_(-5);
      }
    };
    learn.fit(9, 1e-2,
              {.callbacks = {save_model({.name = "best"}), csv_logger(),
                             early_stopping({.patience = 2}), make_callback(watch)}});
    const auto losses = learn.recorder().val_losses;
    CHECK(losses.size() < 9);
    check_same(weights(learn), best);
    CHECK(std::filesystem::exists(dir / "models" / "best.pth"));
    const auto history = Table::read_csv(dir / "history.csv");
    CHECK(history.rows() == static_cast<std::int64_t>(losses.size()));
    CHECK(history["valid_loss"].number(0) == Approx(losses[0]).margin(1e-5));
    CHECK(learn.validate().at(0) == Approx(least));
  }
}

TEST_CASE("what mixes pictures is refused on tables and ratings, and the learner is as before") {
  for (const bool table : {true, false}) {
    const TempDir dir;
    auto learn = figures(table, dir.path());
    const auto before = weights(learn);
    const auto mixed = caught([&] { learn.fit(1, 1e-2, {.callbacks = {mixup()}}); });
    CHECK(mixed.code == "value.mixup");
    CHECK(mixed.message.find("rows of a table") != std::string::npos);
    CHECK(caught([&] { learn.fit(1, 1e-2, {.callbacks = {cutmix()}}); }).code == "value.cutmix");
    check_same(weights(learn), before);
    learn.fit(1, 1e-2);
    CHECK(learn.recorder().val_losses.size() == 1);
  }
}
