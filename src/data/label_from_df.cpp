#include <fmt/format.h>

#include <numeric>
#include <utility>

#include "data/column.hpp"
#include "data/table_labels.hpp"
#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/python_text.hpp"
#include "fastcpp/data/labels.hpp"

namespace fastcpp::inline v0 {
namespace {

using RowName = std::function<std::string(std::int64_t)>;

void refuse_missing(const Column& column, const std::vector<std::int64_t>& rows,
                    const ColumnIds& cols, bool may_be_empty, const RowName& row_name) {
  for (const auto row : rows) {
    if (!column.missing(row)) continue;
    throw DataError(
        "data.missing_value",
        fmt::format("You have NaN values in column(s) {} of your dataframe, please fix it. The "
                    "first is in {} of the column {}; fill it in, or leave the row out{}",
                    cols.text(), row_name(row), python_text(table::shown(column.name())),
                    may_be_empty ? ", or let it have no label with .allow_empty = true" : ""));
  }
}

}  // namespace

TableLabels label_rows(const Table& table, const std::vector<std::int64_t>& rows,
                       const ColumnIds& cols, LabelOptions options, const RowName& row_name) {
  return boundary([&] {
    std::vector<Column> columns;
    for (const auto& id : cols.ids()) columns.push_back(table[id]);
    if (columns.empty()) {
      throw DataError("data.no_column", "no column was named for the labels; name at least one");
    }
    const bool several = columns.size() > 1;
    const bool tags =
        !several && (options.label_cls ? *options.label_cls == LabelKind::kMultiCategory
                                       : options.label_delim.has_value());
    for (const auto& column : columns) {
      if (!tags || !options.allow_empty) refuse_missing(column, rows, cols, tags, row_name);
    }
    if (several && options.label_cls == LabelKind::kCategory) {
      throw ValueError("value.label_cls",
                       fmt::format("the columns {} make several labels an item, not one class; "
                                   "name one column, or another kind",
                                   cols.text()));
    }
    if (several &&
        options.label_cls.value_or(LabelKind::kMultiCategory) == LabelKind::kMultiCategory) {
      options.label_cls = LabelKind::kMultiCategory;
      options.one_hot = true;
      if (!options.classes) {
        std::vector<std::string> names;
        for (const auto& column : columns) names.push_back(column.name());
        options.classes = ClassNames(names);
      }
    }
    TableLabels result{{}, std::move(options)};
    result.labels.reserve(rows.size());
    for (const auto row : rows) {
      if (!several) {
        result.labels.emplace_back(columns[0].cell(row));
        continue;
      }
      std::vector<Cell> cells;
      for (const auto& column : columns) cells.push_back(column.cell(row));
      result.labels.emplace_back(std::move(cells));
    }
    return result;
  });
}

TableLabels label_from_df(const Table& table, const ColumnIds& cols, LabelOptions options) {
  return boundary([&] {
    std::vector<std::int64_t> rows(static_cast<std::size_t>(table.rows()));
    std::iota(rows.begin(), rows.end(), 0);
    return label_rows(table, rows, cols, std::move(options),
                      [](std::int64_t row) { return fmt::format("row {}, counted from 0,", row); });
  });
}

}  // namespace fastcpp
