#include <fmt/format.h>

#include "column.hpp"
#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/python_text.hpp"
#include "fastcpp/data/labels.hpp"

namespace fastcpp {
namespace {

void refuse_missing(const Column& column, const ColumnIds& cols, bool may_be_empty) {
  for (std::int64_t row = 0; row < column.size(); ++row) {
    if (!column.missing(row)) continue;
    throw DataError(
        "data.missing_value",
        fmt::format("You have NaN values in column(s) {} of your dataframe, please fix it. The "
                    "first is in row {} of the column {}, counted from 0; fill it in, or leave the "
                    "row out{}",
                    cols.text(), row, python_text(table::shown(column.name())),
                    may_be_empty ? ", or let it have no label with .allow_empty = true" : ""));
  }
}

}  // namespace

TableLabels label_from_df(const Table& table, const ColumnIds& cols, LabelOptions options) {
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
      if (!tags || !options.allow_empty) refuse_missing(column, cols, tags);
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
    result.labels.reserve(static_cast<std::size_t>(table.rows()));
    for (std::int64_t row = 0; row < table.rows(); ++row) {
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

}  // namespace fastcpp
