#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "class_map.hpp"
#include "column.hpp"
#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"
#include "fastcpp/core/python_text.hpp"
#include "fastcpp/data/labels.hpp"
#include "label_reader.hpp"

namespace fastcpp::inline v0 {
namespace {

using labels::ItemName;

// The labels of one set, as they were given.
struct Part {
  const std::vector<Label>& labels;
  const char* set;
  const std::function<std::string(std::int64_t)>& name;

  ItemName item(std::size_t i) const {
    return [this, i] {
      const auto position = static_cast<std::int64_t>(i);
      return name ? name(position) : fmt::format("item {} of the {} set", position, set);
    };
  }
};

[[noreturn]] void no_labels(const char* why) {
  throw DataError("data.no_labels",
                  fmt::format("Can't infer the type of your targets. \nIt's either because your "
                              "data source is empty or because your labelling function raised an "
                              "error. ({})",
                              why));
}

// Distinct training labels, numbered in the order of their appearance.
class Distinct {
 public:
  explicit Distinct(const LabelOptions& options) : options_(options) {}

  std::int64_t add(const Cell& cell, const ItemName& item) {
    if (is_missing(cell)) labels::missing_value(item);
    const bool sorted = !options_.classes;
    if (sorted && !cells_.empty() && is_text(cell) != is_text(cells_.front())) {
      const auto shown = [](const Cell& c) { return python_text(table::shown(cell_text(c))); };
      throw DataError(
          "data.cannot_sort",
          fmt::format("classes are all texts, or all numbers: {} has the {} {}, but an item before "
                      "it the {} {}; make them texts",
                      item(), is_text(cell) ? "text" : "number", shown(cell),
                      is_text(cell) ? "number" : "text", shown(cells_.front())));
    }
    const auto [found, is_new] =
        numbers_.try_emplace(cell, static_cast<std::int64_t>(cells_.size()));
    if (is_new) cells_.push_back(cell);
    return found->second;
  }

  const std::vector<Cell>& cells() const { return cells_; }

  // Those that the user gave, in the type of the labels where they are not among these as they are; else all, sorted.
  ClassNames classes() const {
    if (!options_.classes) return sorted_classes(cells_);
    auto classes = options_.classes->names();
    for (auto& cell : classes) {
      if (!cells_.empty() && !numbers_.contains(cell)) cell = class_like(cell, cells_.front());
    }
    return classes;
  }

