/// \file
/// Figures: axes with lines, points, bars, pictures and matrices, as PNG or SVG.
///
/// Texts are measured before anything is placed: margins grow with tick labels and titles, long
/// titles wrap or shrink, and no text is cut off or laid over another.
///
/// ```cpp
/// fastcpp::Figure figure({.width = 6, .height = 4});
/// figure.axes().plot(batches, losses, {.label = "Train"}).xlabel("Batches processed").ylabel("Loss").legend();
/// figure.save("losses.png");
/// ```
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fastcpp/core/path.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/plot/color.hpp"
#include "fastcpp/plot/picture.hpp"

namespace fastcpp::inline v0 {

namespace plot_detail {
struct AxesModel;
struct FigureAccess;
struct FigureModel;
}  // namespace plot_detail

/// Size of a figure (fastai: `figsize`, `dpi`).
struct FigureOptions {
  double width = 6.4;   ///< inches, > 0
  double height = 4.8;  ///< inches, > 0
  double dpi = 100;     ///< pixels an inch of the PNG, > 0; a side has at most 32767 pixels
};

/// Options of `Axes::plot`.
struct LineOptions {
  std::string label = {};           ///< text in the legend; none when empty
  std::optional<Color> color = {};  ///< default: the next of `cycle_color`
  double width = 1.5;               ///< points (1/72 inch), > 0
};

/// Options of `Axes::scatter`.
struct MarkerOptions {
  std::string label = {};           ///< text in the legend; none when empty
  std::optional<Color> color = {};  ///< default: the next of `cycle_color`
  double size = 6;                  ///< diameter in points, > 0
};

/// Options of `Axes::bar`.
struct BarOptions {
  std::string label = {};           ///< text in the legend; none when empty
  std::optional<Color> color = {};  ///< default: the next of `cycle_color`
  double width = 0.8;               ///< of a bar, in units of the x axis, > 0
  /// One per bar, below it; upright when there is no room; numbers when empty.
  std::vector<std::string> names = {};
};

/// How a picture is enlarged.
enum class Interpolation {
  kAuto,      ///< pixels stay square blocks when enlarged three times or more, else bilinear
  kNearest,   ///< square blocks
  kBilinear,  ///< smooth
};

/// Options of `Axes::imshow`.
struct ImshowOptions {
  Interpolation interpolation = Interpolation::kAuto;  ///< how the picture is enlarged
};

/// Options of `Axes::overlay` (fastai: `alpha`, `cmap` of the heat maps).
struct OverlayOptions {
  double alpha = 0.6;                ///< opacity, 0..1
  Colormap cmap = Colormap::kMagma;  ///< the colours
};

/// Options of `Axes::matrix`.
struct MatrixOptions {
  Colormap cmap = Colormap::kBlues;  ///< the colours of the cells
  /// One per row, first row at the top; numbers when empty.
  std::vector<std::string> row_labels = {};
  std::vector<std::string> col_labels = {};  ///< one per column, drawn upright; numbers when empty
  std::vector<std::string> texts = {};       ///< one per cell, row-major; none when empty
  std::string xlabel = {};                   ///< below the columns
  std::string ylabel = {};                   ///< beside the rows
};

/// Where a text stands relative to its point, or a title above its axes.
enum class TextAlign { kLeft, kCenter, kRight };

/// Options of titles, axis labels and texts.
struct TextOptions {
  std::optional<double> size = {};       ///< points, > 0; default 12 for titles, else 10
  bool bold = false;                     ///< bold face
  Color color = colors::black;           ///< of the letters
  TextAlign align = TextAlign::kCenter;  ///< ignored by axis labels
};

/// Options of `Axes::annotate`.
struct AnnotateOptions {
  double size = 9;              ///< of the letters in points, > 0
  bool bold = false;            ///< bold face
  Color color = colors::black;  ///< of the letters
  double widest = 3;  ///< inches that a name is wide at most, > 0; longer ones end in an ellipsis
};

/// How an axis is divided (matplotlib: `xscale`, `yscale`).
enum class AxisScale {
  kLinear,  ///< equal steps
  kLog,     ///< equal factors; values that are not positive are left out
};

/// Corner of the legend.
enum class LegendLocation { kBest, kUpperRight, kUpperLeft, kLowerLeft, kLowerRight };

/// Options of `Axes::legend`.
struct LegendOptions {
  LegendLocation location = LegendLocation::kBest;  ///< default: the corner that hides the least
};

/// One plot of a figure. A handle: all copies draw into the same axes, and keep these alive, also after the figure is
/// gone. Handles of a grid that `Figure::subplots` replaced may be used, but nothing of theirs is seen. Not to be changed
/// while another thread changes or draws the figure.
///
/// Every function returns the handle, so calls can be chained. Values that are not finite are left out (a line has a gap
/// there). Texts are UTF-8; invalid bytes are replaced by U+FFFD, and `\n` starts a new line. Letters that the usual font
/// lacks come from another font of the system; where none has them, one warning a figure says so. All functions throw
/// MemoryError `train.out_of_memory` when there is no memory for what they keep.
class FASTCPP_API Axes {
 public:
  /// A line through points, in the given order.
  /// \throws ValueError `value.plot_size` when `x` and `y` differ in length, `value.plot_option` on a bad width
  Axes& plot(std::vector<double> x, std::vector<double> y, const LineOptions& options = {});

