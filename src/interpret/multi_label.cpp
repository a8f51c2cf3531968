// What is particular to items with several classes.
#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/interpret/classification.hpp"
#include "fastcpp/vision/image_data_bunch.hpp"

namespace fastcpp::inline v0 {

std::string MultiTopLosses::str() const {
  return fmt::format("{} misclassified samples over {} samples in the validation set.",
                     indices.size(), items);
}

MultiTopLosses ClassificationInterpretation::plot_multi_top_losses(
    std::int64_t samples, const MultiTopLossesOptions& options) const {
  constexpr std::int64_t kMost = 20;
  if (samples < 1 || samples > kMost) {
    throw ValueError("value.samples",
                     fmt::format("samples must lie in 1..{}, found {}", kMost, samples));
  }
  return boundary([&] {
    const auto data = learn_.data();
    if (data.label_kind() != LabelKind::kMultiCategory || preds_.sizes() != y_true_.sizes() ||
        preds_.dim() != 2) {
      throw DataError("data.not_classes",
                      "plot_multi_top_losses needs items of several classes "
                      "each; plot_top_losses works with others");
    }
    MultiTopLosses found;
    found.items = preds_.size(0);
    const auto likeliest = preds_.argmax(1, /*keepdim=*/true);
    // Losses of an item that are one already stand for that of any class.
    const auto losses =
        (number_losses_.sizes() == preds_.sizes() ? number_losses_.gather(1, likeliest).flatten()
                                                  : losses_)
            .to(torch::kFloat64)
            .contiguous();
    const auto wrong = y_true_.gather(1, likeliest).flatten().le(0);
    for (std::int64_t i = 0; i < found.items; ++i) {
      if (wrong[i].item<bool>()) found.indices.push_back(i);
    }
    const auto* loss = losses.data_ptr<double>();
    std::stable_sort(found.indices.begin(), found.indices.end(),
                     [&](std::int64_t a, std::int64_t b) { return loss[a] > loss[b]; });
    const auto& set = image_dataset(data, ds_type_);
    for (const auto i : found.indices) {
      if (static_cast<std::int64_t>(found.figures.size()) == samples) break;
      const auto predicted = likeliest[i].item<std::int64_t>();
      const auto actual = data.labels()->target_text(y_true_[i]);
      Rng rng(0);
      Figure figure(
          {.width = options.figsize.first, .height = options.figsize.second, .dpi = options.dpi});
      auto axes = figure.add_axes();
      axes.axis_off();
      axes.imshow(to_picture(set.get(i, rng).x.one("a picture")))
          .title(fmt::format("Predicted: {}\nActual: {}\nLoss: {:.3f}, probability: {:.3f}",
                             class_name(predicted), actual.empty() ? "none" : actual, loss[i],
                             preds_[i][predicted].item<double>()));
      found.figures.push_back(std::move(figure));
    }
    return found;
  });
}

}  // namespace fastcpp
