#include "core/live_view.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/text_chart.hpp"
#include "fastcpp/core/text.hpp"

namespace fastcpp::inline v0 {
namespace {

constexpr const char* kTrainColor = "\x1b[34m";  // blue and orange, as fastai's plots
constexpr const char* kValidColor = "\x1b[33m";
constexpr const char* kPlain = "\x1b[0m";
// A chart in a terminal lower than this would leave no room for the table.
constexpr int kRowsForChart = 14, kRowsForFigures = 8, kMostChartRows = 20;

// One letter a character is not true of all scripts; the terminal cuts what is wider.
int letters(std::string_view text) {
  int count = 0;
  for (; !text.empty(); ++count) text.remove_prefix(std::max<std::size_t>(1, utf8_length(text)));
  return count;
}

std::string cut_to(std::string_view text, int width) {
  std::size_t end = 0;
  for (int i = 0; i < width && end < text.size(); ++i)
    end += std::max<std::size_t>(1, utf8_length(text.substr(end)));
  return std::string(text.substr(0, end));
}

std::string in_one_line(std::string_view text) {
  auto clean = clean_text(text);
  std::replace(clean.begin(), clean.end(), '\n', ' ');
  return clean;
}

// `right` at the end of the line, `left` as far as there is room.
std::string both_ends(const std::string& left, const std::string& right, int width) {
  const int room = width - letters(right) - 1;
  if (room < 0) return cut_to(right, width);
  const auto shown = cut_to(left, room);
  return fmt::format("{}{:{}}{}", shown, "", room - letters(shown) + 1, right);
}

const char* phase_word(ProgressPhase phase) {
  switch (phase) {
    case ProgressPhase::kTrain:
      return "train";
    case ProgressPhase::kValidate:
      return "validate";
    case ProgressPhase::kFindLr:
      return "find lr";
    case ProgressPhase::kPredict:
      return "predict";
    case ProgressPhase::kPrecompute:
      return "precompute";
    case ProgressPhase::kDownload:
      return "download";
    case ProgressPhase::kExtract:
      return "extract";
    case ProgressPhase::kCheck:
      return "check";
  }
  return "";
}

std::string filled_bar(double share, int width, bool unicode) {
  if (!unicode) {
    const auto full = static_cast<std::size_t>(share * width);
    return std::string(full, '#') + std::string(static_cast<std::size_t>(width) - full, '.');
  }
  static constexpr const char* kEighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const auto eighths = static_cast<int>(share * width * 8);
  std::string bar;
  for (int i = 0; i < eighths / 8; ++i) bar += "█";
  bar += kEighths[eighths % 8];
  const int left = width - eighths / 8 - (eighths % 8 > 0 ? 1 : 0);
  return bar + std::string(static_cast<std::size_t>(left), ' ');
}

std::optional<double> leading_number(std::string_view text) {
  double number = 0;
  const auto end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, number);
  if (result.ec != std::errc()) return std::nullopt;
  return number;
}

}  // namespace

void LiveView::header(const std::vector<std::string>& names, double now) {
  names_ = names;
  rows_below_header_ = 0;
  fit_start_ = now;
  first_position_.reset();
  loss_.reset();
  valid_loss_.reset();
  best_.reset();
  train_.clear();
  valid_.clear();
  seen_ = 0;
  stride_ = 1;
}

void LiveView::row(const TableRow& row) {
  ++rows_below_header_;
  const auto column = std::find(names_.begin(), names_.end(), "valid_loss") - names_.begin();
  if (static_cast<std::size_t>(column) >= row.values.size()) return;
  const double value = row.values[static_cast<std::size_t>(column)];
  if (!std::isfinite(value)) return;
  valid_loss_ = value;
  valid_.emplace_back(row.epoch + 1, value);
  best_ = best_ ? std::min(*best_, value) : value;
}

void LiveView::begin(const ProgressTask& task, double now) {
  task_ = task;
  done_ = 0;
  comment_.clear();
  task_start_ = now;
  if (in_training() && !first_position_) first_position_ = task.epoch;
}

double LiveView::position() const {
  if (task_.phase == ProgressPhase::kValidate) return task_.epoch + 1;
  if (task_.total <= 0) return task_.epoch;
  return task_.epoch + static_cast<double>(done_) / static_cast<double>(task_.total);
}

void LiveView::update(std::int64_t done, std::string_view comment) {
  done_ = done;
  comment_ = comment;
  if (!in_training() || task_.phase != ProgressPhase::kTrain) return;
  const auto loss = leading_number(comment);
  if (!loss) return;
  loss_ = loss;
  if (seen_++ % stride_ != 0) return;
  train_.emplace_back(position(), *loss);
  // A training of days takes no more memory than one of minutes.
  constexpr std::size_t kMostPoints = 4096;
  if (train_.size() < kMostPoints) return;
  Curve kept;
  for (std::size_t i = 0; i < train_.size(); i += 2) kept.push_back(train_[i]);
  train_ = std::move(kept);
  stride_ *= 2;
}