  /// Dots.
  /// \throws ValueError `value.plot_size` when `x` and `y` differ in length, `value.plot_option` on a bad size
  Axes& scatter(std::vector<double> x, std::vector<double> y, const MarkerOptions& options = {});

  /// Bars from 0 to `height`, centred at `x`.
  /// \throws ValueError `value.plot_size` when `x`, `height` or names differ in number, `value.plot_option` on a bad
  ///         width
  Axes& bar(std::vector<double> x, std::vector<double> height, const BarOptions& options = {});

  /// A picture, as large as the axes allow with its aspect kept. Coordinates become pixels: (0, 0) is the centre of the
  /// first one, y grows downwards.
  /// \throws ValueError `value.plot_size` when `rgb` does not hold `width * height * 3` bytes
  Axes& imshow(Picture picture, const ImshowOptions& options = {});

  /// A heat map over the whole picture of these axes, enlarged bilinearly, coloured from its own minimum to its own
  /// maximum.
  /// \param values    row-major, `rows * cols`
  /// \param rows,cols >= 1
  /// \param options   opacity and colours
  /// \throws ValueError `value.plot_size`, `value.plot_option` on a bad alpha
  Axes& overlay(std::vector<double> values, int rows, int cols, const OverlayOptions& options = {});

  /// A matrix as coloured cells with names along both sides and a text in each cell, white where the value is above half
  /// the maximum. A NaN cell stays white and, as in numpy, makes the maximum NaN, so that all texts are black.
  /// \param values    row-major, `rows * cols`
  /// \param rows,cols >= 1
  /// \param options   names, texts and colours
  /// \throws ValueError `value.plot_size` when values, labels or texts differ in number
  Axes& matrix(std::vector<double> values, int rows, int cols, const MatrixOptions& options = {});

  /// A text at a point of the axes, vertically centred there.
  /// \throws ValueError `value.plot_option` on a bad size
  Axes& text(double x, double y, std::string text, const TextOptions& options = {});

  /// Names of points. They are placed when the figure is drawn, so that none lies over another, over what else is written, or
  /// over the edge, and over dots only where nothing else is left: beside the point, else farther away with a thin line to it.
  /// A name that has room nowhere is left out; a larger figure has more room. The points count for the ends of the axes;
  /// `scatter` draws their dots. Equal figures get equal places.
  /// \param x,y     the points
  /// \param names   one for each, on one line
  /// \param options look of the names
  /// \throws ValueError `value.plot_size` when `x`, `y` and names differ in number, `value.plot_option` on a bad size or
  ///         width
  Axes& annotate(std::vector<double> x, std::vector<double> y, std::vector<std::string> names,
                 const AnnotateOptions& options = {});

  /// The text above the axes; wrapped or made smaller when it is wider than its place.
  /// \throws ValueError `value.plot_option` on a bad size
  Axes& title(std::string text, const TextOptions& options = {});
  /// The text below the x axis.
  /// \throws ValueError `value.plot_option` on a bad size
  Axes& xlabel(std::string text, const TextOptions& options = {});
  /// The text beside the y axis.
  /// \throws ValueError `value.plot_option` on a bad size
  Axes& ylabel(std::string text, const TextOptions& options = {});

