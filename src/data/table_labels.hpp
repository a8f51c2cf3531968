// Labels of some rows of a table.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "fastcpp/data/labels.hpp"

namespace fastcpp::inline v0 {

// As `label_from_df`, of these rows in this order.
// \param row_name what messages call a row
TableLabels label_rows(const Table& table, const std::vector<std::int64_t>& rows,
                       const ColumnIds& cols, LabelOptions options,
                       const std::function<std::string(std::int64_t row)>& row_name);

}  // namespace fastcpp
