#include "plot/draw.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0::plot_detail {
namespace {

constexpr double kSpine = 0.8, kMinorWidth = 0.6, kLeaderWidth = 0.5;
constexpr Color kGridColor{176, 176, 176}, kLegendEdge{204, 204, 204}, kLeaderColor{144, 144, 144};

void stroke_line(double x0, double y0, double x1, double y1, double width, const Canvas& canvas) {
  if (x0 == x1) x0 = x1 = canvas.snap_stroke(x0, width);
  if (y0 == y1) y0 = y1 = canvas.snap_stroke(y0, width);
  cairo_set_line_width(canvas.cr, width);
  cairo_move_to(canvas.cr, x0, y0);
  cairo_line_to(canvas.cr, x1, y1);
  cairo_stroke(canvas.cr);
}

void draw_grid(const AxesLayout& axes, const Canvas& canvas) {
  canvas.color(kGridColor);
  const Rect& box = axes.box;
  for (const PlacedTick& tick : axes.x_ticks) {
    if (!tick.minor) stroke_line(tick.at, box.y, tick.at, box.bottom(), kSpine, canvas);
  }
  for (const PlacedTick& tick : axes.y_ticks) {
    if (!tick.minor) stroke_line(box.x, tick.at, box.right(), tick.at, kSpine, canvas);
  }
}

void draw_frame(const AxesLayout& axes, const Canvas& canvas) {
  const Rect& box = axes.box;
  canvas.color(colors::black);
  for (const PlacedTick& tick : axes.x_ticks) {
    const double length = tick.minor ? kMinorTickLength : kTickLength;
    stroke_line(tick.at, box.bottom(), tick.at, box.bottom() + length,
                tick.minor ? kMinorWidth : kSpine, canvas);
  }
  for (const PlacedTick& tick : axes.y_ticks) {
    const double length = tick.minor ? kMinorTickLength : kTickLength;
    stroke_line(box.x - length, tick.at, box.x, tick.at, tick.minor ? kMinorWidth : kSpine, canvas);
  }
  cairo_set_line_width(canvas.cr, kSpine);
  const double left = canvas.snap_stroke(box.x, kSpine), top = canvas.snap_stroke(box.y, kSpine);
  cairo_rectangle(canvas.cr, left, top, canvas.snap_stroke(box.right(), kSpine) - left,
                  canvas.snap_stroke(box.bottom(), kSpine) - top);
  cairo_stroke(canvas.cr);
}

void rounded_rectangle(const Rect& rect, double radius, cairo_t* cr) {
  cairo_new_sub_path(cr);
  cairo_arc(cr, rect.right() - radius, rect.y + radius, radius, -M_PI / 2, 0);
  cairo_arc(cr, rect.right() - radius, rect.bottom() - radius, radius, 0, M_PI / 2);
  cairo_arc(cr, rect.x + radius, rect.bottom() - radius, radius, M_PI / 2, M_PI);
  cairo_arc(cr, rect.x + radius, rect.y + radius, radius, M_PI, 1.5 * M_PI);
  cairo_close_path(cr);
}

void draw_handle(const LegendEntry& entry, const PlacedLegend& legend, const Canvas& canvas) {
  const double x = legend.handle_x, width = legend.handle_width, scale = width / 20;
  if (const auto* line = std::get_if<Line>(entry.item)) {
    canvas.color(line->color);
    stroke_line(x, entry.y, x + width, entry.y, line->width, canvas);
  } else if (const auto* dots = std::get_if<Dots>(entry.item)) {
    canvas.color(dots->color);
    cairo_arc(canvas.cr, x + width / 2, entry.y, std::min(dots->size, 10.0) / 2 * scale, 0,
              2 * M_PI);
    cairo_fill(canvas.cr);
  } else if (const auto* bars = std::get_if<Bars>(entry.item)) {
    canvas.color(bars->color);
    cairo_rectangle(canvas.cr, x, entry.y - 3.5 * scale, width, 7 * scale);
    cairo_fill(canvas.cr);
  }
}

void draw_legend(const PlacedLegend& legend, const Canvas& canvas) {
  rounded_rectangle(canvas.snap(legend.box), 2, canvas.cr);
  canvas.color(colors::white, 0.8);
  cairo_fill_preserve(canvas.cr);
  canvas.color(kLegendEdge, 0.8);
  cairo_set_line_width(canvas.cr, 1);
  cairo_stroke(canvas.cr);
  for (const LegendEntry& entry : legend.entries) draw_handle(entry, legend, canvas);
}

void draw_text(const TextBox& text, const Canvas& canvas) {
  cairo_t* cr = canvas.cr;
  cairo_save(cr);
  canvas.color(text.color);
  Fonts::prepare(cr, text.size, !canvas.vector);
  if (text.upright) {
    cairo_translate(cr, canvas.snap_edge(text.x), text.y);
    cairo_rotate(cr, -M_PI / 2);
  } else {
    cairo_translate(cr, text.x, canvas.snap_edge(text.y));
  }
  cairo_move_to(cr, 0, 0);
  for (const auto& run : canvas.fonts.runs(text.text, text.bold)) {
    cairo_set_font_face(cr, run.face);
    if (canvas.vector) {
      cairo_show_text(cr, run.text.c_str());
    } else {
      // Glyph images would be put at whole pixels, which spaces small letters unevenly.
      cairo_text_path(cr, run.text.c_str());
    }
  }
  if (!canvas.vector) cairo_fill(cr);
  cairo_restore(cr);
}

void draw_axes(const AxesLayout& axes, const Canvas& canvas) {
  if (!(axes.box.width > 0 && axes.box.height > 0)) return;
  if (axes.model->grid && !axes.model->off) draw_grid(axes, canvas);
  cairo_save(canvas.cr);
  const Rect clip = canvas.snap(axes.box);
  cairo_rectangle(canvas.cr, clip.x, clip.y, clip.width, clip.height);
  cairo_clip(canvas.cr);
  canvas.color(kLeaderColor);
  for (const Leader& leader : axes.leaders) {
    stroke_line(leader.x0, leader.y0, leader.x1, leader.y1, kLeaderWidth, canvas);
  }
  draw_items(axes, canvas);
  cairo_restore(canvas.cr);
  if (!axes.model->off) draw_frame(axes, canvas);
  if (axes.legend) draw_legend(*axes.legend, canvas);
}

}  // namespace

