// Columns whose values are categories.
#include <algorithm>
#include <string_view>
#include <unordered_map>

#include "class_map.hpp"
#include "column.hpp"
#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0 {
namespace {

using Data = Column::Data;

// Calls `visit` with the values of a column, all of one type in which equal ones are one: texts, or numbers and truth values
// as numbers that hold all of 64 bits.
template <typename Visit>
void visit_values(const Data& data, const Visit& visit) {
  const auto number = [](const auto& values) {
    return [&values](std::size_t i) { return static_cast<long double>(values[i]); };
  };
  switch (data.kind) {
    case ColumnKind::kInt64:
      return visit(number(data.int64s));
    case ColumnKind::kUInt64:
      return visit(number(data.uint64s));
    case ColumnKind::kFloat64:
      return visit(number(data.float64s));
    case ColumnKind::kBool:
      return visit(number(data.bools));
    case ColumnKind::kText:
      return visit([&data](std::size_t i) { return data.texts[i]; });
  }
}

// The key of a category in the type that the values of `kind` are compared in; nothing where none can be equal.
template <typename Key>
std::optional<Key> key_of(const Cell& cell, ColumnKind kind) {
  if constexpr (std::is_same_v<Key, std::string_view>) {
    if (const auto* text = std::get_if<std::string>(&cell)) return *text;
  } else {
    const auto* truth = std::get_if<bool>(&cell);
    if ((truth != nullptr) != (kind == ColumnKind::kBool)) return std::nullopt;
    if (truth) return *truth;
    if (const auto* value = std::get_if<std::int64_t>(&cell)) return *value;
    if (const auto* value = std::get_if<std::uint64_t>(&cell)) return *value;
    if (const auto* value = std::get_if<double>(&cell)) return *value;
  }
  return std::nullopt;
}

Cell value_at(const Data& data, std::size_t row) {
  switch (data.kind) {
    case ColumnKind::kInt64:
      return data.int64s[row];
    case ColumnKind::kUInt64:
      return data.uint64s[row];
    case ColumnKind::kFloat64:
      return data.float64s[row];
    case ColumnKind::kBool:
      return data.bools[row] != 0;
    case ColumnKind::kText:
      break;
  }
  return std::string(data.texts[row]);
}

}  // namespace

Column Column::with_categories(const std::vector<Cell>& categories) const {
  return boundary([&] {
    ClassMap{categories};  // checks them
    auto data = std::make_shared<Data>(*data_);
    data->categories = std::make_shared<const std::vector<Cell>>(categories);
    const auto rows = data->texts.size();
    data->codes.assign(rows, -1);
    visit_values(*data_, [&](const auto& value) {
      using Key = decltype(value(0));
      std::unordered_map<Key, std::int32_t> positions;
      for (std::size_t i = 0; i < categories.size(); ++i) {
        if (const auto key = key_of<Key>(categories[i], data->kind)) {
          positions.emplace(*key, static_cast<std::int32_t>(i));
        }
      }
      for (std::size_t row = 0; row < rows; ++row) {
        if (data->is_missing(row)) continue;
        if (const auto found = positions.find(value(row)); found != positions.end()) {
          data->codes[row] = found->second;
          continue;
        }
        if (data->missing.empty()) data->missing.resize(rows);
        data->missing[row] = 1;
      }
    });
    return Data::column(name_, std::move(data));
  });
}

Column Column::as_category() const {
  return boundary([&] {
    auto data = std::make_shared<Data>(*data_);
    const auto rows = data->texts.size();
    data->codes.assign(rows, -1);
    visit_values(*data_, [&](const auto& value) {
      using Key = decltype(value(0));
      // In the order of their first appearance, with the row of that.
      std::unordered_map<Key, std::int32_t> seen;
      std::vector<std::pair<Key, std::size_t>> distinct;
      for (std::size_t row = 0; row < rows; ++row) {
        if (data->is_missing(row)) continue;
        const auto [at, is_new] =
            seen.try_emplace(value(row), static_cast<std::int32_t>(distinct.size()));
        if (is_new) distinct.emplace_back(value(row), row);
        data->codes[row] = at->second;
      }
      std::vector<std::size_t> order(distinct.size());
      for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
      std::sort(order.begin(), order.end(),
                [&](auto a, auto b) { return distinct[a].first < distinct[b].first; });
      std::vector<std::int32_t> rank(order.size());
      std::vector<Cell> categories;
      for (const auto i : order) {
        rank[i] = static_cast<std::int32_t>(categories.size());
        categories.push_back(value_at(*data_, distinct[i].second));
      }
      for (auto& code : data->codes) {
        if (code >= 0) code = rank[static_cast<std::size_t>(code)];
      }
      data->categories = std::make_shared<const std::vector<Cell>>(std::move(categories));
    });
    return Data::column(name_, std::move(data));
  });
}

const std::vector<Cell>* Column::categories() const {
  return data_->categories.get();
}

std::span<const std::int32_t> Column::codes() const {
  if (!data_->categories) {
    throw ValueError("value.column_kind", "the column '" + table::shown(name_) +
                                              "' has no categories; make them by as_category");
  }
  return data_->codes;
}

}  // namespace fastcpp
