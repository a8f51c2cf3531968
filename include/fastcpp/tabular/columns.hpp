/// \file
/// Which columns of a table are numbers, and which categories.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "fastcpp/data/table.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// Options of `cont_cat_split`.
struct ContCatSplitOptions {
  std::int64_t max_card = 20;             ///< whole numbers with more different values are numbers
  std::vector<std::string> dep_var = {};  ///< columns that are left out: the target
};

/// Columns of numbers and columns of categories, in the table's order (fastai: `cont_cat_split`). Numbers are columns with
/// fractions, or holes, and whole numbers with many different values; all others are categories.
FASTCPP_API std::pair<std::vector<std::string>, std::vector<std::string>> cont_cat_split(
    const Table& df, const ContCatSplitOptions& options = {});

/// The table with these columns as categories of their own values, in their order (fastai: `series2cat`).
/// \throws DataError `data.no_column`
FASTCPP_API Table series2cat(const Table& df, const std::vector<std::string>& col_names);

}  // namespace fastcpp