void check(cairo_status_t status) {
  if (status == CAIRO_STATUS_SUCCESS) return;
  if (status == CAIRO_STATUS_NO_MEMORY) {
    throw MemoryError(
        "train.out_of_memory",
        "there is not enough memory to draw the figure: make it smaller, or lower its "
        "dpi");
  }
  throw Error("plot.cairo",
              fmt::format("Cairo could not draw the figure: {}; a smaller figure or dpi may help",
                          cairo_status_to_string(status)));
}

double Canvas::snap_stroke(double at, double width) const {
  if (vector) return at;
  const bool odd = static_cast<int>(std::ceil(width * scale)) % 2 != 0;
  return (odd ? std::floor(at * scale) + 0.5 : std::round(at * scale)) / scale;
}

double Canvas::snap_edge(double at) const {
  return vector ? at : std::round(at * scale) / scale;
}

Rect Canvas::snap(const Rect& rect) const {
  const double x = snap_edge(rect.x), y = snap_edge(rect.y);
  const double least = vector ? 0 : 1 / scale;
  return {x, y, std::max(snap_edge(rect.right()) - x, least),
          std::max(snap_edge(rect.bottom()) - y, least)};
}

void Canvas::color(const Color& c, double alpha) const {
  cairo_set_source_rgba(cr, c.r / 255.0, c.g / 255.0, c.b / 255.0, alpha);
}

void draw(const FigureLayout& figure, const Canvas& canvas) {
  canvas.color(colors::white);
  cairo_paint(canvas.cr);
  for (const AxesLayout& axes : figure.axes) draw_axes(axes, canvas);
  for (const TextBox& text : figure.texts) draw_text(text, canvas);
}

}  // namespace fastcpp::plot_detail
