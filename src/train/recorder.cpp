#include "fastcpp/train/recorder.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"
#include "fastcpp/core/progress.hpp"
#include "fastcpp/train/learner.hpp"
#include "train/slope.hpp"
#include "train/values.hpp"

namespace fastcpp::inline v0 {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Position of the smallest value; as in NumPy the first value that is no number wins.
std::size_t argmin(const std::vector<double>& values) {
  const auto smaller = [](double a, double b) { return std::isnan(a) ? !std::isnan(b) : a < b; };
  return static_cast<std::size_t>(std::min_element(values.begin(), values.end(), smaller) -
                                  values.begin());
}

Value text_list(const std::vector<std::string>& texts) {
  auto list = Value::list();
  for (const auto& text : texts) list.append(text);
  return list;
}

std::vector<std::string> to_texts(const Value& value) {
  std::vector<std::string> texts;
  for (const auto& item : value.items()) texts.push_back(item.as_string());
  return texts;
}

Value record_value(const FitRecord& record) {
  auto batches = Value::list(), history = Value::list();
  for (const auto n : record.nb_batches) batches.append(n);
  for (const auto& row : record.history) {
    history.append(Value::dict({{"epoch", row.epoch},
                                {"train_loss", row.train_loss},
                                {"valid_loss", row.valid_loss ? Value(*row.valid_loss) : Value()},
                                {"metrics", to_value(row.metrics)},
                                {"seconds", row.seconds}}));
  }
  return Value::dict({{"lr_find", record.lr_find},
                      {"lrs", to_value(record.lrs)},
                      {"moms", to_value(record.moms)},
                      {"losses", to_value(record.losses)},
                      {"nb_batches", batches},
                      {"metric_names", text_list(record.metric_names)},
                      {"history", history}});
}

FitRecord to_record(const Value& value) {
  FitRecord record{.lr_find = value.at("lr_find").as_bool(),
                   .lrs = to_numbers(value.at("lrs")),
                   .moms = to_numbers(value.at("moms")),
                   .losses = to_numbers(value.at("losses")),
                   .metric_names = to_texts(value.at("metric_names"))};
  for (const auto& n : value.at("nb_batches").items()) record.nb_batches.push_back(n.as_int());
  for (const auto& row : value.at("history").items()) {
    HistoryRow read{.epoch = static_cast<int>(row.at("epoch").as_int()),
                    .train_loss = row.at("train_loss").as_double(),
                    .metrics = to_numbers(row.at("metrics")),
                    .seconds = row.at("seconds").as_double()};
    if (const auto& loss = row.at("valid_loss"); !loss.is_none())
      read.valid_loss = loss.as_double();
    record.history.push_back(std::move(read));
  }
  return record;
}

void refuse_taken(const std::vector<std::string>& metrics, const std::vector<std::string>& added) {
  std::vector<std::string> taken{"epoch", "train_loss", "valid_loss", "time"};
  taken.insert(taken.end(), metrics.begin(), metrics.end());
  for (const auto& name : added) {
    if (std::find(taken.begin(), taken.end(), name) == taken.end()) continue;
    throw ValueError("value.column",
                     fmt::format("the table has a column '{}' already; choose another name", name));
  }
}

}  // namespace

// [skip_start, size - skip_end), as the reference trims its curves.
std::vector<double> Recorder::trimmed(const std::vector<double>& values, int skip_start,
                                      int skip_end) {
  const auto n = static_cast<std::ptrdiff_t>(values.size());
  const auto first = std::clamp<std::ptrdiff_t>(skip_start, 0, n);
  const auto last = std::clamp<std::ptrdiff_t>(n - std::max(0, skip_end), first, n);
  return {values.begin() + first, values.begin() + last};
}

void Recorder::on_train_begin(TrainState&) {
  const auto learner = learn();
  expects_names_ = false;
  std::vector<std::string> columns;
  for (const auto& metric : learner.options().metrics) columns.push_back(metric.name());
  refuse_taken(columns, added_names_);
  columns.insert(columns.end(), added_names_.begin(), added_names_.end());
  if (!losses.empty()) earlier_.push_back(record());
  lr_find_ = next_lr_find_;
  metric_names_ = std::move(columns);
  add_time_ = learner.options().add_time;
  sink_ = learner.progress();
  lrs.clear();
  moms.clear();
  losses.clear();
  val_losses.clear();
  added_.clear();
  metrics.clear();
  nb_batches.clear();
  history.clear();
  min_grad_lr.reset();
  names = {"epoch", "train_loss", "valid_loss"};
  names.insert(names.end(), metric_names_.begin(), metric_names_.end());
  if (add_time_) names.push_back("time");
  show_table_header(sink_, names);
}

