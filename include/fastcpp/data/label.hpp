/// \file
/// One label as its owner gave it, and how labels are read.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "fastcpp/data/label_kind.hpp"
#include "fastcpp/data/table.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// One label with its type: a text, a whole number, a number, a truth value, several of these, or nothing (missing).
/// `1`, `1.0`, `"1"` and `true` keep their types; as classes numbers are equal by value, and a text equals none of
/// them; a number that is NaN is missing. A value: copies share nothing. Threads: const calls by any number at once.
class FASTCPP_API Label {
 public:
  /// A missing one.
  Label() = default;
  /// One value of a table.
  Label(Cell cell) : value_(std::move(cell)) {}
  /// A text.
  Label(std::string text) : value_(Cell(std::move(text))) {}
  /// A text.
  Label(std::string_view text) : Label(std::string(text)) {}
  /// A text.
  Label(const char* text) : Label(std::string(text)) {}
  /// A whole number or a truth value.
  template <typename T>
  requires(std::integral<T> && !std::same_as<T, char>) Label(T value) {
    if constexpr (std::same_as<T, bool>) {
      value_ = Cell(value);
    } else if (std::in_range<std::int64_t>(value)) {
      value_ = Cell(static_cast<std::int64_t>(value));
    } else {
      value_ = Cell(static_cast<std::uint64_t>(value));
    }
  }
  /// A number.
  template <std::floating_point T>
  Label(T value) : value_(Cell(static_cast<double>(value))) {}
  /// Several; none is a list too.
  Label(std::vector<Cell> cells) : value_(std::move(cells)) {}
  /// Several, of one type.
  template <std::convertible_to<Cell> T>
  requires(!std::same_as<T, Cell>) Label(const std::vector<T>& values)
      : value_(std::vector<Cell>(values.begin(), values.end())) {}

  /// Whether it was given as a list.
  bool several() const { return std::holds_alternative<std::vector<Cell>>(value_); }
  /// The values; exactly one when not `several`. Lives as long as the label.
  std::span<const Cell> cells() const {
    if (const auto* cells = std::get_if<std::vector<Cell>>(&value_)) return *cells;
    return {std::get_if<Cell>(&value_), 1};
  }
  /// Whether nothing was given.
  bool missing() const;
  /// As Python prints it: `cat`, `1`, `1.5`, `True`, `None`; several joined by `;`.
  std::string text() const;

 private:
  std::variant<Cell, std::vector<Cell>> value_;
};

/// Names one or several columns: `"tags"`, `1`, `{"cat", "dog"}`. A value: copies share nothing. Threads: const calls
/// by any number at once.
class FASTCPP_API ColumnIds {
 public:
  /// One column.
  ColumnIds(ColumnId id) : ids_{std::move(id)} {}
  /// One column by its name.
  ColumnIds(const char* name) : ids_{ColumnId(name)} {}
  /// One column by its name.
  ColumnIds(std::string name) : ids_{ColumnId(std::move(name))} {}
  /// One column by its position.
  template <typename T>
  requires(std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char>)
      ColumnIds(T position)
      : ids_{ColumnId(position)} {}
  /// Several.
  ColumnIds(std::initializer_list<ColumnId> ids) : ids_(ids), several_(true) {}
  /// Several.
  ColumnIds(std::vector<ColumnId> ids) : ids_(std::move(ids)), several_(true) {}
  /// Several by their names.
  ColumnIds(const std::vector<std::string>& names)
      : ids_(names.begin(), names.end()), several_(true) {}

  /// The columns; exactly one when not `several`.
  const std::vector<ColumnId>& ids() const { return ids_; }
  /// Whether they were given as a list.
  bool several() const { return several_; }
  /// As fastai's messages name them: `0`, `name`, `['a', 'b']`.
  std::string text() const;

 private:
  std::vector<ColumnId> ids_;
  bool several_ = false;
};

/// Class names as the user gives them: texts, or whole numbers, which match and print as such. A value: copies share
/// nothing. Threads: const calls by any number at once.
class FASTCPP_API ClassNames {
 public:
  /// Texts or whole numbers.
  ClassNames(std::vector<Cell> names) : names_(std::move(names)) {}
  /// Texts.
  ClassNames(const std::vector<std::string>& names) : names_(names.begin(), names.end()) {}
  /// Texts or whole numbers: `{"cat", "dog"}`.
  ClassNames(std::initializer_list<Cell> names) : names_(names) {}
  /// In the order of the outputs.
  const std::vector<Cell>& names() const { return names_; }

 private:
  std::vector<Cell> names_;
};

/// How labels are read (fastai: the keyword arguments of `label_from_*`).
struct LabelOptions {
  std::optional<LabelKind> label_cls = {};  ///< absent: by the first training label
  /// Absent: the sorted distinct training labels. Of another type than the labels they match by their texts.
  std::optional<ClassNames> classes = {};
  std::optional<std::string> label_delim =
      {};                    ///< splits each text into several labels; one character
  bool one_hot = false;      ///< lists are numbers in 0..1, one for each of `classes`
  bool log = false;          ///< numbers: targets are their natural logarithms
  bool allow_empty = false;  ///< a missing label of several means none of them, instead of an error
};

}  // namespace fastcpp
