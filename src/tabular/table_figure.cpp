#include "fastcpp/tabular/table_figure.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/plot/text_table.hpp"

namespace fastcpp::inline v0 {
namespace {

constexpr std::size_t kShownDigits = 10;  // of a number; longer ones are rounded

std::string shown_cell(const Column& column, std::int64_t row) {
  if (column.missing(row)) return "NaN";
  auto text = column.text(row);
  if (column.kind() == ColumnKind::kFloat64 && text.size() > kShownDigits) {
    return fmt::format("{:.6g}", column.number(row));
  }
  return text;
}

// Numbers, also as texts: a batch in words has them so.
bool are_numbers(const Column& column, const std::vector<std::string>& shown) {
  if (column.kind() != ColumnKind::kText) {
    return column.kind() != ColumnKind::kBool && !column.categories();
  }
  return !shown.empty() && std::all_of(shown.begin(), shown.end(), [](const std::string& text) {
    double number = 0;
    const auto* end = text.data() + text.size();
    return !text.empty() && std::from_chars(text.data(), end, number).ptr == end;
  });
}

std::string count_more(std::int64_t left, const char* what) {
  return fmt::format("{} more {}{}", left, what, left == 1 ? "" : "s");
}

}  // namespace

Figure table_figure(const Table& table, const TableFigureOptions& options) {
  return boundary([&] {
    if (options.rows < 1 || options.columns < 1) {
      throw ValueError("value.rows",
                       fmt::format("a picture of a table needs at least one row and one column, "
                                   "found {} and {}",
                                   options.rows, options.columns));
    }
    const auto all = static_cast<std::int64_t>(table.columns().size());
    const auto rows = std::min(options.rows, table.rows());
    const auto count = std::min(options.columns, all);
    std::vector<TextColumn> columns;
    for (std::int64_t c = 0; c < count; ++c) {
      const auto& column = table.columns()[static_cast<std::size_t>(c)];
      auto& text = columns.emplace_back(TextColumn{.name = column.name()});
      for (std::int64_t row = 0; row < rows; ++row) text.texts.push_back(shown_cell(column, row));
      if (are_numbers(column, text.texts)) text.align = TextAlign::kRight;
    }
    std::vector<std::string> more;
    if (table.rows() > rows) more.push_back(count_more(table.rows() - rows, "row"));
    if (all > count) more.push_back(count_more(all - count, "column"));
    if (more.empty() && table.rows() == 0) more.push_back("no rows");
    return text_table(columns, {.size = options.size,
                                .widest = options.widest,
                                .below = fmt::format("{}", fmt::join(more, ", ")),
                                .dpi = options.dpi});
  });
}

}  // namespace fastcpp
