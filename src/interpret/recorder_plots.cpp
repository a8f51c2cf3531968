// The figures of the recorder: what is trained needs no plots, so they are defined here, above both rooms.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/plot/color.hpp"
#include "fastcpp/plot/figure.hpp"
#include "fastcpp/train/recorder.hpp"

namespace fastcpp::inline v0 {
namespace {

std::vector<double> numbers_from(std::size_t n, int start = 0) {
  std::vector<double> x(n);
  std::iota(x.begin(), x.end(), static_cast<double>(start));
  return x;
}

// The values of the validated epochs, and how many batches had been trained when each of them ended. Not every epoch is
// validated: a fit may end in the middle of one.
struct Validated {
  std::vector<double> batches;
  std::vector<const HistoryRow*> rows;
};

Validated validated(const Recorder& recorder) {
  Validated found;
  double batches = 0;
  for (std::size_t i = 0; i < std::min(recorder.history.size(), recorder.nb_batches.size()); ++i) {
    batches += static_cast<double>(recorder.nb_batches[i]);
    if (!recorder.history[i].valid_loss) continue;
    found.batches.push_back(batches);
    found.rows.push_back(&recorder.history[i]);
  }
  return found;
}

// A dot on the curve for each rate, or at the curve's nearest end, with its name and number in the legend.
void mark_suggestions(Axes& axes, const SuggestedLRs& found, const std::vector<double>& rates,
                      const std::vector<double>& curve) {
  const auto mark = [&](const char* name, const std::optional<double>& rate, Color color) {
    if (!rate || rates.empty()) return;
    const auto at = std::min_element(rates.begin(), rates.end(), [&](double a, double b) {
      return std::abs(std::log(a / *rate)) < std::abs(std::log(b / *rate));
    });
    axes.scatter({*at}, {curve[static_cast<std::size_t>(at - rates.begin())]},
                 {.label = fmt::format("{} {:.1e}", name, *rate), .color = color, .size = 8});
  };
  mark("valley", found.valley, colors::tab_orange);
  mark("slide", found.slide, colors::tab_green);
  mark("steep", found.steep, colors::tab_red);
  mark("minimum", found.minimum, colors::tab_purple);
  axes.legend();
}

}  // namespace

Figure Recorder::plot(const RecorderPlotOptions& options) {
  return boundary([&] {
    need_losses();
    const auto rates = trimmed(this->rates(), options.skip_start, options.skip_end);
    const auto curve = trimmed(losses, options.skip_start, options.skip_end);
    Figure figure({.width = 6, .height = 4, .dpi = options.dpi});
    auto axes = figure.add_axes();
    axes.plot(rates, curve)
        .xscale(AxisScale::kLog)
        .xlabel("Learning Rate")
        .ylabel("Loss")
        .xtick_format("{:.0e}");
    if (options.suggestion) {
      if (const auto found = suggest(options)) {
        axes.scatter({found->min_grad_lr}, {curve[found->index]},
                     {.label = found->doubtful ? "Doubtful: see the warning" : "",
                      .color = found->doubtful ? colors::gray : colors::red,
                      .size = 10});
        axes.legend();
      }
    }
    if (options.show_grid) axes.grid();
    if (options.suggestions) mark_suggestions(axes, suggested_lrs(), rates, curve);
    return figure;
  });
}

Figure Recorder::plot_lr(const RecorderPlotLrOptions& options) const {
  return boundary([&] {
    need_losses();
    const auto rates = trimmed(lrs, options.skip_start, options.skip_end);
    const auto x = numbers_from(rates.size(), options.skip_start);
    Figure figure({.width = options.show_moms ? 12.0 : 6.0, .height = 4, .dpi = options.dpi});
    auto panels = figure.subplots(1, options.show_moms ? 2 : 1);
    panels[0].plot(x, rates).xlabel("Iterations").ylabel("Learning Rate");
    if (options.show_moms) {
      const auto momenta = trimmed(moms, options.skip_start, options.skip_end);
      panels[1].plot(x, momenta).xlabel("Iterations").ylabel("Momentum");
    }
    return figure;
  });
}

Figure Recorder::plot_losses(const RecorderRangeOptions& options) const {
  return boundary([&] {
    need_losses();
    const auto curve = trimmed(losses, options.skip_start, options.skip_end);
    Figure figure({.width = 6, .height = 4, .dpi = options.dpi});
    auto axes = figure.add_axes();
    axes.plot(numbers_from(curve.size(), options.skip_start), curve, {.label = "Train"});
    const auto found = validated(*this);
    std::vector<double> x, y;
    for (std::size_t i = 0; i < found.rows.size(); ++i) {
      if (found.batches[i] < options.skip_start) continue;
      x.push_back(found.batches[i]);
      y.push_back(*found.rows[i]->valid_loss);
    }
    axes.plot(x, y, {.label = "Validation"});
    axes.xlabel("Batches processed").ylabel("Loss").legend();
    return figure;
  });
}

Figure Recorder::plot_metrics(const RecorderRangeOptions& options) const {
  return boundary([&] {
    const auto count = metric_names_.size();
    const auto found = validated(*this);
    if (count == 0 || found.rows.empty()) {
      throw TrainError("train.no_metrics",
                       count == 0 ? "There are no metrics to plot: give the learner some"
                                  : "There are no metrics to plot: no epoch was validated yet");
    }
    Figure figure({.width = 6, .height = 4.0 * static_cast<double>(count), .dpi = options.dpi});
    auto panels = figure.subplots(static_cast<int>(count), 1);
    const auto x = trimmed(found.batches, options.skip_start, options.skip_end);
    for (std::size_t m = 0; m < count; ++m) {
      std::vector<double> values;
      for (const auto* row : found.rows) {
        values.push_back(m < row->metrics.size() ? row->metrics[m]
                                                 : std::numeric_limits<double>::quiet_NaN());
      }
      panels[m].plot(x, trimmed(values, options.skip_start, options.skip_end));
      panels[m].xlabel("Batches processed").ylabel(metric_names_[m]);
    }
    return figure;
  });
}

}  // namespace fastcpp
