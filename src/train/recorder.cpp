#include "fastcpp/train/recorder.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"
#include "fastcpp/core/progress.hpp"
#include "fastcpp/train/learner.hpp"

namespace fastcpp {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// [skip_start, size - skip_end), as the reference trims its curves.
std::vector<double> trimmed(const std::vector<double>& values, int skip_start, int skip_end) {
  const auto n = static_cast<std::ptrdiff_t>(values.size());
  const auto first = std::clamp<std::ptrdiff_t>(skip_start, 0, n);
  const auto last = std::clamp<std::ptrdiff_t>(n - std::max(0, skip_end), first, n);
  return {values.begin() + first, values.begin() + last};
}

std::vector<double> numbers_from(std::size_t n, int start = 0) {
  std::vector<double> x(n);
  std::iota(x.begin(), x.end(), static_cast<double>(start));
  return x;
}

// Central differences, one-sided at the ends.
std::vector<double> gradient(const std::vector<double>& y) {
  const std::size_t n = y.size();
  std::vector<double> slope(n);
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t low = i == 0 ? 0 : i - 1, high = std::min(n - 1, i + 1);
    slope[i] = (y[high] - y[low]) / static_cast<double>(high - low);
  }
  return slope;
}

// Position of the smallest value; as in NumPy the first value that is no number wins.
std::size_t argmin(const std::vector<double>& values) {
  const auto smaller = [](double a, double b) { return std::isnan(a) ? !std::isnan(b) : a < b; };
  return static_cast<std::size_t>(std::min_element(values.begin(), values.end(), smaller) -
                                  values.begin());
}

}  // namespace

Recorder::Recorder(std::vector<std::string> metric_names, bool add_time, bool silent)
    : metric_names_(std::move(metric_names)), add_time_(add_time), silent_(silent) {}

void Recorder::on_train_begin(TrainState&) {
  lrs.clear();
  moms.clear();
  losses.clear();
  val_losses.clear();
  metrics.clear();
  nb_batches.clear();
  history.clear();
  names = {"epoch", "train_loss", "valid_loss"};
  names.insert(names.end(), metric_names_.begin(), metric_names_.end());
  if (add_time_) names.push_back("time");
  if (!silent_) progress_sink()->table_header(names);
}

void Recorder::on_epoch_begin(TrainState&) {
  epoch_start_ = now();
}

void Recorder::on_batch_begin(TrainState& state) {
  if (!state.train) return;
  const auto learner = learn();
  lrs.push_back(learner.opt().lr().back());
  moms.push_back(learner.opt().mom().back());
}

void Recorder::on_batch_end(TrainState& state) {
  if (state.train) losses.push_back(state.smooth_loss);
}
void Recorder::on_train_end(TrainState&) {}

void Recorder::on_epoch_end(TrainState& state) {
  nb_batches.push_back(state.num_batch);
  HistoryRow row{.epoch = state.epoch, .train_loss = state.smooth_loss};
  if (!state.last_metrics.empty()) {
    row.valid_loss = state.last_metrics.front();
    row.metrics.assign(state.last_metrics.begin() + 1, state.last_metrics.end());
    val_losses.push_back(*row.valid_loss);
    metrics.push_back(row.metrics);
  }
  row.seconds = now() - epoch_start_;
  history.push_back(row);
  if (!silent_) progress_sink()->table_row({.epoch = row.epoch, .cells = cells(row), .values = {}});
}

std::vector<std::string> Recorder::cells(const HistoryRow& row) const {
  std::vector<std::string> cells{std::to_string(row.epoch), fmt::format("{:.6f}", row.train_loss)};
  if (row.valid_loss) {
    cells.push_back(fmt::format("{:.6f}", *row.valid_loss));
    for (double value : row.metrics) cells.push_back(fmt::format("{:.6f}", value));
  } else {
    // The reference writes one mark for all that validation would have given.
    cells.push_back("#na#");
  }
  if (add_time_) cells.push_back(format_time(row.seconds));
  return cells;
}

std::string Recorder::csv() const {
  std::string text = fmt::format("{}\n", fmt::join(names, ","));
  for (const auto& row : history) text += fmt::format("{}\n", fmt::join(cells(row), ","));
  return text;
}

