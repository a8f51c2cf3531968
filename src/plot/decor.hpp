// What stands around and in the box of one axes: ticks, numbers, names, labels, legend, texts in
// cells.
#pragma once

#include "plot/layout.hpp"

namespace fastcpp::inline v0::plot_detail {

// Sizes that shrink until everything has room.
struct Style {
  double scale = 1;       // of all texts and gaps
  double name_size = 10;  // of names along a matrix or below bars
};

struct AxisDecor {
  Ticks ticks;
  double size = 10;      // of the numbers or names
  bool upright = false;  // names
  bool fits = true;      // names do not touch each other
  FittedText label;
};

// The room that is needed beside a box.
struct Decor {
  AxisDecor x, y;
  double left = 0, right = 0, top = 0, bottom = 0;
};

// For a box of the given size; `title` is already fitted.
Decor measure_decor(const AxesModel& axes, const Ranges& ranges, double width, double height,
                    const FittedText& title, const Style& style, TextMeasurer& measurer);

// Puts ticks, texts and legend in their places; the title stays inside [cell_left, cell_right].
void place_decor(const Decor& decor, const FittedText& title, double cell_left, double cell_right,
                 const Style& style, AxesLayout& axes, FigureLayout& figure,
                 TextMeasurer& measurer);

// The corner of the box where a legend hides the least.
void place_legend(const Style& style, AxesLayout& axes, FigureLayout& figure,
                  TextMeasurer& measurer);

// The names of points, where there is room for them.
void place_annotations(const Style& style, AxesLayout& axes, FigureLayout& figure,
                       TextMeasurer& measurer);

// One line of text at a point: `horizontal` and `vertical` say which fraction of its box lies
// before the point.
TextBox text_box(const std::string& text, double size, const TextOptions& style, double x, double y,
                 double horizontal, double vertical, TextMeasurer& measurer);
// The same for a text turned to the left: `along` is the fraction of its length below the point.
TextBox upright_box(const std::string& text, double size, const TextOptions& style, double x,
                    double y, double along, double across, TextMeasurer& measurer);

}  // namespace fastcpp::plot_detail
