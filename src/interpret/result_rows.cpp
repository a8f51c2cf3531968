#include "fastcpp/interpret/result_rows.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/tabular/tabular_dataset.hpp"
#include "fastcpp/train/prediction.hpp"

namespace fastcpp::inline v0 {

Table result_rows(Learner learn, const ResultRowsOptions& options) {
  if (options.rows < 1) {
    throw ValueError("value.rows",
                     fmt::format("rows: expected at least 1, found {}", options.rows));
  }
  return boundary([&] {
    const auto data = learn.data();
    const auto loader = data.dl(options.ds_type);
    const auto* set = tabular_dataset(*loader.dataset());
    if (!set) {
      throw DataError("data.no_table",
                      "result_rows shows rows of a table, but these items come from none: "
                      "show_results shows pictures");
    }
    const auto batch = loader.first_batch();
    const auto preds = learn.pred_batch(options.ds_type, batch);
    auto indices = batch.indices;
    indices.resize(std::min(indices.size(), static_cast<std::size_t>(options.rows)));
    std::vector<Cell> targets, predictions;
    for (std::size_t i = 0; i < indices.size(); ++i) {
      targets.emplace_back(set->y()->text(indices[i]));
      predictions.emplace_back(
          to_prediction(*data.labels(), preds[static_cast<std::int64_t>(i)], options.thresh)
              .category);
    }
    return set->in_words(indices, {},
                         {Column("target", targets), Column("prediction", predictions)});
  });
}

}  // namespace fastcpp
