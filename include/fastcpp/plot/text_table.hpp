/// \file
/// Texts in rows and columns as a figure.
#pragma once

#include <string>
#include <vector>

#include "fastcpp/export.hpp"
#include "fastcpp/plot/figure.hpp"

namespace fastcpp::inline v0 {

/// A column of `text_table`. Texts are UTF-8 and stand on one line, without the blanks at their ends.
struct TextColumn {
  std::string name = {};                ///< above the column, in bold
  std::vector<std::string> texts = {};  ///< one for each row, from the top
  TextAlign align = TextAlign::kLeft;   ///< of name and texts: kLeft or kRight, for numbers
};

/// Options of `text_table`.
struct TextTableOptions {
  double size = 10;  ///< of the letters in points, 0 < size <= 100
  double widest =
      2.5;  ///< inches that a column is wide at most, > 0; longer texts end in an ellipsis
  std::string below = {};  ///< a line below the rows; none when empty
  double dpi = 100;        ///< pixels an inch of the PNG, > 0
};

/// Texts as a picture: names in bold, a line below each row, columns as wide as their texts. The figure is as large as that
/// needs. Thread-safe.
/// \param columns from left to right, with equal numbers of texts
/// \param options size of letters and columns
/// \throws ValueError `value.plot_size` when columns differ in length, `value.plot_option` on a bad size or width,
///         `value.figure_size` when the figure would have more than 32767 pixels along a side
FASTCPP_API Figure text_table(const std::vector<TextColumn>& columns,
                              const TextTableOptions& options = {});

}  // namespace fastcpp