void Recorder::expect_names() {
  added_names_.clear();
  expects_names_ = true;
}

void Recorder::add_metric_names(const std::vector<std::string>& columns) {
  if (!expects_names_) {
    throw ValueError("value.column",
                     fmt::format("columns are added while a fit begins, before the recorder does: "
                                 "give the callback that adds {} an order() below {}",
                                 fmt::join(columns, ", "), order()));
  }
  for (const auto& name : columns) {
    if (std::find(added_names_.begin(), added_names_.end(), name) != added_names_.end()) {
      throw ValueError("value.column",
                       fmt::format("the column '{}' was added already; choose another name", name));
    }
    added_names_.push_back(name);
  }
}

void Recorder::add_metrics(const std::vector<std::pair<std::string, double>>& figures) {
  for (const auto& [name, value] : figures) {
    const auto found = std::find(added_names_.begin(), added_names_.end(), name);
    if (found == added_names_.end() || added_.empty()) {
      throw ValueError("value.column",
                       fmt::format("a figure for the column '{}', which no callback added to this "
                                   "fit; added are: {}",
                                   name, fmt::join(added_names_, ", ")));
    }
    added_[static_cast<std::size_t>(found - added_names_.begin())] = value;
  }
}

void Recorder::on_epoch_begin(TrainState&) {
  added_.assign(added_names_.size(), std::numeric_limits<double>::quiet_NaN());
  epoch_start_ = now();
}

void Recorder::on_batch_begin(TrainState& state) {
  if (!state.train) return;
  auto learner = learn();
  lrs.push_back(learner.opt().lr().back());
  moms.push_back(learner.opt().mom().back());
}

void Recorder::on_batch_end(TrainState& state) {
  if (state.train) losses.push_back(state.smooth_loss);
}

void Recorder::on_epoch_end(TrainState& state) {
  nb_batches.push_back(state.num_batch);
  HistoryRow row{.epoch = state.epoch, .train_loss = state.smooth_loss};
  if (!state.last_metrics.empty()) {
    row.valid_loss = state.last_metrics.front();
    row.metrics.assign(state.last_metrics.begin() + 1, state.last_metrics.end());
    val_losses.push_back(*row.valid_loss);
  }
  if (!added_.empty()) {
    row.metrics.resize(metric_names_.size() - added_.size(),
                       std::numeric_limits<double>::quiet_NaN());
    row.metrics.insert(row.metrics.end(), added_.begin(), added_.end());
  }
  if (row.valid_loss) metrics.push_back(row.metrics);
  row.seconds = now() - epoch_start_;
  history.push_back(row);
  show_table_row(sink_, table_row(row));
}

Value Recorder::state() const {
  auto earlier = Value::list();
  for (const auto& fit : earlier_) earlier.append(record_value(fit));
  // The batch under way does not count yet.
  return Value::dict({{"fit", record_value(record())},
                      {"names", text_list(names)},
                      {"added", to_value(added_)},
                      {"earlier", earlier},
                      {"seconds", now() - epoch_start_}});
}

void Recorder::load_state(const Value& state) {
  auto fit = to_record(state.at("fit"));
  lr_find_ = fit.lr_find;
  lrs = std::move(fit.lrs);
  moms = std::move(fit.moms);
  losses = std::move(fit.losses);
  nb_batches = std::move(fit.nb_batches);
  metric_names_ = std::move(fit.metric_names);
  history = std::move(fit.history);
  val_losses.clear();
  metrics.clear();
  for (const auto& row : history) {
    if (!row.valid_loss) continue;
    val_losses.push_back(*row.valid_loss);
    metrics.push_back(row.metrics);
  }
  names = to_texts(state.at("names"));
  earlier_.clear();
  for (const auto& record : state.at("earlier").items()) earlier_.push_back(to_record(record));
  // Within an epoch: no other one begins first.
  added_ = to_numbers(state.at("added"));
  added_.resize(added_names_.size(), std::numeric_limits<double>::quiet_NaN());
  epoch_start_ = now() - state.at("seconds").as_double();
  for (const auto& row : history) show_table_row(sink_, table_row(row));
}

