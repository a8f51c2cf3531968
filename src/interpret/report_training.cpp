// How the training went, and how long it took.
#include <fmt/format.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "fastcpp/core/text.hpp"
#include "interpret/report_parts.hpp"

namespace fastcpp::inline v0::report_detail {
namespace {

constexpr double kGap = std::numeric_limits<double>::quiet_NaN();  // a plot leaves it out
constexpr std::size_t kMostPoints = 1000;

struct Curve {
  std::vector<double> x = {}, y = {};
};

// One value a batch, thinned where there are more than can be told apart.
void append(Curve& curve, const std::vector<double>& values, double first) {
  const auto step = std::max<std::size_t>(1, values.size() / kMostPoints);
  for (std::size_t i = 0; i < values.size(); i += step) {
    curve.x.push_back(first + static_cast<double>(i));
    curve.y.push_back(values[i]);
  }
  if (values.size() > 1 && (values.size() - 1) % step != 0) {
    curve.x.push_back(first + static_cast<double>(values.size() - 1));
    curve.y.push_back(values.back());
  }
}

// Between two trainings.
void end_line(Curve& curve) {
  if (curve.x.empty()) return;
  curve.x.push_back(curve.x.back());
  curve.y.push_back(kGap);
}

// The epochs of a fit, and how many batches of all fits had been trained when each ended.
template <typename F>
void each_epoch(const FitRecord& fit, double first, const F& f) {
  double batches = first;
  for (std::size_t i = 0; i < std::min(fit.history.size(), fit.nb_batches.size()); ++i) {
    batches += static_cast<double>(fit.nb_batches[i]);
    f(batches, fit.history[i]);
  }
}

double last_finite(const std::vector<double>& values) {
  for (auto at = values.rbegin(); at != values.rend(); ++at) {
    if (std::isfinite(*at)) return *at;
  }
  return kGap;
}

std::string told(const std::string& what, const Curve& curve) {
  if (curve.y.empty()) return what + ": no values.";
  return fmt::format("{}: from {} to {}.", what, number(curve.y.front()),
                     number(last_finite(curve.y)));
}

Axes panel(Figure& figure, const char* ylabel) {
  auto axes = figure.add_axes();
  axes.xlabel("Batches processed").ylabel(ylabel);
  return axes;
}

std::string losses_html(const Context& report) {
  Curve train, valid;
  double first = 0;
  for (const auto& fit : report.fits) {
    append(train, fit.losses, first);
    each_epoch(fit, first, [&](double batches, const HistoryRow& row) {
      if (!row.valid_loss) return;
      valid.x.push_back(batches);
      valid.y.push_back(*row.valid_loss);
    });
    end_line(train);
    first += static_cast<double>(fit.losses.size());
  }
  Figure figure({.width = 6, .height = 4});
  auto axes = panel(figure, "Loss");
  axes.plot(train.x, train.y, {.label = "Training"});
  if (!valid.x.empty()) {
    axes.plot(valid.x, valid.y, {.label = "Validation", .color = colors::tab_orange})
        .scatter(valid.x, valid.y, {.color = colors::tab_orange, .size = 4});
  }
  axes.legend();
  auto alt = told("Training loss over the batches", train);
  if (!valid.x.empty()) alt += ' ' + told("Validation loss", valid);
  return figure_html(figure, alt);
}

std::string rates_html(const Context& report) {
  Curve rates;
  double first = 0;
  for (const auto& fit : report.fits) {
    append(rates, fit.lrs, first);
    end_line(rates);
    first += static_cast<double>(fit.losses.size());
  }
  Figure figure({.width = 6, .height = 4});
  panel(figure, "Learning rate").plot(rates.x, rates.y);
  double highest = 0;
  for (const double rate : rates.y)
    highest = std::isfinite(rate) ? std::max(highest, rate) : highest;
  return figure_html(figure, fmt::format("Learning rate of the last layer group over the batches, "
                                         "at most {:.2e}.",
                                         highest));
}

std::string metric_html(const Context& report, const std::string& name) {
  Curve curve;
  double first = 0;
  for (const auto& fit : report.fits) {
    const auto found = std::find(fit.metric_names.begin(), fit.metric_names.end(), name);
    const auto m = static_cast<std::size_t>(found - fit.metric_names.begin());
    each_epoch(fit, first, [&](double batches, const HistoryRow& row) {
      if (m >= row.metrics.size() || !std::isfinite(row.metrics[m])) return;
      curve.x.push_back(batches);
      curve.y.push_back(row.metrics[m]);
    });
    first += static_cast<double>(fit.losses.size());
  }
  if (curve.x.empty()) return {};
  Figure figure({.width = 6, .height = 4});
  panel(figure, name.c_str())
      .plot(curve.x, curve.y)
      .scatter(curve.x, curve.y, {.color = colors::tab_blue, .size = 4});
  return figure_html(figure, told("Metric " + name + " by epoch", curve));
}

std::string history_html(const Context& report) {
  std::string html = "<div class=\"plots\">\n";
  for (std::size_t i = 0; i < report.fits.size(); ++i) {
    const auto& fit = report.fits[i];
    html += "<div>";
    if (report.fits.size() > 1) html += fmt::format("<h3>Fit {}</h3>\n", i + 1);
    std::vector<Column> columns{{"epoch"}, {"train_loss"}, {"valid_loss"}};
    for (const auto& name : fit.metric_names) columns.push_back({name});
    columns.push_back({"time"});
    std::vector<std::vector<std::string>> rows;
    for (const auto& row : fit.history) {
      std::vector<std::string> cells{std::to_string(row.epoch), number(row.train_loss, 6),
                                     number(row.valid_loss.value_or(kGap), 6)};
      for (std::size_t m = 0; m < fit.metric_names.size(); ++m) {
        cells.push_back(number(m < row.metrics.size() ? row.metrics[m] : kGap, 6));
      }
      cells.push_back(duration(row.seconds));
      rows.push_back(std::move(cells));
    }
    html += rows.empty()
                ? paragraph(fmt::format("{} trained; no epoch was finished.",
                                        counted(static_cast<std::int64_t>(fit.losses.size()),
                                                "batch was", "batches were")))
                : table_html(fmt::format("Epochs of fit {}", i + 1), columns, rows);
    html += "</div>\n";
  }
  return html + "</div>\n";
}

}  // namespace

std::int64_t training_epochs(const Context& report) {
  std::int64_t epochs = 0;
  for (const auto& fit : report.fits) epochs += static_cast<std::int64_t>(fit.history.size());
  return epochs;
}

double training_seconds(const Context& report) {
  double seconds = 0;
  for (const auto& fit : report.fits) {
    for (const auto& row : fit.history) seconds += row.seconds;
  }
  return seconds;
}

std::string training_html(const Context& report) {
  if (report.fits.empty()) {
    return paragraph("This learner was not trained by this program: no fit was recorded.");
  }
  std::vector<std::string> metrics;
  for (const auto& fit : report.fits) {
    for (const auto& name : fit.metric_names) {
      if (std::find(metrics.begin(), metrics.end(), name) == metrics.end()) metrics.push_back(name);
    }
  }
  auto html = history_html(report) + "<div class=\"plots\">" + losses_html(report);
  for (const auto& name : metrics) html += metric_html(report, name);
  return html + rates_html(report) + "</div>\n";
}

std::string lr_find_html(const Context& report) {
  if (!report.lr_find) return {};
  // The first batches and the divergence at the end would flatten the rest; as Recorder::plot leaves them out.
  constexpr std::size_t kSkipStart = 10, kSkipEnd = 5;
  auto rates = report.lr_find->lrs, losses = report.lr_find->losses;
  if (losses.size() > kSkipStart + kSkipEnd + 2) {
    const auto cut = [&](std::vector<double>& values) {
      values.resize(values.size() - kSkipEnd);
      values.erase(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(kSkipStart));
    };
    cut(rates);
    cut(losses);
  }
  Figure figure({.width = 6, .height = 4});
  auto axes = figure.add_axes();
  axes.plot(rates, losses)
      .xscale(AxisScale::kLog)
      .xlabel("Learning rate")
      .ylabel("Loss")
      .xtick_format("{:.0e}");
  std::string text =
      fmt::format("It ended after {}: too few for a suggestion.",
                  counted(static_cast<std::int64_t>(losses.size()), "batch", "batches"));
  // Two or three losses differ by their pictures more than by the rate.
  constexpr std::size_t kFew = 5;
  const auto found = losses.size() < kFew ? std::nullopt : suggest_lr(rates, losses);
  if (found) {
    text = fmt::format(
        "The loss falls steepest at a rate of {:.1e}; a tenth of the rate with the "
        "lowest loss is {:.1e}.",
        found->min_grad_lr, found->min_loss_lr_10);
    if (found->doubtful) {
      text += " The first is doubtful: it lies at an end of the curve, or the loss falls nowhere.";
    } else {
      axes.scatter({found->min_grad_lr}, {losses[found->index]},
                   {.label = "Steepest descent", .color = colors::red, .size = 8})
          .legend();
    }
  }
  return paragraph(text) + "<div class=\"plots\">" +
         figure_html(figure, "Loss against learning rate. " + text) + "</div>\n";
}

std::string timings_html(const Context& report) {
  std::vector<std::vector<std::string>> rows;
  const auto items = report.data.train_ds().size();
  for (std::size_t i = 0; i < report.fits.size(); ++i) {
    const auto& fit = report.fits[i];
    if (fit.history.empty()) continue;
    double seconds = 0;
    for (const auto& row : fit.history) seconds += row.seconds;
    const auto epochs = static_cast<double>(fit.history.size());
    rows.push_back(
        {fmt::format("Fit {}: {}", i + 1,
                     counted(static_cast<std::int64_t>(fit.history.size()), "epoch", "epochs")),
         duration(seconds), duration(seconds / epochs),
         number(seconds > 0 ? epochs * static_cast<double>(items) / seconds : kGap, 1)});
  }
  if (report.interp) {
    const auto n = report.interp->preds().size(0);
    rows.push_back(
        {"Predictions of this page", duration(report.predict_seconds), "\u2013",
         number(report.predict_seconds > 0 ? static_cast<double>(n) / report.predict_seconds : kGap,
                1)});
  }
  if (report.heat_seconds > 0) {
    rows.push_back({"Heat maps of this page", duration(report.heat_seconds), "\u2013", "\u2013"});
  }
  if (report.importance_seconds > 0) {
    rows.push_back({"Importance of columns of this page", duration(report.importance_seconds),
                    "\u2013", "\u2013"});
  }
  auto html =
      table_html("Timings", {{"What", false}, {"Time"}, {"An epoch"}, {"Items a second"}}, rows);
  if (!report.fits.empty()) {
    html += paragraph(
        "Epochs with their validation; items a second are training items over the whole epoch.");
  }
  return html + paragraph(fmt::format(
                    "{}, {}, {}.", report.data.device().str(),
                    counted(torch::get_num_threads(), "computing thread", "computing threads"),
                    counted(report.data.train_dl().options().num_workers, "loading thread",
                            "loading threads")));
}

}  // namespace fastcpp::report_detail
