#include <fmt/format.h>

#include <cmath>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/text.hpp"
#include "plot/model.hpp"
#include "plot/text.hpp"

namespace fastcpp::inline v0 {
namespace {

using namespace plot_detail;

[[noreturn]] void bad_size(const std::string& message) {
  throw ValueError("value.plot_size", message);
}

void same_length(const char* what, std::size_t x, std::size_t y) {
  if (x != y)
    bad_size(fmt::format("{}: {} x values, but {} y values; give one y for each x", what, x, y));
}

void grid_size(const char* what, std::size_t values, int rows, int cols) {
  if (rows < 1 || cols < 1 ||
      values != static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols)) {
    bad_size(fmt::format("{}: {} rows of {} columns cannot be made of {} values", what, rows, cols,
                         values));
  }
}

void one_each(const char* what, std::size_t have, std::size_t want) {
  if (have != 0 && have != want) {
    bad_size(fmt::format("{}: expected {} or none, found {}", what, want, have));
  }
}

void check_option(const char* what, double value, double largest) {
  if (!(value > 0 && value <= largest)) {
    throw ValueError("value.plot_option", fmt::format("{} is {}; it must be above 0 and at most {}",
                                                      what, value, largest));
  }
}

TextOptions checked(const TextOptions& options) {
  if (options.size) check_option("the size of a text", *options.size, 1000);
  return options;
}

std::string one_line(const std::string& text) {
  std::string clean = clean_text(text);
  for (char& c : clean) {
    if (c == '\n') c = ' ';
  }
  return clean;
}

std::vector<std::string> one_line(const std::vector<std::string>& texts) {
  std::vector<std::string> clean;
  for (const std::string& text : texts) clean.push_back(one_line(text));
  return clean;
}

Color next_color(AxesModel& axes, const std::optional<Color>& wanted) {
  return wanted ? *wanted : cycle_color(axes.colors_used++);
}

std::pair<double, double> checked_limits(double from, double to) {
  if (!std::isfinite(from) || !std::isfinite(to) || std::abs(from) > 1e300 ||
      std::abs(to) > 1e300 ||
      !(std::abs(to - from) > 1e-12 * std::max(std::abs(from), std::abs(to)))) {
    throw ValueError("value.limits",
                     fmt::format("an axis cannot run from {} to {}; give two different finite "
                                 "numbers",
                                 from, to));
  }
  return {from, to};
}

std::string checked_format(const std::string& format) {
  if (format.empty()) return format;
  try {
    // A width such as {:1000000} would be a text of that many spaces.
    if (fmt::format(fmt::runtime(format), 0.001).size() <= 100) return clean_text(format);
  } catch (const std::exception&) {
  }
  throw ValueError("value.tick_format",
                   fmt::format("'{}' is not a format of one short number; an example is "
                               "{{:.0e}}",
                               format));
}

void name_axis(AxisModel& axis, std::vector<double> places, const std::vector<std::string>& names) {
  axis.name_places = std::move(places);
  axis.names = one_line(names);
}

std::vector<double> whole_numbers(int count) {
  std::vector<double> numbers(count);
  for (int i = 0; i < count; ++i) numbers[i] = i;
  return numbers;
}

std::vector<std::string> names_or_numbers(const std::vector<std::string>& names, int count) {
  if (!names.empty()) return names;
  std::vector<std::string> numbers;
  for (int i = 0; i < count; ++i) numbers.push_back(std::to_string(i));
  return numbers;
}

}  // namespace

Axes& Axes::plot(std::vector<double> x, std::vector<double> y, const LineOptions& options) {
  boundary([&] {
    same_length("plot", x.size(), y.size());
    check_option("the width of a line", options.width, 1000);
    const Color color = next_color(*model_, options.color);
    model_->items.push_back(
        Line{std::move(x), std::move(y), color, options.width, one_line(options.label)});
  });
  return *this;
}

Axes& Axes::scatter(std::vector<double> x, std::vector<double> y, const MarkerOptions& options) {
  boundary([&] {
    same_length("scatter", x.size(), y.size());
    check_option("the size of a dot", options.size, 1000);
    const Color color = next_color(*model_, options.color);
    model_->items.push_back(
        Dots{std::move(x), std::move(y), color, options.size, one_line(options.label)});
  });
  return *this;
}

Axes& Axes::bar(std::vector<double> x, std::vector<double> height, const BarOptions& options) {
  boundary([&] {
    same_length("bar", x.size(), height.size());
    one_each("names of bars", options.names.size(), x.size());
    check_option("the width of a bar", options.width, 1e300);
    if (!options.names.empty()) name_axis(model_->x, x, options.names);
    const Color color = next_color(*model_, options.color);
    model_->items.push_back(
        Bars{std::move(x), std::move(height), color, options.width, one_line(options.label)});
  });
  return *this;
}

