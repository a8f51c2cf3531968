// The worst rows of a table.
#include <fmt/format.h>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/interpret/classification.hpp"
#include "fastcpp/tabular/tabular_dataset.hpp"
#include "fastcpp/train/prediction.hpp"

namespace fastcpp::inline v0 {

Table ClassificationInterpretation::plot_tab_top_losses(std::int64_t k,
                                                        const TopLossesOptions& options) const {
  if (k < 1) throw ValueError("value.k", fmt::format("k must be at least 1, found {}", k));
  return boundary([&] {
    const auto loader = learn_.data().dl(ds_type_);
    const auto* set = tabular_dataset(*loader.dataset());
    if (!set) {
      throw DataError("data.no_table",
                      "plot_tab_top_losses shows rows of a table, but these items come from none: "
                      "plot_top_losses shows pictures");
    }
    const auto top = top_losses(k, options);
    // Several classes, or numbers, have no one probability of the truth.
    const bool classes = pred_class_.defined();
    const auto labels = learn_.data().labels();
    std::vector<Cell> predictions, actual, losses, probabilities;
    for (const auto row : top.indices) {
      losses.emplace_back(fmt::format("{:.2f}", losses_[row].item<double>()));
      if (!classes) {
        predictions.emplace_back(to_prediction(*labels, preds_[row]).category);
        actual.emplace_back(labels->target_text(y_true_[row]));
        continue;
      }
      const auto cls = y_true_[row].item<std::int64_t>();
      predictions.emplace_back(class_name(pred_class_[row].item<std::int64_t>()));
      actual.emplace_back(class_name(cls));
      probabilities.emplace_back(fmt::format("{:.2f}", preds_[row][cls].item<double>()));
    }
    std::vector<Column> before{Column("Prediction", predictions), Column("Actual", actual),
                               Column("Loss", losses)};
    if (classes) before.emplace_back("Probability", probabilities);
    return set->in_words(top.indices, before);
  });
}

}  // namespace fastcpp
