// CSV text into cells.
#pragma once

#include <string>
#include <vector>

#include "fastcpp/data/table.hpp"

namespace fastcpp::inline v0::table {

// \param name of the file, for messages
std::vector<Column> read_columns(std::string bytes, const ReadCsvOptions& options,
                                 const std::string& name);

// \throws ValueError `value.delimiter`
void check_delimiter(char delimiter);

}  // namespace fastcpp::table
