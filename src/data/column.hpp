// How a column is stored, and what its cells are.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fastcpp/data/table.hpp"

namespace fastcpp::inline v0 {

struct Column::Data {
  ColumnKind kind = ColumnKind::kText;
  // Each cell as it stands in its file, or as Python prints it, whatever the kind.
  std::vector<std::string_view> texts;
  std::vector<std::uint8_t> missing;  // 1 where missing; empty when nothing is
  // The values; only those of the kind are filled.
  std::vector<std::int64_t> int64s;
  std::vector<std::uint64_t> uint64s;
  std::vector<double> float64s;
  std::vector<std::uint8_t> bools;
  // Of a column of categories; codes are -1 where missing.
  std::shared_ptr<const std::vector<Cell>> categories;
  std::vector<std::int32_t> codes;
  // What the texts point into.
  std::vector<std::shared_ptr<const std::string>> buffers;

  static Column column(std::string name, std::shared_ptr<const Data> data) {
    return {std::move(name), std::move(data)};
  }
  static const Data& of(const Column& column) { return *column.data_; }

  bool is_missing(std::size_t row) const { return !missing.empty() && missing[row] != 0; }
};

namespace table {

// One of pandas' words for a missing value.
bool is_missing(std::string_view text);
// A whole number, blanks around it allowed, of any size.
bool is_integer(std::string_view text);
std::optional<std::int64_t> to_int64(std::string_view text);
std::optional<std::uint64_t> to_uint64(std::string_view text);
// Any number that a double can hold; blanks as above, but none around infinities.
std::optional<double> to_double(std::string_view text);
std::optional<bool> to_bool(std::string_view text);

// The kind that holds all texts which are not missing.
ColumnKind guess_kind(const std::vector<std::string_view>& texts,
                      const std::vector<std::uint8_t>& missing);
// Fills in the values; every text that is not missing must be of the kind.
void set_kind(Column::Data& data, ColumnKind kind);

// A text from outside in a message: its beginning, in one line.
std::string shown(std::string_view text);

}  // namespace table
}  // namespace fastcpp
