// Puts a layout on paper: the same strokes for PNG and SVG.
#pragma once

#include <cairo.h>

#include "plot/fonts.hpp"
#include "plot/layout.hpp"

namespace fastcpp::inline v0::plot_detail {

// What is drawn on: user units are points.
struct Canvas {
  cairo_t* cr;
  bool vector;   // SVG: nothing is rounded to pixels
  double scale;  // device units a point
  Fonts& fonts;

  // The middle of the pixel a stroke of this width goes through, so that it is not smeared over
  // two.
  double snap_stroke(double at, double width) const;
  // The nearest border between pixels.
  double snap_edge(double at) const;
  Rect snap(const Rect& rect) const;
  void color(const Color& color, double alpha = 1) const;
};

// Throws what a status of Cairo means.
void check(cairo_status_t status);

void draw(const FigureLayout& figure, const Canvas& canvas);

// Everything that shows data; the caller has clipped to the box.
void draw_items(const AxesLayout& axes, const Canvas& canvas);

}  // namespace fastcpp::plot_detail
