#include "plot/decor.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

namespace fastcpp::inline v0::plot_detail {
namespace {

constexpr double kTickPad = 3.5, kLabelPad = 4, kTitlePad = 4;
constexpr double kNumberSize = 10;
// Numbers on the x axis keep this part of their size between them.
constexpr double kNumberGap = 0.6;

double label_size(const TextOptions& style) {
  return style.size.value_or(10);
}

std::vector<Tick> name_ticks(const AxisModel& axis) {
  std::vector<Tick> ticks;
  for (std::size_t i = 0; i < axis.names.size(); ++i) {
    ticks.push_back({axis.name_places[i], axis.names[i]});
  }
  return ticks;
}

// Whether texts of the given extents, centred at their ticks, keep a gap between them.
bool apart(const std::vector<Tick>& ticks, const Range& range, double length, double gap,
           const std::function<double(const std::string&)>& extent) {
  std::vector<std::pair<double, double>> spans;
  for (const Tick& tick : ticks) {
    if (tick.text.empty()) continue;
    const double at = range.fraction(tick.value) * length;
    if (!std::isfinite(at)) continue;
    const double half = (extent(tick.text) + gap) / 2;
    spans.emplace_back(at - half, at + half);
  }
  std::sort(spans.begin(), spans.end());
  for (std::size_t i = 1; i < spans.size(); ++i) {
    if (spans[i].first < spans[i - 1].second - 1e-9) return false;
  }
  return true;
}

// As many ticks as there is room for, or the names.
AxisDecor axis_decor(const AxisModel& axis, const Range& range, bool horizontal, double length,
                     const Style& style, TextMeasurer& measurer) {
  AxisDecor decor;
  decor.size = kNumberSize * style.scale;
  const auto width = [&](const std::string& text) { return measurer.width(text, decor.size); };
  const auto height = [&](const std::string&) { return measurer.line_height(decor.size); };
  if (!axis.names.empty()) {
    decor.size = style.name_size;
    decor.ticks.ticks = name_ticks(axis);
    const auto& ticks = decor.ticks.ticks;
    if (horizontal) {
      decor.upright = axis.upright || !apart(ticks, range, length, decor.size * kNumberGap, width);
    }
    decor.fits = (horizontal && !decor.upright) || apart(ticks, range, length, 0, height);
    return decor;
  }
  const double room = horizontal ? 3.0 : 2.2;
  const int most = static_cast<int>(std::clamp(length / (room * decor.size), 1.0, 9.0));
  for (int count = most; count >= 1; --count) {
    decor.ticks = number_ticks(range, count, axis.format);
    const auto& ticks = decor.ticks.ticks;
    if (horizontal ? apart(ticks, range, length, decor.size * kNumberGap, width)
                   : apart(ticks, range, length, 0, height)) {
      break;
    }
  }
  return decor;
}

// The widest number, and how far texts at the ends of the axis reach beyond it.
struct Extents {
  double across = 0, before = 0, after = 0;
};
Extents tick_extents(const AxisDecor& decor, const Range& range, bool horizontal, double length,
                     TextMeasurer& measurer) {
  Extents extents;
  for (const Tick& tick : decor.ticks.ticks) {
    if (tick.text.empty()) continue;
    const double at = range.fraction(tick.value) * length;
    if (!(at >= -1e-6 && at <= length + 1e-6)) continue;
    const double width = measurer.width(tick.text, decor.size);
    const double height = measurer.line_height(decor.size);
    const bool lies_across = horizontal == decor.upright;
    const double along = lies_across ? height : width;
    extents.across = std::max(extents.across, lies_across ? width : height);
    extents.before = std::max(extents.before, along / 2 - at);
    extents.after = std::max(extents.after, along / 2 - (length - at));
  }
  return extents;
}

double label_height(const FittedText& label, TextMeasurer& measurer) {
  return label.lines.empty() ? 0 : measurer.line_height(label.size) * label.lines.size();
}

FittedText fit_label(const AxisModel& axis, double length, const Style& style,
                     TextMeasurer& measurer) {
  if (axis.label.empty()) return {};
  const TextOptions& look = axis.label_style;
  return fit_texts({{axis.label, label_size(look) * style.scale, look.bold, length}}, measurer)[0];
}

void place_x_axis(const Decor& decor, const Style& style, AxesLayout& axes, FigureLayout& figure,
                  TextMeasurer& measurer) {
  const double scale = style.scale;
  double below = axes.box.bottom() + (kTickLength + kTickPad) * scale;
  const double first = below;
  for (const Tick& tick : decor.x.ticks.ticks) {
    const double at = axes.x_at(tick.value);
    if (!(at >= axes.box.x - 0.01 && at <= axes.box.right() + 0.01)) continue;
    axes.x_ticks.push_back({at, tick.minor});
    if (tick.text.empty()) continue;
    figure.texts.push_back(
        decor.x.upright ? upright_box(tick.text, decor.x.size, {}, at, first, 1, 0.5, measurer)
                        : text_box(tick.text, decor.x.size, {}, at, first, 0.5, 0, measurer));
    const Rect& box = figure.texts.back().box;
    below = std::max(below, box.bottom());
  }
  if (!decor.x.ticks.factor.empty()) {
    figure.texts.push_back(
        text_box(decor.x.ticks.factor, decor.x.size, {}, axes.box.right(), below, 1, 0, measurer));
    below = figure.texts.back().box.bottom();
  }
  below += kLabelPad * scale;
  for (const std::string& line : decor.x.label.lines) {
    figure.texts.push_back(text_box(line, decor.x.label.size, axes.model->x.label_style,
                                    axes.box.x + axes.box.width / 2, below, 0.5, 0, measurer));
    below = figure.texts.back().box.bottom();
  }
}

void place_y_axis(const Decor& decor, const Style& style, AxesLayout& axes, FigureLayout& figure,
                  TextMeasurer& measurer) {
  const double scale = style.scale;
  const double right = axes.box.x - (kTickLength + kTickPad) * scale;
  double left = right;
  for (const Tick& tick : decor.y.ticks.ticks) {
    const double at = axes.y_at(tick.value);
    if (!(at >= axes.box.y - 0.01 && at <= axes.box.bottom() + 0.01)) continue;
    axes.y_ticks.push_back({at, tick.minor});
    if (tick.text.empty()) continue;
    figure.texts.push_back(text_box(tick.text, decor.y.size, {}, right, at, 1, 0.5, measurer));
    left = std::min(left, figure.texts.back().box.x);
  }
  if (!decor.y.ticks.factor.empty()) {
    figure.texts.push_back(text_box(decor.y.ticks.factor, decor.y.size, {}, axes.box.x,
                                    axes.box.y - 3 * scale, 0, 1, measurer));
  }
  left -= kLabelPad * scale;
  const auto& lines = decor.y.label.lines;
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
    figure.texts.push_back(upright_box(*line, decor.y.label.size, axes.model->y.label_style, left,
                                       axes.box.y + axes.box.height / 2, 0.5, 1, measurer));
    left = figure.texts.back().box.x;
  }
}

void place_title(const FittedText& title, double top_of_axis_texts, double cell_left,
                 double cell_right, const Style& style, const AxesLayout& axes,
                 FigureLayout& figure, TextMeasurer& measurer) {
  const TextOptions& look = axes.model->title_style;
  const double horizontal = look.align == TextAlign::kLeft    ? 0
                            : look.align == TextAlign::kRight ? 1
                                                              : 0.5;
  double bottom = top_of_axis_texts - kTitlePad * style.scale;
  for (auto line = title.lines.rbegin(); line != title.lines.rend(); ++line) {
    const double width = measurer.width(*line, title.size, look.bold);
    // A title wider than its picture leans inwards at the edge of the figure.
    double left = axes.box.x + horizontal * (axes.box.width - width);
    left = std::max(std::min(left, cell_right - width), cell_left);
    figure.texts.push_back(text_box(*line, title.size, look, left, bottom, 0, 1, measurer));
    bottom = figure.texts.back().box.y;
  }
}

void place_cell_texts(const Matrix& matrix, const Style& style, const AxesLayout& axes,
                      FigureLayout& figure, TextMeasurer& measurer) {
  if (matrix.texts.empty()) return;
  const double cell_width = axes.box.width / matrix.cols,
               cell_height = axes.box.height / matrix.rows;
  double widest = 1e-9;
  for (const std::string& text : matrix.texts) widest = std::max(widest, measurer.width(text, 1));
  const double size = std::min(
      {10 * style.scale, 0.88 * cell_width / widest, 0.95 * cell_height / measurer.line_height(1)});
  // Smaller letters are but dirt in the cells.
  if (size < 2) return;
  double largest = 0;
  for (std::size_t i = 0; i < matrix.values.size(); ++i) {
    const double value = matrix.values[i];
    if (i == 0 || value > largest || std::isnan(value)) largest = value;
    if (std::isnan(largest)) break;
  }
  for (std::size_t i = 0; i < matrix.texts.size(); ++i) {
    if (matrix.texts[i].empty()) continue;
    const double x = axes.x_at(static_cast<double>(i % matrix.cols));
    const double y = axes.y_at(static_cast<double>(i / matrix.cols));
    const TextOptions look{.color = matrix.values[i] > largest / 2 ? colors::white : colors::black};
    figure.texts.push_back(text_box(matrix.texts[i], size, look, x, y, 0.5, 0.5, measurer));
  }
}

void place_note(const Note& note, const Style& style, const AxesLayout& axes, FigureLayout& figure,
                TextMeasurer& measurer) {
  const double x = axes.x_at(note.x), y = axes.y_at(note.y);
  if (!std::isfinite(x) || !std::isfinite(y)) return;
  const double size = label_size(note.style) * style.scale;
  const double horizontal = note.style.align == TextAlign::kLeft    ? 0
                            : note.style.align == TextAlign::kRight ? 1
                                                                    : 0.5;
  const auto lines = split_lines(note.text);
  const double height = measurer.line_height(size);
  double middle = y - height * (lines.size() - 1) / 2;
  for (const std::string& line : lines) {
    const double width = measurer.width(line, size, note.style.bold);
    const double left = std::max(std::min(x - horizontal * width, figure.width - width - 1), 1.0);
    figure.texts.push_back(text_box(line, size, note.style, left, middle, 0, 0.5, measurer));
    middle += height;
  }
}

}  // namespace

