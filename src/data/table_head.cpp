// A table for the eye.
#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "column.hpp"
#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/data/table.hpp"

namespace fastcpp::inline v0 {
namespace {

constexpr std::size_t kShownColumns = 10;

std::size_t letters(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

}  // namespace

std::string Table::head(std::int64_t n) const {
  return boundary([&] {
    if (n < 0) throw ValueError("value.items", fmt::format("{} rows cannot be printed", n));
    const auto count = std::min(n, rows_);
    // Column by column: the row numbers, then the cells.
    std::vector<std::vector<std::string>> columns(1, {""});
    for (std::int64_t row = 0; row < count; ++row) columns[0].push_back(fmt::format("{}", row));
    for (std::size_t i = 0; i < std::min(columns_.size(), kShownColumns); ++i) {
      auto& texts = columns.emplace_back(1, table::shown(columns_[i].name()));
      for (std::int64_t row = 0; row < count; ++row) {
        texts.push_back(columns_[i].missing(row) ? "NaN" : table::shown(columns_[i].text(row)));
      }
    }
    if (columns_.size() > kShownColumns) {
      columns.emplace_back(static_cast<std::size_t>(count) + 1, "...");
    }
    std::vector<std::size_t> widths;
    for (const auto& texts : columns) {
      widths.push_back(0);
      for (const auto& text : texts) widths.back() = std::max(widths.back(), letters(text));
    }
    std::string result;
    for (std::size_t line = 0; line < columns[0].size(); ++line) {
      for (std::size_t i = 0; i < columns.size(); ++i) {
        const auto& text = columns[i][line];
        if (i > 0) result += "  ";
        result += std::string(widths[i] - letters(text), ' ') + text;
      }
      result += '\n';
    }
    return result;
  });
}

std::ostream& operator<<(std::ostream& out, const Table& table) {
  // Joined first: a width or another language set on the stream must not reach the numbers.
  return out << boundary([&] {
           return fmt::format("{}\n[{} rows x {} columns]", table.head(), table.rows(),
                              table.columns().size());
         });
}

}  // namespace fastcpp
