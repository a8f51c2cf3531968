// What comes out for tables, beside the reference: section "interpretation" of tabular.json.
#include "fastcpp/interpret/classification.hpp"
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
  CHECK(caught([&] { floats.plot_tab_top_losses(1); }).code == "data.not_classes");
}