TextBox text_box(const std::string& text, double size, const TextOptions& style, double x, double y,
                 double horizontal, double vertical, TextMeasurer& measurer) {
  const double width = measurer.width(text, size, style.bold);
  const double ascent = measurer.ascent(size), height = measurer.line_height(size);
  // Half way means the middle of the capitals, so that numbers stand level with their ticks.
  const double baseline =
      vertical == 0.5 ? y + measurer.middle(size) : y - vertical * height + ascent;
  const double left = x - horizontal * width;
  return {text,  size, style.bold, style.color,
          false, left, baseline,   {left, baseline - ascent, width, height}};
}

TextBox upright_box(const std::string& text, double size, const TextOptions& style, double x,
                    double y, double along, double across, TextMeasurer& measurer) {
  const double width = measurer.width(text, size, style.bold);
  const double ascent = measurer.ascent(size), height = measurer.line_height(size);
  const double baseline = across == 0.5 ? x + measurer.middle(size) : x - across * height + ascent;
  const double start = y + along * width;
  return {text, size,     style.bold, style.color,
          true, baseline, start,      {baseline - ascent, start - width, height, width}};
}

Decor measure_decor(const AxesModel& axes, const Ranges& ranges, double width, double height,
                    const FittedText& title, const Style& style, TextMeasurer& measurer) {
  Decor decor;
  const double scale = style.scale;
  if (!axes.off) {
    decor.x = axis_decor(axes.x, ranges.x, true, width, style, measurer);
    decor.y = axis_decor(axes.y, ranges.y, false, height, style, measurer);
    const Extents x = tick_extents(decor.x, ranges.x, true, width, measurer);
    const Extents y = tick_extents(decor.y, ranges.y, false, height, measurer);
    decor.bottom = (kTickLength + kTickPad) * scale + x.across;
    decor.left = (kTickLength + kTickPad) * scale + y.across;
    decor.top = 0;
    if (!decor.x.ticks.factor.empty()) decor.bottom += measurer.line_height(decor.x.size);
    if (!decor.y.ticks.factor.empty()) decor.top = 3 * scale + measurer.line_height(decor.y.size);
    decor.x.label = fit_label(axes.x, width, style, measurer);
    decor.y.label = fit_label(axes.y, height, style, measurer);
    if (!axes.x.label.empty())
      decor.bottom += kLabelPad * scale + label_height(decor.x.label, measurer);
    if (!axes.y.label.empty())
      decor.left += kLabelPad * scale + label_height(decor.y.label, measurer);
    decor.left = std::max(decor.left, x.before);
    decor.right = std::max(decor.right, x.after);
    decor.bottom = std::max(decor.bottom, y.before);
    decor.top = std::max(decor.top, y.after);
  }
  if (!title.lines.empty()) decor.top += kTitlePad * scale + label_height(title, measurer);
  return decor;
}

void place_decor(const Decor& decor, const FittedText& title, double cell_left, double cell_right,
                 const Style& style, AxesLayout& axes, FigureLayout& figure,
                 TextMeasurer& measurer) {
  double top = axes.box.y;
  if (!axes.model->off) {
    const std::size_t before = figure.texts.size();
    place_x_axis(decor, style, axes, figure, measurer);
    place_y_axis(decor, style, axes, figure, measurer);
    for (std::size_t i = before; i < figure.texts.size(); ++i) {
      top = std::min(top, figure.texts[i].box.y);
    }
  }
  place_title(title, top, cell_left, cell_right, style, axes, figure, measurer);
  for (const Item& item : axes.model->items) {
    if (const auto* matrix = std::get_if<Matrix>(&item)) {
      place_cell_texts(*matrix, style, axes, figure, measurer);
    }
    if (const auto* note = std::get_if<Note>(&item))
      place_note(*note, style, axes, figure, measurer);
  }
  if (axes.model->legend) place_legend(style, axes, figure, measurer);
  // Last, since names go where there is room.
  place_annotations(style, axes, figure, measurer);
}

}  // namespace fastcpp::plot_detail