void Recorder::need_losses() const {
  if (losses.empty()) {
    throw TrainError("train.nothing_recorded",
                     "there is nothing to plot: no batch was trained yet");
  }
}

std::optional<LrSuggestion> Recorder::suggest(const RecorderPlotOptions& options) {
  need_losses();
  const auto rates = trimmed(lrs, options.skip_start, options.skip_end);
  const auto curve = trimmed(losses, options.skip_start, options.skip_end);
  if (curve.size() < 2) {
    log_warning(
        fmt::format("no learning rate can be suggested from {} points: record more batches, or "
                    "lower skip_start and skip_end",
                    curve.size()));
    return std::nullopt;
  }
  LrSuggestion result;
  result.index = argmin(gradient(curve));
  result.min_grad_lr = rates[result.index];
  result.min_loss_lr_10 = rates[argmin(curve)] / 10;
  min_grad_lr = result.min_grad_lr;
  log_info(fmt::format("Min numerical gradient: {:.2E}", result.min_grad_lr));
  log_info(fmt::format("Min loss divided by 10: {:.2E}", result.min_loss_lr_10));
  return result;
}

Figure Recorder::plot(const RecorderPlotOptions& options) {
  need_losses();
  const auto rates = trimmed(lrs, options.skip_start, options.skip_end);
  const auto curve = trimmed(losses, options.skip_start, options.skip_end);
  Figure figure({.width = 6, .height = 4});
  auto axes = figure.add_axes();
  axes.plot(rates, curve)
      .xscale("log")
      .xlabel("Learning Rate")
      .ylabel("Loss")
      .xtick_format("{:.0e}");
  if (options.suggestion) {
    if (const auto found = suggest(options)) {
      axes.scatter({found->min_grad_lr}, {curve[found->index]}, {.color = colors::red, .size = 10});
    }
  }
  return figure;
}

Figure Recorder::plot_lr(const RecorderPlotLrOptions& options) const {
  need_losses();
  const auto rates = trimmed(lrs, options.skip_start, options.skip_end);
  const auto x = numbers_from(rates.size(), options.skip_start);
  Figure figure({.width = options.show_moms ? 12.0 : 6.0, .height = 4});
  auto panels = figure.subplots(1, options.show_moms ? 2 : 1);
  panels[0].plot(x, rates).xlabel("Iterations").ylabel("Learning Rate");
  if (options.show_moms) {
    const auto momenta = trimmed(moms, options.skip_start, options.skip_end);
    panels[1].plot(x, momenta).xlabel("Iterations").ylabel("Momentum");
  }
  return figure;
}

Figure Recorder::plot_losses(const RecorderRangeOptions& options) const {
  need_losses();
  const auto curve = trimmed(losses, options.skip_start, options.skip_end);
  Figure figure({.width = 6, .height = 4});
  auto axes = figure.add_axes();
  axes.plot(numbers_from(curve.size(), options.skip_start), curve, {.label = "Train"});
  std::vector<double> x, y;
  double batches = 0;
  for (std::size_t i = 0; i < val_losses.size(); ++i) {
    batches += static_cast<double>(nb_batches[i]);
    if (batches < options.skip_start) continue;
    x.push_back(batches);
    y.push_back(val_losses[i]);
  }
  axes.plot(x, y, {.label = "Validation"});
  axes.xlabel("Batches processed").ylabel("Loss").legend();
  return figure;
}

Figure Recorder::plot_metrics(const RecorderRangeOptions& options) const {
  if (metrics.empty() || metrics.front().empty()) {
    throw TrainError("train.no_metrics", "There are no metrics to plot: give the learner some");
  }
  const auto count = metrics.front().size();
  Figure figure({.width = 6, .height = 4.0 * static_cast<double>(count)});
  auto panels = figure.subplots(static_cast<int>(count), 1);
  std::vector<double> all;
  double batches = 0;
  for (auto n : nb_batches) all.push_back(batches += static_cast<double>(n));
  const auto x = trimmed(all, options.skip_start, options.skip_end);
  for (std::size_t m = 0; m < count; ++m) {
    std::vector<double> values;
    for (const auto& row : metrics) values.push_back(row[m]);
    panels[m].plot(x, trimmed(values, options.skip_start, options.skip_end));
    panels[m].xlabel("Batches processed").ylabel(metric_names_[m]);
  }
  return figure;
}

}  // namespace fastcpp
