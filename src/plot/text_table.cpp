#include "fastcpp/plot/text_table.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "plot/layout.hpp"

namespace fastcpp::inline v0 {
namespace {

using namespace plot_detail;

constexpr Color kRule{208, 208, 208}, kHeadRule{96, 96, 96}, kBelow{96, 96, 96};
// Of the size of the letters: height of a row, and what is free beside a text.
constexpr double kRowHeight = 1.9, kCellPad = 0.8;

void check_positive(const char* what, double value, double largest) {
  if (value > 0 && value <= largest) return;
  throw ValueError("value.plot_option", fmt::format("{} is {}; it must be above 0 and at most {}",
                                                    what, value, largest));
}

struct FittedColumn {
  std::string name;
  std::vector<std::string> texts;
  double width = 0;
};

}  // namespace

Figure text_table(const std::vector<TextColumn>& columns, const TextTableOptions& options) {
  return boundary([&] {
    const double size = options.size;
    check_positive("the size of a text", size, 100);
    check_positive("the width of a column", options.widest, 450);
    const std::size_t rows = columns.empty() ? 0 : columns.front().texts.size();
    TextMeasurer measurer;
    std::vector<FittedColumn> fits;
    double width = 0;
    for (const auto& column : columns) {
      if (column.texts.size() != rows) {
        throw ValueError("value.plot_size",
                         fmt::format("text_table: column '{}' has {} texts, the first one {}",
                                     column.name, column.texts.size(), rows));
      }
      const double most = options.widest * 72;
      auto& fit = fits.emplace_back();
      fit.name = fit_line(column.name, most, size, true, measurer);
      fit.width = measurer.width(fit.name, size, true);
      for (const auto& text : column.texts) {
        fit.texts.push_back(fit_line(text, most, size, false, measurer));
        fit.width = std::max(fit.width, measurer.width(fit.texts.back(), size));
      }
      width += fit.width + 2 * kCellPad * size;
    }
    const auto below =
        fit_line(options.below, std::max(width, 4.0 * 72), size * 0.9, false, measurer);
    width = std::max({width, measurer.width(below, size * 0.9) + 2 * kCellPad * size, size});

    const double row_height = kRowHeight * size;
    const double lines = static_cast<double>(rows) + (columns.empty() ? 0 : 1);
    const double height = std::max(lines + (below.empty() ? 0 : 1), 1.0) * row_height;
    // One unit of the axes is one point. The rules at the ends need their own width.
    Figure figure({.width = (width + 2 * kFigureEdge) / 72,
                   .height = (height + 2 * kFigureEdge + 2) / 72,
                   .dpi = options.dpi});
    auto axes = figure.axes();
    axes.axis_off().xlim(0, width).ylim(height + 1, -1);
    const auto rule = [&](double y, const Color& color, double thick) {
      axes.plot({0, width}, {y, y}, {.color = color, .width = thick});
    };
    if (!columns.empty()) rule(row_height, kHeadRule, 1);
    for (std::size_t row = 0; row < rows; ++row) {
      rule(static_cast<double>(row + 2) * row_height, kRule, 0.6);
    }
    double left = kCellPad * size;
    for (std::size_t c = 0; c < columns.size(); ++c) {
      const bool right = columns[c].align == TextAlign::kRight;
      const double x = right ? left + fits[c].width : left;
      const auto put = [&](const std::string& text, std::size_t line, bool bold) {
        if (text.empty()) return;
        axes.text(
            x, (static_cast<double>(line) + 0.5) * row_height, text,
            {.size = size, .bold = bold, .align = right ? TextAlign::kRight : TextAlign::kLeft});
      };
      put(fits[c].name, 0, true);
      for (std::size_t row = 0; row < rows; ++row) put(fits[c].texts[row], row + 1, false);
      left += fits[c].width + 2 * kCellPad * size;
    }
    if (!below.empty()) {
      axes.text(kCellPad * size, (lines + 0.5) * row_height, below,
                {.size = size * 0.9, .color = kBelow, .align = TextAlign::kLeft});
    }
    return figure;
  });
}

}  // namespace fastcpp
