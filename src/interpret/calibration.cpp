#include "fastcpp/interpret/calibration.hpp"

#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0 {
namespace {

// A probability for each prediction, and 1 where it came true.
struct Outcomes {
  torch::Tensor probability, right;
};

Outcomes outcomes_of(const ClassificationInterpretation& interp) {
  if (interp.pred_class().defined()) {
    return {std::get<0>(interp.preds().max(1)), interp.pred_class().eq(interp.y_true())};
  }
  const auto data = interp.learn().data();
  if (data.label_kind() != LabelKind::kMultiCategory ||
      interp.preds().sizes() != interp.y_true().sizes()) {
    throw DataError("data.not_classes",
                    "calibration compares probabilities of classes with what came true; these "
                    "items have none");
  }
  return {interp.preds().flatten(), interp.y_true().flatten().gt(0.5)};
}

}  // namespace

Calibration calibration(const ClassificationInterpretation& interp,
                        const CalibrationOptions& options) {
  if (options.bins < 1 || options.bins > 1000) {
    throw ValueError("value.bins", fmt::format("bins must lie in 1..1000, found {}", options.bins));
  }
  return boundary([&] {
    const auto outcomes = outcomes_of(interp);
    const auto probability = outcomes.probability.to(torch::kFloat64).contiguous();
    const auto right = outcomes.right.to(torch::kFloat64).contiguous();
    Calibration found;
    for (int i = 0; i < options.bins; ++i) {
      found.bins.push_back({.low = static_cast<double>(i) / options.bins,
                            .high = static_cast<double>(i + 1) / options.bins});
    }
    for (std::int64_t i = 0; i < probability.numel(); ++i) {
      const double p = probability.data_ptr<double>()[i];
      if (!std::isfinite(p)) continue;
      constexpr double kRounding = 1e-5;
      if (p < -kRounding || p > 1 + kRounding) {
        throw ValueError("value.probability",
                         fmt::format("calibration needs probabilities in 0..1, found {:g}: give "
                                     "the interpretation an activation that makes them",
                                     p));
      }
      auto& bin = found.bins[static_cast<std::size_t>(
          std::clamp(static_cast<int>(p * options.bins), 0, options.bins - 1))];
      ++bin.count;
      bin.confidence += p;
      bin.accuracy += right.data_ptr<double>()[i];
    }
    for (auto& bin : found.bins) {
      found.count += bin.count;
      found.confidence += bin.confidence;
      found.accuracy += bin.accuracy;
      if (bin.count == 0) continue;
      bin.confidence /= static_cast<double>(bin.count);
      bin.accuracy /= static_cast<double>(bin.count);
    }
    if (found.count == 0) return found;
    found.confidence /= static_cast<double>(found.count);
    found.accuracy /= static_cast<double>(found.count);
    for (const auto& bin : found.bins) {
      const double gap = std::abs(bin.confidence - bin.accuracy);
      found.ece += gap * static_cast<double>(bin.count) / static_cast<double>(found.count);
      found.mce = std::max(found.mce, gap);
    }
    return found;
  });
}

Figure plot_calibration(const Calibration& found, const CalibrationPlotOptions& options) {
  return boundary([&] {
    Figure figure(
        {.width = options.figsize.first, .height = options.figsize.second, .dpi = options.dpi});
    std::vector<double> centres, accuracies, x, y;
    for (const auto& bin : found.bins) {
      if (bin.count == 0) continue;
      centres.push_back((bin.low + bin.high) / 2);
      accuracies.push_back(bin.accuracy);
      x.push_back(bin.confidence);
      y.push_back(bin.accuracy);
    }
    auto axes = figure.add_axes();
    const auto bins = static_cast<double>(std::max<std::size_t>(1, found.bins.size()));
    axes.bar(centres, accuracies, {.label = "Accuracy", .width = 0.9 / bins})
        .plot({0, 1}, {0, 1}, {.label = "Calibrated", .color = colors::gray})
        .scatter(x, y, {.label = "Mean of a bin"})
        .xlim(0, 1)
        .ylim(0, 1)
        .xlabel("Probability")
        .ylabel("Accuracy")
        .title(fmt::format("Expected calibration error {:.1f} %", 100 * found.ece))
        .legend({.location = LegendLocation::kUpperLeft});
    return figure;
  });
}

}  // namespace fastcpp
