// Tables of the golden files, and the data that they train on.
#pragma once

#include <string>
#include <vector>

#include "fastcpp/core/error.hpp"
#include "fastcpp/data/table.hpp"
#include "fastcpp/tabular/tabular_list.hpp"
#include "support/golden.hpp"

namespace fastcpp::test {

// What an Error says; nothing where none is thrown.
template <typename F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return {};
}

// A typed column of the file; of a mixed one nothing.
inline Column typed_column(const std::string& name, const Json& typed) {
  const std::string kind = typed.at("kind");
  std::vector<Cell> cells;
  for (const auto& value : typed.at("values")) {
    if (value.is_null()) {
      cells.emplace_back();
    } else if (kind == "float64") {
      cells.emplace_back(number(value));
    } else if (value.is_boolean()) {
      cells.emplace_back(value.get<bool>());
    } else if (value.is_number()) {
      cells.emplace_back(value.get<std::int64_t>());
    } else {
      cells.emplace_back(value.get<std::string>());
    }
  }
  Column column(name, std::move(cells));
  if (!typed.contains("categories")) return column;
  std::vector<Cell> categories;
  for (const auto& one : typed["categories"]) categories.emplace_back(one.get<std::string>());
  return column.with_categories(categories);
}

inline Table typed_table(const Json& columns) {
  std::vector<Column> made;
  for (const auto& [name, typed] : columns.items()) made.push_back(typed_column(name, typed));
  return Table(std::move(made));
}

inline std::vector<TabularProcArg> procs_of(const Json& names) {
  std::vector<TabularProcArg> procs;
  for (const auto& proc : names) {
    const std::string name = proc.at("name");
    if (name == "Categorify") procs.emplace_back(tabular::Categorify());
    if (name == "Normalize") procs.emplace_back(tabular::Normalize());
    if (name != "FillMissing") continue;
    const auto strategy = proc.value("fill_strategy", "median");
    procs.emplace_back(tabular::FillMissing(
        {.fill_strategy = strategy == "median"   ? tabular::FillStrategy::MEDIAN
                          : strategy == "common" ? tabular::FillStrategy::COMMON
                                                 : tabular::FillStrategy::CONSTANT,
         .add_col = proc.value("add_col", true),
         .fill_val = proc.value("fill_val", 0.0)}));
  }
  return procs;
}

inline const Json& pipeline(const std::string& name) {
  for (const auto& pipe : golden("tabular.json")["pipelines"]) {
    if (pipe["name"] == name) return pipe;
  }
  throw std::out_of_range(name);
}

inline TabularLabelLists lists_of(const Json& pipe) {
  const auto& file = golden("tabular.json")["table"];
  auto table = Table::parse_csv(file["csv"].get<std::string>());
  if (pipe.contains("ordered")) {
    for (const auto& [name, order] : pipe["ordered"].items()) {
      const auto texts = order.get<std::vector<std::string>>();
      table = table.with_column(table[name].with_categories({texts.begin(), texts.end()}));
    }
  }
  LabelOptions labels;
  if (pipe.contains("label")) labels.label_cls = LabelKind::kFloat;
  labels.log = pipe.value("log", false);
  const auto dep = pipe["dep"].is_string() ? ColumnIds(pipe["dep"].get<std::string>())
                                           : ColumnIds(pipe["dep"].get<std::vector<std::string>>());
  return TabularList::from_df(table, {.cat_names = pipe["cat"],
                                      .cont_names = pipe["cont"],
                                      .procs = procs_of(pipe["procs"])})
      .split_by_idx(file["valid_idx"].get<std::vector<std::int64_t>>())
      .label_from_df(dep, labels)
      .add_test(Table::parse_csv(file["test_csv"].get<std::string>()));
}

}  // namespace fastcpp::test
