// Predictions beside their pictures or rows: training needs no plots, so this member of Learner is defined here, above both rooms.
#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/interpret/result_rows.hpp"
#include "fastcpp/plot/figure.hpp"
#include "fastcpp/tabular/table_figure.hpp"
#include "fastcpp/tabular/tabular_dataset.hpp"
#include "fastcpp/train/learner.hpp"
#include "fastcpp/train/prediction.hpp"
#include "fastcpp/vision/image_dataset.hpp"

namespace fastcpp::inline v0 {
namespace {

Figure drawn(const DataBunch& bunch, DatasetType ds_type, const Batch& batch,
             const torch::Tensor& preds, const ShowResultsOptions& options) {
  // Test items have labels of their own kind, or none.
  const auto* set = dynamic_cast<const ImageDataset*>(bunch.dl(ds_type).dataset().get());
  const Labels& truth = set ? *set->list().y : *bunch.labels();
  const auto pixels = bunch.denorm(batch.x.one("show_results"));
  const auto targets = batch.y.one("show_results").cpu();
  const auto n = std::min<std::int64_t>(std::int64_t{options.rows} * options.rows, pixels.size(0));
  const auto side = static_cast<int>(std::ceil(std::sqrt(static_cast<double>(n))));
  const auto size = options.figsize.value_or(std::pair{4.0 * side, 4.0 * side});
  Figure figure({.width = size.first, .height = size.second, .dpi = options.dpi});
  figure.suptitle("Ground truth\nPredictions", {.size = 12, .bold = true});
  auto cells = figure.subplots(side, side);
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(cells.size()); ++i) {
    auto& cell = cells[static_cast<std::size_t>(i)];
    cell.axis_off();
    if (i >= n) continue;
    cell.imshow(to_picture(pixels[i]))
        .title(truth.target_text(targets[i]) + "\n" +
               to_prediction(*bunch.labels(), preds[i], options.thresh).category);
  }
  return figure;
}

}  // namespace

Figure Learner::show_results(DatasetType ds_type, const ShowResultsOptions& options) {
  if (options.rows < 1) {
    throw ValueError("value.rows", fmt::format("rows must be at least 1, found {}", options.rows));
  }
  return boundary([&] {
    const auto bunch = data();
    if (tabular_dataset(*bunch.dl(ds_type).dataset())) {
      const auto rows =
          result_rows(*this, {.rows = options.rows, .ds_type = ds_type, .thresh = options.thresh});
      return table_figure(rows, {.rows = options.rows, .dpi = options.dpi});
    }
    const auto batch = bunch.dl(ds_type).first_batch();
    return drawn(bunch, ds_type, batch, pred_batch(ds_type, batch).cpu(), options);
  });
}

}  // namespace fastcpp
