// Where everything of a figure goes. All lengths are points (1/72 inch), y grows downwards.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "plot/model.hpp"
#include "plot/scale.hpp"
#include "plot/text.hpp"

namespace fastcpp::inline v0::plot_detail {

struct Rect {
  double x = 0, y = 0, width = 0, height = 0;
  double right() const { return x + width; }
  double bottom() const { return y + height; }
};

// One line of text.
struct TextBox {
  std::string text;
  double size;
  bool bold;
  Color color;
  bool upright;  // turned to the left by 90 degrees
  double x, y;   // where its baseline starts
  Rect box;
};

struct PlacedTick {
  double at;
  bool minor;
};

struct LegendEntry {
  const Item* item;
  double y;  // middle of its line
};

struct PlacedLegend {
  Rect box;
  double handle_x, handle_width;
  std::vector<LegendEntry> entries;
};

// From a point to its name.
struct Leader {
  double x0, y0, x1, y1;
};

struct AxesLayout {
  const AxesModel* model;
  Rect box;
  Ranges ranges;
  std::vector<PlacedTick> x_ticks, y_ticks;
  std::optional<PlacedLegend> legend;
  std::vector<Leader> leaders;

  // NaN where an axis cannot show the value.
  double x_at(double value) const { return box.x + ranges.x.fraction(value) * box.width; }
  double y_at(double value) const { return box.bottom() - ranges.y.fraction(value) * box.height; }
};

struct FigureLayout {
  double width, height;
  std::vector<AxesLayout> axes;
  std::vector<TextBox> texts;
};

FigureLayout layout(const FigureModel& figure);
// The layout of a public figure, for tests.
FigureLayout layout_of(const Figure& figure);

// Lengths shared by measuring and drawing, at full size.
constexpr double kTickLength = 3.5, kMinorTickLength = 2;
// Free along the edges of a figure.
constexpr double kFigureEdge = 6;

}  // namespace fastcpp::plot_detail
