#include <algorithm>
#include <cmath>

#include "plot/decor.hpp"
#include "plot/names.hpp"

namespace fastcpp::inline v0::plot_detail {
namespace {

constexpr double kNameGap = 2, kSidePad = 1.5, kBoxGap = 2, kBareRadius = 1;

// What is drawn at the points of all items; a point without a dot counts as a small one.
std::vector<Spot> spots_of(const AxesLayout& axes) {
  std::vector<Spot> spots;
  const auto add = [&](const std::vector<double>& xs, const std::vector<double>& ys,
                       double radius) {
    for (std::size_t i = 0; i < xs.size(); ++i) {
      const double x = axes.x_at(xs[i]), y = axes.y_at(ys[i]);
      if (std::isfinite(x) && std::isfinite(y)) spots.push_back({x, y, radius});
    }
  };
  for (const Item& item : axes.model->items) {
    if (const auto* dots = std::get_if<Dots>(&item)) add(dots->x, dots->y, dots->size / 2);
    if (const auto* names = std::get_if<Names>(&item)) add(names->x, names->y, kBareRadius);
  }
  return spots;
}

bool has_point(const Rect& box, double x, double y) {
  return x >= box.x && x <= box.right() && y >= box.y && y <= box.bottom();
}

}  // namespace

void place_annotations(const Style& style, AxesLayout& axes, FigureLayout& figure,
                       TextMeasurer& measurer) {
  // All names of the axes are placed together.
  std::vector<NamedPoint> points;
  std::vector<std::string> texts;
  std::vector<const AnnotateOptions*> looks;
  for (const Item& item : axes.model->items) {
    const auto* names = std::get_if<Names>(&item);
    if (!names) continue;
    const double size = names->style.size * style.scale;
    const double widest =
        std::min(names->style.widest * 72 * style.scale, axes.box.width - 2 * (kBoxGap + kSidePad));
    for (std::size_t i = 0; i < names->x.size(); ++i) {
      const double x = axes.x_at(names->x[i]), y = axes.y_at(names->y[i]);
      if (!std::isfinite(x) || !std::isfinite(y) || !has_point(axes.box, x, y)) continue;
      auto text = fit_line(names->texts[i], widest, size, names->style.bold, measurer);
      if (text.empty()) continue;
      points.push_back({x, y, measurer.width(text, size, names->style.bold) + 2 * kSidePad,
                        measurer.line_height(size)});
      texts.push_back(std::move(text));
      looks.push_back(&names->style);
    }
  }
  if (points.empty()) return;
  std::vector<Rect> taken;
  for (const TextBox& text : figure.texts) taken.push_back(text.box);
  if (axes.legend) taken.push_back(axes.legend->box);
  const Rect room{axes.box.x + kBoxGap, axes.box.y + kBoxGap, axes.box.width - 2 * kBoxGap,
                  axes.box.height - 2 * kBoxGap};
  const auto places = place_names(points, spots_of(axes), taken, room, kNameGap * style.scale);
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (!places[i]) continue;
    const double size = looks[i]->size * style.scale;
    const TextOptions look{.size = size, .bold = looks[i]->bold, .color = looks[i]->color};
    figure.texts.push_back(text_box(texts[i], size, look, places[i]->box.x + kSidePad,
                                    places[i]->box.y, 0, 0, measurer));
    if (places[i]->leader) axes.leaders.push_back(*places[i]->leader);
  }
}

}  // namespace fastcpp::plot_detail
