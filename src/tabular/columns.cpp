#include "fastcpp/tabular/columns.hpp"

#include <algorithm>
#include <unordered_set>

#include "fastcpp/core/boundary.hpp"

namespace fastcpp::inline v0 {

std::pair<std::vector<std::string>, std::vector<std::string>> cont_cat_split(
    const Table& df, const ContCatSplitOptions& options) {
  return boundary([&] {
    std::pair<std::vector<std::string>, std::vector<std::string>> split;
    for (const auto& column : df.columns()) {
      const auto& out = options.dep_var;
      if (std::find(out.begin(), out.end(), column.name()) != out.end()) continue;
      bool is_cont = !column.categories() && column.kind() == ColumnKind::kFloat64;
      if (!column.categories() && column.kind() == ColumnKind::kInt64) {
        std::unordered_set<std::int64_t> values;
        for (const auto value : column.int64s()) {
          values.insert(value);
          if (static_cast<std::int64_t>(values.size()) > options.max_card) break;
        }
        is_cont = static_cast<std::int64_t>(values.size()) > options.max_card;
      }
      (is_cont ? split.first : split.second).push_back(column.name());
    }
    return split;
  });
}

Table series2cat(const Table& df, const std::vector<std::string>& col_names) {
  return boundary([&] {
    auto table = df;
    for (const auto& name : col_names) table = table.with_column(df[name].as_category());
    return table;
  });
}

}  // namespace fastcpp
