#include <algorithm>
#include <array>
#include <cmath>

#include "plot/decor.hpp"

namespace fastcpp::inline v0::plot_detail {
namespace {

constexpr double kHandleWidth = 20, kHandleGap = 8, kPad = 4, kCornerGap = 5, kEntryGap = 4;

const std::string& label_of(const Item& item) {
  static const std::string none;
  if (const auto* line = std::get_if<Line>(&item)) return line->label;
  if (const auto* dots = std::get_if<Dots>(&item)) return dots->label;
  if (const auto* bars = std::get_if<Bars>(&item)) return bars->label;
  return none;
}

bool inside(const Rect& box, double x, double y) {
  return x >= box.x && x <= box.right() && y >= box.y && y <= box.bottom();
}

int hidden_points(const std::vector<double>& xs, const std::vector<double>& ys, bool joined,
                  const AxesLayout& axes, const Rect& box) {
  int hidden = 0;
  double last_x = NAN, last_y = NAN;
  for (std::size_t i = 0; i < xs.size(); ++i) {
    const double x = axes.x_at(xs[i]), y = axes.y_at(ys[i]);
    if (!std::isfinite(x) || !std::isfinite(y)) continue;
    if (inside(box, x, y)) ++hidden;
    if (joined && std::isfinite(last_x)) {
      // A long stroke may cross the box between its ends.
      const double length = std::hypot(x - last_x, y - last_y);
      const int steps = static_cast<int>(std::min(length / 4, 200.0));
      for (int s = 1; s < steps; ++s) {
        const double f = static_cast<double>(s) / steps;
        if (inside(box, last_x + f * (x - last_x), last_y + f * (y - last_y))) ++hidden;
      }
    }
    last_x = x;
    last_y = y;
  }
  return hidden;
}

int hidden_bars(const Bars& bars, const AxesLayout& axes, const Rect& box) {
  int hidden = 0;
  for (std::size_t i = 0; i < bars.x.size(); ++i) {
    const double left = axes.x_at(bars.x[i] - bars.width / 2);
    const double right = axes.x_at(bars.x[i] + bars.width / 2);
    const double y = axes.y_at(bars.height[i]), zero = axes.y_at(0);
    const double top = std::min(y, zero), bottom = std::max(y, zero);
    if (right >= box.x && left <= box.right() && bottom >= box.y && top <= box.bottom())
      hidden += 10;
  }
  return hidden;
}

int hidden(const AxesLayout& axes, const Rect& box) {
  int sum = 0;
  for (const Item& item : axes.model->items) {
    if (const auto* line = std::get_if<Line>(&item)) {
      sum += hidden_points(line->x, line->y, true, axes, box);
    } else if (const auto* dots = std::get_if<Dots>(&item)) {
      sum += 5 * hidden_points(dots->x, dots->y, false, axes, box);
    } else if (const auto* bars = std::get_if<Bars>(&item)) {
      sum += hidden_bars(*bars, axes, box);
    }
  }
  return sum;
}

Rect best_corner(LegendLocation wanted, const AxesLayout& axes, double width, double height,
                 double gap) {
  const Rect& box = axes.box;
  const double left = box.x + gap, right = box.right() - gap - width;
  const double top = box.y + gap, bottom = box.bottom() - gap - height;
  const std::array<Rect, 4> corners{{{right, top, width, height},
                                     {left, top, width, height},
                                     {left, bottom, width, height},
                                     {right, bottom, width, height}}};
  if (wanted != LegendLocation::kBest) return corners[static_cast<int>(wanted) - 1];
  std::array<int, 4> scores;
  for (int i = 0; i < 4; ++i) scores[i] = hidden(axes, corners[i]);
  return corners[std::min_element(scores.begin(), scores.end()) - scores.begin()];
}

}  // namespace

void place_legend(const Style& style, AxesLayout& axes, FigureLayout& figure,
                  TextMeasurer& measurer) {
  std::vector<const Item*> items;
  double widest = 0;
  for (const Item& item : axes.model->items) {
    if (label_of(item).empty()) continue;
    items.push_back(&item);
    widest = std::max(widest, measurer.width(label_of(item), 10));
  }
  if (items.empty()) return;
  const double count = static_cast<double>(items.size());
  const double full_width = 2 * kPad + kHandleWidth + kHandleGap + widest + 2 * kCornerGap;
  const double full_height =
      2 * kPad + count * measurer.line_height(10) + (count - 1) * kEntryGap + 2 * kCornerGap;
  // It is never larger than the axes.
  const double scale =
      std::min({style.scale, axes.box.width / full_width, axes.box.height / full_height});
  if (scale < 0.2) return;
  const double size = 10 * scale, row = measurer.line_height(size) + kEntryGap * scale;
  const double width = (full_width - 2 * kCornerGap) * scale;
  const double height = (full_height - 2 * kCornerGap) * scale;
  PlacedLegend legend;
  legend.box = best_corner(axes.model->legend->location, axes, width, height, kCornerGap * scale);
  legend.handle_x = legend.box.x + kPad * scale;
  legend.handle_width = kHandleWidth * scale;
  double y = legend.box.y + kPad * scale + measurer.line_height(size) / 2;
  for (const Item* item : items) {
    legend.entries.push_back({item, y});
    figure.texts.push_back(text_box(label_of(*item), size, {},
                                    legend.handle_x + (kHandleWidth + kHandleGap) * scale, y, 0,
                                    0.5, measurer));
    y += row;
  }
  axes.legend = std::move(legend);
}

}  // namespace fastcpp::plot_detail
