#include "fastcpp/data/label.hpp"

#include "class_map.hpp"
#include "fastcpp/core/python_text.hpp"

namespace fastcpp::inline v0 {

bool Label::missing() const {
  return !several() && is_missing(cells()[0]);
}

std::string Label::text() const {
  std::string text;
  bool first = true;
  for (const auto& cell : cells()) {
    if (!first) text += ';';
    first = false;
    text += std::holds_alternative<std::monostate>(cell) ? "None" : cell_text(cell);
  }
  return text;
}

std::string ColumnIds::text() const {
  if (!several_) return ids_.front().text();
  std::string text;
  for (const auto& id : ids_) {
    text += (text.empty() ? "" : ", ") + (id.name() ? python_text(*id.name()) : id.text());
  }
  return "[" + text + "]";
}

}  // namespace fastcpp
