// A training as lines of text: what `live_progress` draws.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/terminal.hpp"
#include "fastcpp/core/progress.hpp"

namespace fastcpp::inline v0 {

// Keeps what a sink is told, and says what there is to see at a time. Times are seconds from any start.
class LiveView {
 public:
  struct Look {
    std::string title = {};
    bool unicode = true, color = true;
  };
  // What the view is drawn in and with.
  struct Scene {
    TerminalSize size = {};
    double now = 0;
    double lr = std::numeric_limits<double>::quiet_NaN();
    std::string keys = {};  // which there are, or what one did
  };

  explicit LiveView(Look look) : look_(std::move(look)) {}

  void header(const std::vector<std::string>& names, double now);
  void row(const TableRow& row);
  void begin(const ProgressTask& task, double now);
  void update(std::int64_t done, std::string_view comment);

  bool in_training() const { return task_.n_epochs > 0; }
  // No line is longer than the terminal is wide, and they leave it a line at least.
  std::vector<std::string> lines(const Scene& scene) const;

 private:
  using Curve = std::vector<std::pair<double, double>>;

  std::string title_line(const Scene& scene, int width) const;
  std::string bar_line(const Scene& scene, int width) const;
  std::string figures_line(const Scene& scene) const;
  std::string legend_line(const Scene& scene, int width) const;
  double position() const;  // in epochs

  Look look_;
  std::vector<std::string> names_;
  int rows_below_header_ = 0;
  ProgressTask task_;
  std::int64_t done_ = 0;
  std::string comment_;
  double fit_start_ = 0, task_start_ = 0;
  std::optional<double> first_position_;  // where the fit began: it may go on at a later epoch
  std::optional<double> loss_, valid_loss_, best_;  // the last two are there together
  Curve train_, valid_;
  std::int64_t seen_ = 0, stride_ = 1;  // of the training losses every stride_-th is kept
};

}  // namespace fastcpp
