// What a figure consists of, before anything is measured.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "fastcpp/plot/figure.hpp"

namespace fastcpp::inline v0::plot_detail {

struct Line {
  std::vector<double> x, y;
  Color color;
  double width;
  std::string label;
};

struct Dots {
  std::vector<double> x, y;
  Color color;
  double size;
  std::string label;
};

struct Bars {
  std::vector<double> x, height;
  Color color;
  double width;
  std::string label;
};

struct Image {
  Picture picture;
  Interpolation interpolation;
};

struct HeatMap {
  std::vector<double> values;
  int rows, cols;
  double alpha;
  Colormap cmap;
};

struct Matrix {
  std::vector<double> values;
  int rows, cols;
  Colormap cmap;
  std::vector<std::string> texts;
};

struct Note {
  double x, y;
  std::string text;
  TextOptions style;
};

struct Names {
  std::vector<double> x, y;
  std::vector<std::string> texts;
  AnnotateOptions style;
};

using Item = std::variant<Line, Dots, Bars, Image, HeatMap, Matrix, Note, Names>;

struct AxisModel {
  bool log = false;
  std::optional<std::pair<double, double>> limits;
  std::string label;
  TextOptions label_style;
  std::string format;
  // Names at given places instead of numbers.
  std::vector<double> name_places;
  std::vector<std::string> names;
  bool upright = false;  // names always stand upright
};

struct AxesModel {
  std::vector<Item> items;
  AxisModel x, y;
  std::string title;
  TextOptions title_style;
  std::optional<LegendOptions> legend;
  bool off = false, grid = false;
  std::size_t colors_used = 0;
};

struct FigureModel {
  FigureOptions options;
  int rows = 0, cols = 0;
  std::vector<std::shared_ptr<AxesModel>> axes;
  std::string suptitle;
  TextOptions suptitle_style;
  // Whether it was told that letters have no font. Drawing changes nothing else.
  mutable std::atomic<bool> warned = false;
};

}  // namespace fastcpp::plot_detail