Axes& Axes::imshow(Picture picture, const ImshowOptions& options) {
  boundary([&] {
    const auto width = static_cast<std::size_t>(std::max(picture.width, 0));
    const auto height = static_cast<std::size_t>(std::max(picture.height, 0));
    if (width < 1 || height < 1 || width > 32767 || height > 32767 ||
        picture.rgb.size() != width * height * 3) {
      bad_size(fmt::format(
          "a picture of {} by {} pixels (1 to 32767 a side) needs 3 bytes a pixel; found {} bytes",
          picture.width, picture.height, picture.rgb.size()));
    }
    model_->items.push_back(Image{std::move(picture), options.interpolation});
  });
  return *this;
}

Axes& Axes::overlay(std::vector<double> values, int rows, int cols, const OverlayOptions& options) {
  boundary([&] {
    grid_size("overlay", values.size(), rows, cols);
    if (!(options.alpha >= 0 && options.alpha <= 1)) {
      throw ValueError("value.plot_option",
                       fmt::format("alpha is {}; it must lie in 0..1", options.alpha));
    }
    model_->items.push_back(HeatMap{std::move(values), rows, cols, options.alpha, options.cmap});
  });
  return *this;
}

Axes& Axes::matrix(std::vector<double> values, int rows, int cols, const MatrixOptions& options) {
  boundary([&] {
    grid_size("matrix", values.size(), rows, cols);
    if (rows > 32767 || cols > 32767) bad_size("a matrix has at most 32767 rows and columns");
    one_each("row labels", options.row_labels.size(), rows);
    one_each("column labels", options.col_labels.size(), cols);
    one_each("texts of cells", options.texts.size(), values.size());
    // Thousands of numbers side by side cannot be read.
    const auto few = [](const std::vector<std::string>& labels, int count) {
      return !labels.empty() || count <= 50;
    };
    if (few(options.col_labels, cols)) {
      name_axis(model_->x, whole_numbers(cols), names_or_numbers(options.col_labels, cols));
    }
    if (few(options.row_labels, rows)) {
      name_axis(model_->y, whole_numbers(rows), names_or_numbers(options.row_labels, rows));
    }
    model_->x.upright = !options.col_labels.empty();
    if (!options.xlabel.empty()) xlabel(options.xlabel);
    if (!options.ylabel.empty()) ylabel(options.ylabel);
    model_->items.push_back(
        Matrix{std::move(values), rows, cols, options.cmap, one_line(options.texts)});
  });
  return *this;
}

Axes& Axes::text(double x, double y, std::string text, const TextOptions& options) {
  boundary([&] { model_->items.push_back(Note{x, y, clean_text(text), checked(options)}); });
  return *this;
}

Axes& Axes::annotate(std::vector<double> x, std::vector<double> y, std::vector<std::string> names,
                     const AnnotateOptions& options) {
  boundary([&] {
    same_length("annotate", x.size(), y.size());
    if (names.size() != x.size()) {
      bad_size(fmt::format("annotate: {} names for {} points", names.size(), x.size()));
    }
    check_option("the size of a text", options.size, 1000);
    check_option("the width of a name", options.widest, 1000);
    model_->items.push_back(Names{std::move(x), std::move(y), one_line(names), options});
  });
  return *this;
}

Axes& Axes::title(std::string text, const TextOptions& options) {
  boundary([&] {
    model_->title_style = checked(options);
    model_->title = clean_text(text);
  });
  return *this;
}

Axes& Axes::xlabel(std::string text, const TextOptions& options) {
  boundary([&] {
    model_->x.label_style = checked(options);
    model_->x.label = clean_text(text);
  });
  return *this;
}

Axes& Axes::ylabel(std::string text, const TextOptions& options) {
  boundary([&] {
    model_->y.label_style = checked(options);
    model_->y.label = clean_text(text);
  });
  return *this;
}

Axes& Axes::xscale(AxisScale scale) {
  model_->x.log = scale == AxisScale::kLog;
  return *this;
}

Axes& Axes::yscale(AxisScale scale) {
  model_->y.log = scale == AxisScale::kLog;
  return *this;
}

Axes& Axes::xlim(double left, double right) {
  model_->x.limits = checked_limits(left, right);
  return *this;
}

Axes& Axes::ylim(double bottom, double top) {
  model_->y.limits = checked_limits(bottom, top);
  return *this;
}

Axes& Axes::xtick_format(const std::string& format) {
  boundary([&] { model_->x.format = checked_format(format); });
  return *this;
}

Axes& Axes::ytick_format(const std::string& format) {
  boundary([&] { model_->y.format = checked_format(format); });
  return *this;
}

Axes& Axes::legend(const LegendOptions& options) {
  boundary([&] { model_->legend = options; });
  return *this;
}

Axes& Axes::axis_off() {
  model_->off = true;
  return *this;
}

Axes& Axes::grid() {
  model_->grid = true;
  return *this;
}

}  // namespace fastcpp