 private:
  const LabelOptions& options_;
  std::unordered_map<Cell, std::int64_t, CellHash, CellEqual> numbers_;
  std::vector<Cell> cells_;
};

void warn_unknown(const char* set, const std::vector<std::string>& unknown) {
  constexpr std::size_t kMost = 5;
  const auto shown = static_cast<std::ptrdiff_t>(std::min(kMost, unknown.size()));
  log_warning(fmt::format(
      "You are labelling your items with CategoryList.\n"
      "Your {} set contained the following unknown labels, the corresponding items have been "
      "discarded.\n{}{}",
      set, fmt::join(unknown.begin(), unknown.begin() + shown, ", "),
      unknown.size() > kMost ? "..." : ""));
}

// The labels whose class is known, and where they stand.
std::shared_ptr<const Labels> known(const CategoryList& classes, const Part& part,
                                    std::vector<std::int64_t>& kept) {
  auto labels = classes.read(part.labels);
  const auto& y = static_cast<const CategoryList&>(*labels).indices();
  std::vector<std::string> unknown;
  std::unordered_set<std::string> seen;
  for (std::size_t i = 0; i < y.size(); ++i) {
    if (y[i] >= 0) {
      kept.push_back(static_cast<std::int64_t>(i));
    } else if (auto text = part.labels[i].text(); seen.insert(text).second) {
      unknown.push_back(std::move(text));
    }
  }
  if (unknown.empty()) return labels;
  warn_unknown(part.set, unknown);
  return labels->take(kept);
}

TrainValidLabels one_class(const Part& train, const Part& valid, const LabelOptions& options) {
  Distinct distinct(options);
  for (std::size_t i = 0; i < train.labels.size(); ++i) {
    const auto& label = train.labels[i];
    if (label.several()) {
      throw DataError("data.cannot_sort",
                      fmt::format("{} has a list of labels, but the items are of one class each; "
                                  "give .label_cls = LabelKind::kMultiCategory",
                                  train.item(i)()));
    }
    distinct.add(label.cells()[0], train.item(i));
  }
  const CategoryList classes({}, distinct.classes());
  TrainValidLabels result;
  result.train = known(classes, train, result.kept_train);
  result.valid = known(classes, valid, result.kept_valid);
  return result;
}

// Both parts with all their items.
TrainValidLabels whole(const Part& train, const Part& valid, std::shared_ptr<const Labels> train_y,
                       std::shared_ptr<const Labels> valid_y) {
  TrainValidLabels result{std::move(train_y), std::move(valid_y), {}, {}};
  result.kept_train.resize(train.labels.size());
  result.kept_valid.resize(valid.labels.size());
  std::iota(result.kept_train.begin(), result.kept_train.end(), 0);
  std::iota(result.kept_valid.begin(), result.kept_valid.end(), 0);
  return result;
}

TrainValidLabels several_classes(const Part& train, const Part& valid,
                                 const LabelOptions& options) {
  const auto& delim = options.label_delim;
  std::string first_empty;
  // Calls `index_of` with each label of each item, and keeps what it gives but for -1.
  const auto indices = [&](const Part& part, auto&& index_of) {
    std::vector<std::vector<std::int64_t>> y(part.labels.size());
    for (std::size_t i = 0; i < y.size(); ++i) {
      const auto item = part.item(i);
      const auto& label = part.labels[i];
      if (label.missing() && !options.allow_empty) labels::missing_value(item);
      for (const auto& cell : labels::labels_of(label, delim, item)) {
        const auto index = index_of(cell, item);
        if (index < 0) continue;
        y[i].push_back(index);
        if (delim && first_empty.empty() && cell == Cell("")) {
          first_empty = fmt::format("{} of {}", python_text(table::shown(label.text())), item());
        }
      }
    }
    return y;
  };
  Distinct distinct(options);
  auto y = indices(
      train, [&](const Cell& cell, const ItemName& item) { return distinct.add(cell, item); });
  const auto classes = distinct.classes();
  const ClassMap map(classes.names());
  std::vector<std::int64_t> final_index;
  for (const auto& cell : distinct.cells()) final_index.push_back(map.find(cell));
  for (auto& item : y) {
    for (auto& index : item) index = final_index[static_cast<std::size_t>(index)];
    std::erase(item, -1);
  }
  auto valid_y = indices(valid, [&](const Cell& cell, const ItemName&) { return map.find(cell); });
  if (map.find(Cell("")) >= 0 && !first_empty.empty()) {
    log_warning(
        fmt::format("The label {} holds an empty one, because label_delim stands at its "
                    "start or end or twice in a row. '' is a class now; take the surplus "
                    "delimiters away if it is not meant.",
                    first_empty));
  }
  return whole(train, valid, std::make_shared<MultiCategoryList>(std::move(y), classes, delim),
               std::make_shared<MultiCategoryList>(std::move(valid_y), classes, delim));
}

TrainValidLabels one_hot_classes(const Part& train, const Part& valid,
                                 const LabelOptions& options) {
  if (!options.classes) {
    throw ValueError("value.classes",
                     "Please provide class names with `classes=...`: one_hot "
                     "labels are numbers for each of .classes");
  }
  const auto count = options.classes->names().size();
  const auto list = [&](const Part& part) {
    std::vector<float> numbers;
    numbers.reserve(part.labels.size() * count);
    for (std::size_t i = 0; i < part.labels.size(); ++i) {
      if (part.labels[i].missing() && options.allow_empty) {
        numbers.resize(numbers.size() + count);
        continue;
      }
      labels::add_numbers(part.labels[i], count, numbers, part.item(i));
      labels::check_one_hot(numbers.data() + i * count, count, part.item(i));
    }
    return std::make_shared<MultiCategoryList>(
        MultiCategoryList::one_hot(std::move(numbers), *options.classes));
  };
  auto y = list(train);
  return whole(train, valid, std::move(y), list(valid));
}

void warn_of_logarithms(const Part& part, const std::vector<float>& numbers, std::size_t c) {
  const auto bad = [](float number) { return number <= 0; };
  const auto first = std::find_if(numbers.begin(), numbers.end(), bad);
  if (first == numbers.end()) return;
  const auto item = static_cast<std::size_t>(first - numbers.begin()) / c;
  log_warning(fmt::format(
      "The logarithm of {}, the label of {}, is {}: {} of {} numbers of the {} set have no finite "
      "one. Nothing can be learnt from these; leave them out, or leave .log out.",
      python_float(*first), part.item(item)(), python_float(std::log(*first)),
      std::count_if(numbers.begin(), numbers.end(), bad), numbers.size(), part.set));
}

TrainValidLabels float_labels(const Part& train, const Part& valid, const LabelOptions& options) {
  if (train.labels.empty()) no_labels("there is no training item");
  const auto c = std::max<std::size_t>(train.labels[0].cells().size(), 1);
  const auto list = [&](const Part& part) {
    std::vector<float> y;
    y.reserve(part.labels.size() * c);
    for (std::size_t i = 0; i < part.labels.size(); ++i) {
      labels::add_numbers(part.labels[i], c, y, part.item(i));
    }
    if (options.log) warn_of_logarithms(part, y, c);
    return std::make_shared<FloatList>(std::move(y), static_cast<std::int64_t>(c), options.log);
  };
  auto y = list(train);
  return whole(train, valid, std::move(y), list(valid));
}

}  // namespace

LabelKind label_kind_of(const std::vector<Label>& train, const LabelOptions& options) {
  if (options.label_cls) return *options.label_cls;
  if (options.label_delim) return LabelKind::kMultiCategory;
  if (train.empty()) no_labels("there is no training item");
  const auto& first = train[0];
  if (first.missing()) no_labels("the first training item has no label");
  if (first.several()) return LabelKind::kMultiCategory;
  return std::holds_alternative<double>(first.cells()[0]) ? LabelKind::kFloat
                                                          : LabelKind::kCategory;
}

TrainValidLabels make_labels(const std::vector<Label>& train_labels,
                             const std::vector<Label>& valid_labels, const LabelOptions& options,
                             const ItemNames& names) {
  const Part train{train_labels, "train", names.train}, valid{valid_labels, "valid", names.valid};
  return boundary([&] {
    const auto kind = label_kind_of(train.labels, options);
    if (kind == LabelKind::kFloat) return float_labels(train, valid, options);
    if (kind == LabelKind::kEmpty) {
      const EmptyLabelList none(0);
      return whole(train, valid, none.read(train.labels), none.read(valid.labels));
    }
    if (train.labels.empty() && !options.classes) no_labels("there is no training item");
    if (kind == LabelKind::kCategory) return one_class(train, valid, options);
    if (options.one_hot) return one_hot_classes(train, valid, options);
    if (options.label_delim) labels::check_delimiter(*options.label_delim);
    return several_classes(train, valid, options);
  });
}

}  // namespace fastcpp
