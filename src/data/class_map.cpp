#include "class_map.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string_view>

#include "column.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/python_text.hpp"

namespace fastcpp::inline v0 {
namespace {

// Holds every number of 64 bits.
long double value_of(const Cell& cell) {
  if (const auto* value = std::get_if<std::int64_t>(&cell)) return *value;
  if (const auto* value = std::get_if<std::uint64_t>(&cell)) return *value;
  if (const auto* value = std::get_if<double>(&cell)) return *value;
  return std::get<bool>(cell) ? 1 : 0;
}

bool less(const Cell& a, const Cell& b) {
  if (is_text(a)) return std::get<std::string>(a) < std::get<std::string>(b);
  return value_of(a) < value_of(b);
}

// The text as a cell of the type of `label`; as a text where that would not print the same.
Cell read_like(const std::string& text, const Cell& label) {
  Cell cell = text;
  if (std::holds_alternative<bool>(label)) {
    if (const auto truth = table::to_bool(text)) cell = *truth;
  } else if (std::holds_alternative<double>(label)) {
    // 1 is 1.0 here.
    if (const auto number = table::to_double(text)) return *number;
  } else if (const auto integer = table::to_int64(text)) {
    cell = *integer;
  } else if (const auto large = table::to_uint64(text)) {
    cell = *large;
  } else if (const auto number = table::to_double(text)) {
    cell = *number;
  }
  return cell_text(cell) == text ? cell : Cell(text);
}

}  // namespace

std::size_t CellHash::operator()(const Cell& cell) const {
  if (std::holds_alternative<std::monostate>(cell)) return 0;
  if (const auto* text = std::get_if<std::string>(&cell)) return std::hash<std::string>()(*text);
  return std::hash<double>()(static_cast<double>(value_of(cell)));
}

bool CellEqual::operator()(const Cell& a, const Cell& b) const {
  if (is_text(a) || is_text(b) || a.index() == 0 || b.index() == 0) return a == b;
  return value_of(a) == value_of(b);
}

bool is_missing(const Cell& cell) {
  const auto* number = std::get_if<double>(&cell);
  return std::holds_alternative<std::monostate>(cell) || (number && std::isnan(*number));
}

bool is_text(const Cell& cell) {
  return std::holds_alternative<std::string>(cell);
}

ClassMap::ClassMap(std::vector<Cell> cells) : cells_(std::move(cells)) {
  for (const auto& cell : cells_) {
    auto name = cell_text(cell);
    if (is_missing(cell)) {
      throw ValueError("value.classes", fmt::format("class {} is missing; give it a name", size()));
    }
    if (!index_.emplace(cell, size()).second) {
      throw ValueError("value.classes",
                       fmt::format("the classes hold '{}' twice: each class has one index", name));
    }
    names_.push_back(std::move(name));
  }
}

const std::string& ClassMap::name(std::int64_t i) const {
  if (i < 0 || i >= size()) {
    throw DataError(
        "data.unknown_label",
        fmt::format("there is no class {}: the labels have {}, counted from 0", i, size()));
  }
  return names_[static_cast<std::size_t>(i)];
}

std::string ClassMap::text() const {
  std::string result;
  for (const auto& cell : cells_) {
    const auto* text = std::get_if<std::string>(&cell);
    result += (result.empty() ? "" : ", ") + (text ? python_text(*text) : cell_text(cell));
  }
  return "[" + result + "]";
}

std::int64_t ClassMap::find(const Cell& cell) const {
  const auto found = index_.find(cell);
  return found == index_.end() ? -1 : found->second;
}

std::vector<Cell> sorted_classes(std::vector<Cell> cells) {
  std::sort(cells.begin(), cells.end(), less);
  return cells;
}

Cell class_like(const Cell& given, const Cell& label) {
  if (is_missing(given) || is_text(given) == is_text(label)) return given;
  return is_text(label) ? Cell(cell_text(given)) : read_like(std::get<std::string>(given), label);
}

}  // namespace fastcpp
