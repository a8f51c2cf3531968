// What comes out for tables, beside the reference: section "interpretation" of tabular.json.
#include "fastcpp/core/error.hpp"
#include "fastcpp/interpret/classification.hpp"
#include "fastcpp/tabular/table_figure.hpp"
#include "fastcpp/tabular/tabular_data_bunch.hpp"
#include "fastcpp/tabular/tabular_learner.hpp"
#include "support/support.hpp"
#include "support/table_training.hpp"
#include "tabular/tabular_golden.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

TEST_CASE("the worst rows of a table, and how classes are confused") {
  // Single precision; the file's figures are too.
  constexpr double kTolerance = 2e-6;
  const auto& want = golden("tabular.json")["interpretation"];
  const auto data = lists_of(pipeline(want["pipe"])).databunch({.device = torch::kCPU});
  auto learn = tabular_learner(data, {.layers = want["layers"], .silent = true});
  set_weights_by_rule(*learn.model(), want["weights_key"], 1);
  const auto interp = ClassificationInterpretation::from_learner(learn);
  CHECK(farthest(interp.preds(), want["preds"]) <= kTolerance);
  CHECK(farthest(interp.losses(), want["losses"]) <= kTolerance);
  CHECK(farthest(interp.y_true(), want["targets"]) == 0);
  CHECK(farthest(interp.confusion_matrix(), want["confusion_matrix"]) == 0);
  const std::int64_t k = want["k"];
  const auto top = interp.top_losses(k);
  CHECK(farthest(top.losses, want["top_losses"]) <= kTolerance);
  CHECK(top.indices == want["top_indices"].get<std::vector<std::int64_t>>());
  const auto table = interp.plot_tab_top_losses(k);
  CHECK(table.names() == want["table_header"].get<std::vector<std::string>>());
  REQUIRE(table.rows() == k);
  for (std::int64_t row = 0; row < k; ++row) {
    for (std::size_t c = 0; c < table.columns().size(); ++c) {
      CHECK(table.columns()[c].raw(row) ==
            want["table_rows"][static_cast<std::size_t>(row)][c].get<std::string>());
    }
  }
  // The other end.
  const auto best = interp.plot_tab_top_losses(1, {.largest = false});
  CHECK(best["Prediction"].raw(0) == best["Actual"].raw(0));
  CHECK(caught([&] { interp.plot_tab_top_losses(0); }).code == "value.k");
  const auto numbers = lists_of(pipeline("float_target")).databunch({.device = torch::kCPU});
  const auto floats = ClassificationInterpretation::from_learner(
      tabular_learner(numbers, {.layers = {4}, .silent = true}));
  // Numbers have no probability, but losses.
  const auto worst = floats.plot_tab_top_losses(3);
  CHECK(worst.rows() == 3);
  CHECK(worst.names()[2] == "Loss");
  CHECK_FALSE(worst.contains("Probability"));
  CHECK(worst["Loss"].number(0) >= worst["Loss"].number(2));
  CHECK(worst["Prediction"].raw(0).front() == '[');
  CHECK_FALSE(table_figure(worst).png().empty());
}

TEST_CASE("the worst rows of a table whose rows have several classes") {
  std::string csv = "age,reads,runs\n";
  for (int i = 0; i < 60; ++i) {
    csv += std::to_string(i) + (i < 30 ? ",1," : ",0,") + (i % 2 ? "1\n" : "0\n");
  }
  const auto data = TabularDataBunch::from_df(
      ".", Table::parse_csv(csv), {"reads", "runs"}, {0, 1, 30, 31, 59},
      {.procs = {tabular::Normalize()}, .bs = 11, .device = torch::kCPU, .seed = 1});
  const auto learn = tabular_learner(data, {.layers = {6}, .silent = true, .seed = 1});
  const auto interp = ClassificationInterpretation::from_learner(learn);
  CHECK(interp.preds().sizes().vec() == std::vector<std::int64_t>{5, 2});
  CHECK(interp.losses().dim() == 1);
  const auto worst = interp.plot_tab_top_losses(2);
  CHECK(worst.names() == std::vector<std::string>{"Prediction", "Actual", "Loss", "age"});
  const auto top = interp.top_losses(2);
  for (std::int64_t i = 0; i < 2; ++i) {
    const auto row = top.indices[static_cast<std::size_t>(i)];
    CHECK(worst["Actual"].raw(i) == data.labels()->target_text(interp.y_true()[row]));
  }
  // What asks for one class a row, or for pictures, says so.
  CHECK(caught([&] { interp.confusion_matrix(); }).code == "data.not_classes");
  CHECK(caught([&] { interp.plot_multi_top_losses(3); }).code == "data.no_pictures");
}
