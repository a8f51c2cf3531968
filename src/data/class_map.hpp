// The classes that the label lists of a data set share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "fastcpp/data/label.hpp"

namespace fastcpp::inline v0 {

// Numbers are equal by value, whatever their type, as in Python; a text equals no number.
struct CellHash {
  std::size_t operator()(const Cell& cell) const;
};
struct CellEqual {
  bool operator()(const Cell& a, const Cell& b) const;
};

// Nothing, or NaN.
bool is_missing(const Cell& cell);
bool is_text(const Cell& cell);

// Types, names and indices of classes. Never changes.
class ClassMap {
 public:
  // Throws ValueError `value.classes` when a class is there twice or missing.
  explicit ClassMap(std::vector<Cell> cells);

  const std::vector<Cell>& cells() const { return cells_; }
  const std::vector<std::string>& names() const { return names_; }
  std::int64_t size() const { return static_cast<std::int64_t>(names_.size()); }
  // The name of class i; DataError `data.unknown_label` when there is no such one.
  const std::string& name(std::int64_t i) const;
  // As Python prints a list.
  std::string text() const;
  // -1 when it is no class.
  std::int64_t find(const Cell& cell) const;

 private:
  std::vector<Cell> cells_;
  std::vector<std::string> names_;
  std::unordered_map<Cell, std::int64_t, CellHash, CellEqual> index_;
};

// Distinct cells, of which none is missing: texts by code point, numbers by value. All must be texts, or none.
std::vector<Cell> sorted_classes(std::vector<Cell> cells);

// A class in the type of a label where its text allows it: `"1"` becomes 1 where labels are whole numbers.
Cell class_like(const Cell& given, const Cell& label);

}  // namespace fastcpp
