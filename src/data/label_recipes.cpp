// Kinds of labels in words that a file can hold, and back.
#include <fmt/format.h>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/data/labels.hpp"
#include "fastcpp/io/registry.hpp"

namespace fastcpp::inline v0 {
namespace {

Value value_of(const std::vector<Cell>& cells) {
  auto list = Value::list();
  for (const auto& cell : cells) list.append(to_value(cell));
  return list;
}

ClassNames classes_of(const Value& list) {
  std::vector<Cell> cells;
  for (const auto& one : list.items()) cells.push_back(to_cell(one));
  return ClassNames(std::move(cells));
}

using LabelsPtr = std::shared_ptr<const Labels>;

LabelsPtr category_list(const Value& options) {
  return std::make_shared<CategoryList>(std::vector<std::int64_t>{},
                                        classes_of(options.at("classes")));
}

LabelsPtr multi_category_list(const Value& options) {
  const auto classes = classes_of(options.at("classes"));
  if (options.at("one_hot").as_bool()) {
    return std::make_shared<MultiCategoryList>(MultiCategoryList::one_hot({}, classes));
  }
  const auto& delim = options.at("label_delim");
  return std::make_shared<MultiCategoryList>(
      std::vector<std::vector<std::int64_t>>{}, classes,
      delim.is_none() ? std::nullopt : std::optional(delim.as_string()));
}

LabelsPtr float_list(const Value& options) {
  const auto c = options.at("c").as_int();
  if (c < 1) {
    throw ValueError("value.labels", fmt::format("FloatList: c must be at least 1, found {}", c));
  }
  return std::make_shared<FloatList>(std::vector<float>{}, c, options.at("log").as_bool());
}

LabelsPtr empty_label_list(const Value&) {
  return std::make_shared<EmptyLabelList>(0);
}

detail::Registry<LabelsPtr>& registry() {
  static detail::Registry<LabelsPtr> all("kind of labels", "register_labels",
                                         {{"CategoryList", category_list},
                                          {"MultiCategoryList", multi_category_list},
                                          {"FloatList", float_list},
                                          {"EmptyLabelList", empty_label_list}});
  return all;
}

}  // namespace

Recipe Labels::recipe() const {
  throw DataError("data.cannot_export",
                  fmt::format("labels of the kind {} do not say how a file can make them again: "
                              "override Labels::recipe, and name its maker by register_labels",
                              name()));
}

Recipe CategoryList::recipe() const {
  return {name(), Value::dict({{"classes", value_of(class_cells())}})};
}

Recipe MultiCategoryList::recipe() const {
  return {name(), Value::dict({{"classes", value_of(class_cells())},
                               {"one_hot", one_hot_},
                               {"label_delim", label_delim_ ? Value(*label_delim_) : Value()}})};
}

Recipe FloatList::recipe() const {
  return {name(), Value::dict({{"c", c_}, {"log", log_}})};
}

Recipe EmptyLabelList::recipe() const {
  return {name()};
}

void register_labels(std::string name, LabelsMaker make) {
  boundary([&] { registry().add(std::move(name), std::move(make)); });
}

LabelsPtr make_labels_of(const Recipe& recipe) {
  return boundary([&] {
    auto labels = registry().make(recipe);
    if (!labels) {
      throw ValueError("value.labels",
                       fmt::format("the maker of the labels '{}' gave none (null)", recipe.name));
    }
    return labels;
  });
}

}  // namespace fastcpp
