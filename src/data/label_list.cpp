#include "fastcpp/data/label_list.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "data/regex.hpp"
#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/data/files.hpp"

namespace fastcpp::inline v0 {
namespace {

void check_indices(const std::vector<std::int64_t>& indices, std::size_t items, const char* set) {
  for (const auto i : indices) {
    if (i >= 0 && static_cast<std::size_t>(i) < items) continue;
    throw ValueError("value.index", fmt::format("the {} indices hold {}, but there are {} items, "
                                                "counted from 0",
                                                set, i, items));
  }
}

template <typename T>
std::vector<T> taken(const std::vector<T>& all, const std::vector<std::int64_t>& indices) {
  std::vector<T> some;
  some.reserve(indices.size());
  for (const auto i : indices) some.push_back(all[static_cast<std::size_t>(i)]);
  return some;
}

[[noreturn]] void throw_length(std::size_t items, std::int64_t labels) {
  throw DataError(
      "data.length",
      fmt::format("expected one label per item, found {} items and {} labels", items, labels));
}

}  // namespace

std::vector<std::string> label_from_re(const std::vector<Path>& files, std::string_view pat) {
  return boundary([&] {
    const Regex regex(pat);
    std::vector<std::string> labels;
    labels.reserve(files.size());
    for (const auto& file : files) {
      auto label = regex.search(file.generic_string());
      if (!label) {
        throw DataError("data.no_match",
                        fmt::format("Failed to find \"{}\" in \"{}\"", pat, file.generic_string()));
      }
      labels.push_back(std::move(*label));
    }
    return labels;
  });
}

std::vector<std::string> label_from_folder(const std::vector<Path>& files) {
  std::vector<std::string> labels;
  labels.reserve(files.size());
  for (const auto& file : files) labels.push_back(file.parent_path().filename().string());
  return labels;
}

LabelList::LabelList() : y(std::make_shared<EmptyLabelList>(0)) {}

LabelList::LabelList(Paths items_, std::shared_ptr<const Labels> y_)
    : items(std::move(items_)), y(std::move(y_)) {
  if (!y) throw ValueError("value.labels", "a list of items needs labels, found none (null)");
  if (y->size() != size()) throw_length(items.size(), y->size());
}

LabelList::LabelList(Paths items_, std::vector<std::int64_t> y_, std::vector<std::string> classes)
    : LabelList(std::move(items_),
                std::make_shared<CategoryList>(std::move(y_), ClassNames(classes))) {}

LabelList LabelList::take(const std::vector<std::int64_t>& indices) const {
  check_indices(indices, items.size(), "chosen");
  return {items.take(indices), y->take(indices)};
}

Table LabelList::to_df(const Path& path) const {
  return boundary([&] {
    std::vector<Cell> files, labels;
    for (std::int64_t i = 0; i < size(); ++i) {
      files.emplace_back(relative_below(items[static_cast<std::size_t>(i)], path));
      labels.emplace_back(label(i));
    }
    return Table({Column("x", std::move(files)), Column("y", std::move(labels))});
  });
}

void LabelList::to_csv(const Path& path, const Path& dest) const {
  to_df(path).to_csv(path / dest);
}

void LabelLists::add_test(Paths items) {
  const auto n = static_cast<std::int64_t>(items.size());
  test.emplace(std::move(items), std::make_shared<EmptyLabelList>(n));
}

void LabelLists::add_test(Paths items, const std::vector<Label>& labels) {
  if (labels.size() == 1 && items.size() != 1) {
    const std::vector<Label> all(items.size(), labels.front());
    return add_test(std::move(items), all);
  }
  if (labels.size() != items.size()) {
    throw_length(items.size(), static_cast<std::int64_t>(labels.size()));
  }
  test.emplace(std::move(items), train.y->read(labels));
}

void LabelLists::filter_by_func(const DropPair& drop) {
  if (!drop) throw ValueError("value.filter", "the function that filters is empty (null)");
  const auto filter = [&](LabelList& list) {
    std::vector<std::int64_t> kept;
    for (std::int64_t i = 0; i < list.size(); ++i) {
      if (!drop(list.items[static_cast<std::size_t>(i)], list.y->encode(i))) kept.push_back(i);
    }
    list = list.take(kept);
  };
  boundary([&] {
    filter(train);
    filter(valid);
    if (test) filter(*test);
  });
}

LabelLists label_lists(const Paths& items, const std::vector<Label>& labels, const Split& split,
                       const LabelOptions& options) {
  return boundary([&] {
    if (items.size() != labels.size()) {
      throw_length(items.size(), static_cast<std::int64_t>(labels.size()));
    }
    if (split.train.empty() && split.valid.empty()) {
      throw DataError("data.empty",
                      "there is no item to train or validate on: the list of files is empty, or no "
                      "file lies in the training or validation folder");
    }
    check_indices(split.train, items.size(), "training");
    check_indices(split.valid, items.size(), "validation");
    auto made = make_labels(taken(labels, split.train), taken(labels, split.valid), options);
    const auto list = [&](const std::vector<std::int64_t>& indices,
                          const std::vector<std::int64_t>& kept, std::shared_ptr<const Labels> y) {
      return LabelList(items.take(taken(indices, kept)), std::move(y));
    };
    return LabelLists{list(split.train, made.kept_train, std::move(made.train)),
                      list(split.valid, made.kept_valid, std::move(made.valid))};
  });
}

LabelLists make_label_lists(const Paths& items, const std::vector<std::string>& labels,
                            const Split& split, std::optional<std::vector<std::string>> classes) {
  LabelOptions options{.label_cls = LabelKind::kCategory};
  if (classes) options.classes.emplace(*classes);
  return label_lists(items, {labels.begin(), labels.end()}, split, options);
}

}  // namespace fastcpp