  /// How the x axis is divided; linear at first.
  Axes& xscale(AxisScale scale);
  /// How the y axis is divided; linear at first.
  Axes& yscale(AxisScale scale);

  /// The ends of the x axis; default: the data and 5 % more on each side. `left > right` turns the axis around.
  /// \throws ValueError `value.limits` when an end is not finite or both are the same
  Axes& xlim(double left, double right);
  /// The ends of the y axis.
  /// \throws ValueError `value.limits`
  Axes& ylim(double bottom, double top);

  /// How the numbers at the x axis are written.
  /// \param format a format of one number for fmt or `std::format`, such as `{:.0e}` for `1e-03`
  /// \throws ValueError `value.tick_format`
  Axes& xtick_format(const std::string& format);
  /// How the numbers at the y axis are written.
  /// \throws ValueError `value.tick_format`
  Axes& ytick_format(const std::string& format);

  /// A frame with the labels of lines, dots and bars; nothing is drawn when none has a label.
  Axes& legend(const LegendOptions& options = {});
  /// Leaves out frame, ticks and axis labels; title and content stay.
  Axes& axis_off();
  /// Thin lines through the ticks.
  Axes& grid();

  // A handle that was moved from stays as good as a copy.
  Axes(const Axes&) = default;
  Axes& operator=(const Axes&) = default;

 private:
  friend class Figure;
  explicit Axes(std::shared_ptr<plot_detail::AxesModel> model) : model_(std::move(model)) {}
  std::shared_ptr<plot_detail::AxesModel> model_;
};

/// A figure. A handle: copies show the same drawing. Nothing is drawn before `png`, `svg` or `save`, and these may be
/// called any number of times, also by several threads at once; not to be changed meanwhile.
class FASTCPP_API Figure {
 public:
  /// An empty figure.
  /// \throws ValueError `value.figure_size` when a side or dpi is not positive or a side has more than 32767 pixels
  explicit Figure(const FigureOptions& options = {});

  /// The only axes of the figure; the same as `subplots(1, 1)[0]`.
  Axes add_axes();

  /// Divides the figure into a grid; handles of a former grid no longer belong to the figure.
  /// \param rows,cols 1..1000
  /// \return row-major, `rows * cols` handles
  /// \throws ValueError `value.plot_size`
  std::vector<Axes> subplots(int rows, int cols);

  /// The `index`-th axes, row-major. A figure without axes gets one when `index` is 0.
  /// \throws ValueError `value.axes_index`
  Axes axes(std::size_t index = 0);

  /// The number of axes.
  std::size_t size() const;

  /// The text above everything.
  /// \throws ValueError `value.plot_option` on a bad size
  Figure& suptitle(std::string text, const TextOptions& options = {});

  /// Width of the PNG in pixels.
  int pixel_width() const;
  /// Height of the PNG in pixels.
  int pixel_height() const;

  /// Writes the figure: the ending `.png` or `.svg` decides. The file appears whole or not at all.
  /// \throws ValueError `value.figure_format` on another ending; IoError `io.cannot_write`, `io.cannot_create`; as `png`
  void save(const Path& path) const;

  /// The figure as an SVG document, `width * 72` by `height * 72` points; letters are drawn as outlines, so no font is
  /// needed to show it. Ids are made from the content: several documents may stand inline in one page of HTML.
  /// \throws as `png`
  std::string svg() const;

  /// The figure as the bytes of a PNG file.
  /// \throws MemoryError `train.out_of_memory`; Error `plot.cairo` when Cairo fails otherwise
  std::string png() const;

  // A figure that was moved from stays as good as a copy.
  Figure(const Figure&) = default;
  Figure& operator=(const Figure&) = default;

 private:
  friend struct plot_detail::FigureAccess;
  std::shared_ptr<plot_detail::FigureModel> model_;
};

/// The size at which the names along a matrix of `labels.size()` rows and columns are readable: 6.4 by 4.8 inches for few
/// short names, larger for more and longer ones, at most 100 by 100.
/// \param labels names of the rows, and of the columns
/// \param dpi    pixels an inch of the figure
FASTCPP_API FigureOptions matrix_figure_options(const std::vector<std::string>& labels,
                                                double dpi = 100);

}  // namespace fastcpp