std::string LiveView::title_line(const Scene& scene, int width) const {
  const double elapsed = std::max(0.0, scene.now - fit_start_);
  auto right =
      fmt::format("epoch {}/{}  {}", task_.epoch + 1, task_.n_epochs, format_time(elapsed));
  const double gone = position() - first_position_.value_or(0);
  if (gone > 0) {
    const double left = elapsed / gone * std::max(0.0, task_.n_epochs - position());
    right += fmt::format("<{}", format_time(left));
  }
  return both_ends(in_one_line(look_.title), right, width);
}

std::string LiveView::bar_line(const Scene& scene, int width) const {
  const double elapsed = std::max(0.0, scene.now - task_start_);
  auto left = fmt::format("{:<8} ", phase_word(task_.phase));
  if (!task_.what.empty()) left = in_one_line(task_.what) + " ";
  std::string right;
  double share = 0;
  if (task_.total > 0) {
    share = std::clamp(static_cast<double>(done_) / static_cast<double>(task_.total), 0.0, 1.0);
    right =
        fmt::format(" {:3.0f}% {}/{} {}", 100 * share, done_, task_.total, format_time(elapsed));
    if (share > 0) right += fmt::format("<{}", format_time(elapsed / share - elapsed));
  } else {
    right = fmt::format(" {} {}", done_, format_time(elapsed));
  }
  if (!in_training() && !comment_.empty()) right += " " + in_one_line(comment_);
  constexpr int kShortestBar = 4;
  const int room = width - letters(left) - letters(right);
  if (task_.total <= 0 || room < kShortestBar) return cut_to(left + right.substr(1), width);
  return left + filled_bar(share, room, look_.unicode) + right;
}

std::string LiveView::figures_line(const Scene& scene) const {
  std::string line;
  const auto add = [&](const std::string& text) { line += (line.empty() ? "" : "  ") + text; };
  if (loss_) add(fmt::format("loss {:.4f}", *loss_));
  if (std::isfinite(scene.lr)) add(fmt::format("lr {:.2e}", scene.lr));
  if (valid_loss_) add(fmt::format("valid_loss {:.4f} (best {:.4f})", *valid_loss_, *best_));
  return line;
}

std::string LiveView::legend_line(const Scene& scene, int width) const {
  const std::string stroke = look_.unicode ? "──" : "..", other = look_.unicode ? "──" : "oo";
  const auto shown =
      both_ends(fmt::format("{} train  {} valid", stroke, other), in_one_line(scene.keys), width);
  if (!look_.color || !shown.starts_with(stroke)) return shown;
  // Codes take no room, so they come last.
  const auto second = shown.find(other, stroke.size());
  if (second == std::string::npos) return shown;
  return kTrainColor + stroke + kPlain + shown.substr(stroke.size(), second - stroke.size()) +
         kValidColor + other + kPlain + shown.substr(second + other.size());
}

std::vector<std::string> LiveView::lines(const Scene& scene) const {
  // Some terminals go to the next line once the last column is full.
  const int width = std::max(1, scene.size.columns - 1);
  std::vector<std::string> all;
  if (!in_training() || scene.size.rows < kRowsForFigures) return {bar_line(scene, width)};
  all.push_back(title_line(scene, width));
  all.push_back(bar_line(scene, width));
  all.push_back(cut_to(figures_line(scene), width));
  constexpr int kNarrowestChart = 24;
  if (scene.size.rows >= kRowsForChart && width >= kNarrowestChart) {
    const auto chart = text_chart({{train_, kTrainColor, '.'}, {valid_, kValidColor, 'o'}},
                                  {.rows = std::min(kMostChartRows, scene.size.rows / 2 - 3),
                                   .columns = width,
                                   .unicode = look_.unicode,
                                   .color = look_.color,
                                   .unit = " epochs"});
    all.insert(all.end(), chart.begin(), chart.end());
    all.push_back(legend_line(scene, width));
  } else if (!scene.keys.empty()) {
    all.push_back(cut_to(in_one_line(scene.keys), width));
  }
  // The table stands above; once its header is out of sight, its names go below its columns.
  if (rows_below_header_ > 0 &&
      rows_below_header_ + 1 + static_cast<int>(all.size()) > scene.size.rows) {
    all.insert(all.begin(), cut_to(format_table_line(names_, names_), width));
  }
  return all;
}

}  // namespace fastcpp
