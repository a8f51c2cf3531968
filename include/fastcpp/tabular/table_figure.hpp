/// \file
/// A table as a picture.
#pragma once

#include <cstdint>

#include "fastcpp/data/table.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/plot/figure.hpp"

namespace fastcpp::inline v0 {

/// Options of `table_figure`.
struct TableFigureOptions {
  std::int64_t rows = 20;     ///< at most so many rows are shown, >= 1
  std::int64_t columns = 30;  ///< at most so many columns are shown, >= 1
  double size = 10;           ///< of the letters in points, 0 < size <= 100
  double widest = 2.5;  ///< inches that a column is wide at most; longer texts end in an ellipsis
  double dpi = 100;     ///< pixels an inch of the PNG, > 0
};

/// The first rows of a table as a picture, as a notebook shows a DataFrame: names in bold, numbers to the right, with six
/// digits where they have more than ten; a last line says how many rows and columns more there are. As large as the texts
/// need. Thread-safe.
/// \throws ValueError `value.rows` on fewer than one row or column; as `text_table`
FASTCPP_API Figure table_figure(const Table& table, const TableFigureOptions& options = {});

}  // namespace fastcpp
