#include "column.hpp"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "class_map.hpp"
#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0 {
namespace {

// The kind that holds all cells; `data` has their texts.
ColumnKind kind_of(const std::vector<Cell>& cells, const Column::Data& data) {
  std::size_t bools = 0, floats = 0, texts = 0, missing = 0;
  for (const auto& cell : cells) {
    if (is_missing(cell)) {
      ++missing;
    } else {
      bools += std::holds_alternative<bool>(cell);
      floats += std::holds_alternative<double>(cell);
      texts += std::holds_alternative<std::string>(cell);
    }
  }
  const auto present = cells.size() - missing;
  if (cells.empty() || texts > 0) return ColumnKind::kText;
  if (bools > 0) return bools == present ? ColumnKind::kBool : ColumnKind::kText;
  if (floats > 0) return ColumnKind::kFloat64;
  return table::guess_kind(data.texts, data.missing);
}

std::shared_ptr<const Column::Data> data_of(const std::vector<Cell>& cells) {
  auto data = std::make_shared<Column::Data>();
  auto buffer = std::make_shared<std::string>();
  std::vector<std::size_t> ends;
  ends.reserve(cells.size());
  for (const auto& cell : cells) {
    if (!is_missing(cell)) {
      *buffer += cell_text(cell);
    } else {
      if (data->missing.empty()) data->missing.resize(cells.size());
      data->missing[ends.size()] = 1;
    }
    ends.push_back(buffer->size());
  }
  data->texts.reserve(cells.size());
  std::size_t start = 0;
  for (const auto end : ends) {
    data->texts.push_back(std::string_view(*buffer).substr(start, end - start));
    start = end;
  }
  data->buffers = {std::move(buffer)};
  table::set_kind(*data, kind_of(cells, *data));
  return data;
}

std::size_t checked(const Column& column, std::int64_t row) {
  if (row < 0 || row >= column.size()) {
    boundary([&] {
      throw ValueError(
          "value.index",
          fmt::format("row {} was asked for, but the column '{}' has {}, counted from 0", row,
                      table::shown(column.name()), column.size()));
    });
  }
  return static_cast<std::size_t>(row);
}

void check_kind(const Column& column, ColumnKind wanted) {
  if (column.kind() == wanted) return;
  const auto name = [](ColumnKind kind) {
    constexpr const char* names[] = {"int64", "uint64", "float64", "bool", "text"};
    return names[static_cast<int>(kind)];
  };
  boundary([&] {
    throw ValueError(
        "value.column_kind",
        fmt::format("the column '{}' is {}, not {}; ask for its kind first, or for its "
                    "cells one by one",
                    table::shown(column.name()), name(column.kind()), name(wanted)));
  });
}

}  // namespace

std::string ColumnId::text() const {
  return boundary([&] { return name() ? *name() : fmt::format("{}", *position()); });
}

Column::Column(std::string name, std::initializer_list<Cell> cells)
    : Column(std::move(name), std::vector<Cell>(cells)) {}

Column::Column(std::string name, std::vector<Cell> cells)
    : name_(std::move(name)), data_(boundary([&] { return data_of(cells); })) {}

ColumnKind Column::kind() const {
  return data_->kind;
}

std::int64_t Column::size() const {
  return static_cast<std::int64_t>(data_->texts.size());
}

bool Column::missing(std::int64_t row) const {
  return data_->is_missing(checked(*this, row));
}

bool Column::has_missing() const {
  return !data_->missing.empty();
}

Cell Column::cell(std::int64_t row) const {
  const auto i = checked(*this, row);
  if (data_->is_missing(i)) return {};
  switch (data_->kind) {
    case ColumnKind::kInt64:
      return data_->int64s[i];
    case ColumnKind::kUInt64: {
      const auto value = data_->uint64s[i];
      if (value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        return static_cast<std::int64_t>(value);
      }
      return value;
    }
    case ColumnKind::kFloat64:
      return data_->float64s[i];
    case ColumnKind::kBool:
      return data_->bools[i] != 0;
    case ColumnKind::kText:
      break;
  }
  return boundary([&] { return std::string(data_->texts[i]); });
}

std::string Column::text(std::int64_t row) const {
  return boundary([&] { return cell_text(cell(row)); });
}

std::string_view Column::raw(std::int64_t row) const {
  return data_->texts[checked(*this, row)];
}

double Column::number(std::int64_t row) const {
  const auto i = checked(*this, row);
  if (data_->is_missing(i)) return std::numeric_limits<double>::quiet_NaN();
  if (data_->kind == ColumnKind::kBool) return data_->bools[i];
  if (const auto value = table::to_double(data_->texts[i])) return *value;
  boundary([&] {
    throw DataError("data.not_a_number",
                    fmt::format("row {} of the column '{}' is no number: '{}'", row,
                                table::shown(name_), table::shown(data_->texts[i])));
  });
  return 0;
}

std::span<const std::int64_t> Column::int64s() const {
  check_kind(*this, ColumnKind::kInt64);
  return data_->int64s;
}

std::span<const std::uint64_t> Column::uint64s() const {
  check_kind(*this, ColumnKind::kUInt64);
  return data_->uint64s;
}

std::span<const double> Column::float64s() const {
  check_kind(*this, ColumnKind::kFloat64);
  return data_->float64s;
}

std::span<const std::uint8_t> Column::bools() const {
  check_kind(*this, ColumnKind::kBool);
  return data_->bools;
}

std::span<const std::string_view> Column::texts() const {
  check_kind(*this, ColumnKind::kText);
  return data_->texts;
}

}  // namespace fastcpp