std::optional<double> Recorder::last_value(const std::string& column) const {
  if (column == "train_loss" && !losses.empty()) return losses.back();
  if (history.empty() || !history.back().valid_loss || metrics.empty()) return std::nullopt;
  if (column == "valid_loss") return val_losses.back();
  // Columns: epoch, train_loss, valid_loss, then the metrics.
  for (std::size_t i = 0; i < metrics.back().size(); ++i) {
    if (names[i + 3] == column) return metrics.back()[i];
  }
  return std::nullopt;
}

TableRow Recorder::table_row(const HistoryRow& row) const {
  TableRow shown{.epoch = row.epoch, .cells = {}, .values = {}};
  const auto add = [&](std::string cell, double value) {
    shown.cells.push_back(std::move(cell));
    shown.values.push_back(value);
  };
  add(fmt::format("{}", row.epoch), row.epoch);
  add(fmt::format("{:.6f}", row.train_loss), row.train_loss);
  if (row.valid_loss) {
    add(fmt::format("{:.6f}", *row.valid_loss), *row.valid_loss);
    for (const double value : row.metrics) add(fmt::format("{:.6f}", value), value);
  } else {
    // The reference writes one mark for all that validation would have given.
    add("#na#", std::numeric_limits<double>::quiet_NaN());
    // With added columns each figure stands below its name.
    for (const double value : row.metrics)
      add(std::isnan(value) ? "#na#" : fmt::format("{:.6f}", value), value);
  }
  if (add_time_) add(format_time(row.seconds), row.seconds);
  return shown;
}

std::string Recorder::csv() const {
  std::string text = fmt::format("{}\n", fmt::join(names, ","));
  for (const auto& row : history) text += fmt::format("{}\n", fmt::join(table_row(row).cells, ","));
  return text;
}

void Recorder::need_losses() const {
  if (losses.empty()) {
    throw TrainError("train.nothing_recorded",
                     "there is nothing to plot: no batch was trained yet");
  }
}

std::vector<double> Recorder::rates() const {
  return {lrs.begin(),
          lrs.begin() + static_cast<std::ptrdiff_t>(std::min(lrs.size(), losses.size()))};
}

FitRecord Recorder::record() const {
  const auto n = static_cast<std::ptrdiff_t>(std::min(moms.size(), losses.size()));
  return {lr_find_,      rates(), {moms.begin(), moms.begin() + n}, losses, nb_batches,
          metric_names_, history};
}

std::vector<FitRecord> Recorder::fits() const {
  auto all = earlier_;
  if (!losses.empty()) all.push_back(record());
  return all;
}

std::optional<LrSuggestion> suggest_lr(const std::vector<double>& lrs,
                                       const std::vector<double>& losses) {
  if (losses.size() < 2 || lrs.size() != losses.size()) return std::nullopt;
  LrSuggestion result;
  const auto slope = slope_of(losses);
  result.index = argmin(slope);
  result.min_grad_lr = lrs[result.index];
  result.min_loss_lr_10 = lrs[argmin(losses)] / 10;
  // The outer twentieths of the curve.
  const auto edge = std::max<std::size_t>(1, losses.size() / 20);
  result.falls = slope[result.index] < 0;
  result.doubtful = !result.falls || result.index < edge || result.index + edge >= losses.size();
  return result;
}

std::optional<LrSuggestion> Recorder::suggest(const RecorderPlotOptions& options) {
  need_losses();
  const auto rates = trimmed(this->rates(), options.skip_start, options.skip_end);
  const auto curve = trimmed(losses, options.skip_start, options.skip_end);
  const auto found = suggest_lr(rates, curve);
  if (!found) {
    log_warning(fmt::format(
        "no learning rate can be suggested from {} points: {} batches were recorded, and "
        "skip_start and skip_end leave {} and {} of them out; record more, or lower these",
        curve.size(), losses.size(), options.skip_start, options.skip_end));
    return std::nullopt;
  }
  const auto& result = *found;
  min_grad_lr = result.min_grad_lr;
  log_info(fmt::format("Min numerical gradient: {:.2E}", result.min_grad_lr));
  log_info(fmt::format("Min loss divided by 10: {:.2E}", result.min_loss_lr_10));
  if (result.doubtful) {
    log_warning(
        fmt::format("the suggested learning rate {:.2E} is doubtful: {}; look at the curve, and "
                    "take a rate well "
                    "below the one where the loss begins to rise",
                    result.min_grad_lr,
                    result.falls ? "the loss falls steepest at an end of the curve"
                                 : "the loss falls nowhere"));
  }
  return found;
}

}  // namespace fastcpp
