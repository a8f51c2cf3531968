#include "vision/pack_table.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cstdint>
#include <exception>
#include <utility>
#include <variant>
#include <vector>

#include "fastcpp/core/error.hpp"
#include "fastcpp/io/json.hpp"

namespace fastcpp::inline v0::detail {
namespace {

constexpr const char* kNames = "name";

struct CellToValue {
  Value operator()(std::monostate) const { return {}; }
  Value operator()(bool truth) const { return truth; }
  Value operator()(std::int64_t number) const { return number; }
  Value operator()(std::uint64_t number) const { return Value::big_int(std::to_string(number)); }
  Value operator()(double number) const { return number; }
  Value operator()(const std::string& text) const { return text; }
};

// What is wrong is told without the file.
[[noreturn]] void bad_notes(const std::string& why) {
  throw FormatError("pack.bad_notes", why);
}

Cell cell_of(const Value& value) {
  if (value.is_none()) return {};
  if (value.is_bool()) return value.as_bool();
  if (value.is_int()) return value.as_int();
  if (value.is_number()) return value.as_double();
  if (value.is_string()) return value.as_string();
  if (value.kind() == Value::Kind::kBigInt) {
    const auto& digits = value.as_string();
    std::uint64_t number = 0;
    const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (ec == std::errc() && end == digits.data() + digits.size()) return number;
  }
  bad_notes("a cell is none that a table has");
}

const Value& part_of(const Value& dict, const char* key) {
  const auto* found = dict.is_dict() ? dict.find(key) : nullptr;
  if (!found) bad_notes(fmt::format("'{}' is not there", key));
  return *found;
}

Column column_of(const Value& column, const PackReader& pack) {
  const auto& name = part_of(column, "name");
  if (!name.is_string()) bad_notes("the name of a column is no text");
  std::vector<Cell> cells;
  cells.reserve(static_cast<std::size_t>(pack.size()));
  const auto* given = column.find("cells");
  if (!given) {
    for (std::int64_t i = 0; i < pack.size(); ++i) cells.emplace_back(std::string(pack.name(i)));
  } else if (given->is_list() && given->size() == static_cast<std::size_t>(pack.size())) {
    for (const auto& cell : given->items()) cells.push_back(cell_of(cell));
  } else {
    bad_notes(fmt::format("the column '{}' has not one cell a picture", name.as_string()));
  }
  return Column(name.as_string(), std::move(cells));
}

constexpr std::size_t kMostColumns = 1024;

Table read_notes(const PackReader& pack) {
  std::vector<Column> columns;
  if (pack.notes().empty()) {
    columns.push_back(column_of(Value::dict({{"name", kNames}}), pack));
    return Table(std::move(columns));
  }
  // Values take more memory than their text: no more of them than such a table can have.
  const auto rows = static_cast<std::size_t>(pack.size());
  const auto notes = from_json(pack.notes(), {.max_values = (rows + 4) * kMostColumns});
  const auto& given = part_of(notes, "columns");
  if (!given.is_list() || given.size() == 0 || given.size() > kMostColumns) {
    bad_notes("the columns are no list of some");
  }
  for (const auto& column : given.items()) columns.push_back(column_of(column, pack));
  return Table(std::move(columns));
}

}  // namespace

std::string notes_of(const Table& table, NameColumn names) {
  auto columns = Value::list();
  if (names == NameColumn::kFirst) columns.append(Value::dict({{"name", kNames}}));
  for (const auto& column : table.columns()) {
    std::vector<Value> cells;
    cells.reserve(static_cast<std::size_t>(column.size()));
    for (std::int64_t row = 0; row < column.size(); ++row) {
      cells.push_back(column.missing(row) ? Value() : std::visit(CellToValue(), column.cell(row)));
    }
    columns.append(
        Value::dict({{"name", column.name()}, {"cells", Value::list(std::move(cells))}}));
  }
  if (columns.size() == 0 || columns.size() > kMostColumns) {
    throw ValueError("value.prepare",
                     fmt::format("the table beside the pictures has {} columns, but a pack holds 1 "
                                 "to {}; select those that are needed",
                                 columns.size(), kMostColumns));
  }
  return to_json(Value::dict({{"columns", columns}}), {.indent = -1});
}

Table table_of(const PackReader& pack) {
  try {
    return read_notes(pack);
  } catch (const MemoryError&) {
    throw;
  } catch (const Error& e) {
    std::throw_with_nested(FormatError(
        "pack.bad_notes", fmt::format("the table in the pack '{}' cannot be read: {}; was it "
                                      "written by `prepare`? Do it again",
                                      pack.file(), e.what())));
  }
}

}  // namespace fastcpp::detail
