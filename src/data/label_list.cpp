#include "fastcpp/data/label_list.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "data/regex.hpp"
#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"
#include "fastcpp/core/rng.hpp"
#include "fastcpp/data/files.hpp"

namespace fastcpp {

Split split_by_rand_pct(std::int64_t n, double valid_pct, std::uint32_t seed) {
  if (!(valid_pct >= 0 && valid_pct <= 1)) {
    throw ValueError("value.valid_pct",
                     fmt::format("valid_pct must lie in 0..1, found {}", valid_pct));
  }
  if (n < 0)
    throw ValueError("value.items", fmt::format("a number of items must be >= 0, found {}", n));
  const auto order = numpy_permutation(seed, n);
  const auto cut = static_cast<std::ptrdiff_t>(valid_pct * static_cast<double>(n));
  Split split;
  split.valid.assign(order.begin(), order.begin() + cut);
  split.train.assign(order.begin() + cut, order.end());
  std::sort(split.train.begin(), split.train.end());
  return split;
}

Split split_by_folder(const std::vector<Path>& items, const Path& path, const std::string& train,
                      const std::string& valid) {
  return boundary([&] {
    SubFolder in_train(path, train), in_valid(path, valid);
    // Names decide where they can. Where one is written from the root and the other is not, they say nothing.
    const auto holds_really = [](SubFolder& folder, const std::string& given, const Path& item) {
      const bool comparable =
          Path(given).is_relative() && item.is_absolute() == folder.path().is_absolute();
      return !comparable && folder.holds(item);
    };
    Split split;
    for (std::size_t i = 0; i < items.size(); ++i) {
      const auto& item = items[i];
      if (in_train.holds_as_written(item)) {
        split.train.push_back(static_cast<std::int64_t>(i));
      } else if (in_valid.holds_as_written(item)) {
        split.valid.push_back(static_cast<std::int64_t>(i));
      } else if (holds_really(in_train, train, item)) {
        split.train.push_back(static_cast<std::int64_t>(i));
      } else if (holds_really(in_valid, valid, item)) {
        split.valid.push_back(static_cast<std::int64_t>(i));
      }
    }
    return split;
  });
}

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

namespace {

using Index = std::unordered_map<std::string, std::int64_t>;

void check_indices(const std::vector<std::int64_t>& indices, std::size_t items, const char* set) {
  for (const auto i : indices) {
    if (i >= 0 && static_cast<std::size_t>(i) < items) continue;
    throw ValueError("value.index", fmt::format("the {} indices hold {}, but there are {} items, "
                                                "counted from 0",
                                                set, i, items));
  }
}

LabelList pick(const std::vector<Path>& items, const std::vector<std::string>& labels,
               const std::vector<std::int64_t>& indices, const std::vector<std::string>& classes,
               const Index& index, std::vector<std::string>& unknown) {
  LabelList list;
  list.classes = classes;
  for (auto i : indices) {
    const auto at = static_cast<std::size_t>(i);
    const auto found = index.find(labels.at(at));
    if (found == index.end()) {
      if (std::find(unknown.begin(), unknown.end(), labels[at]) == unknown.end()) {
        unknown.push_back(labels[at]);
      }
      continue;
    }
    list.items.push_back(items.at(at));
    list.y.push_back(found->second);
  }
  return list;
}

void warn_unknown(const char* set, const std::vector<std::string>& unknown) {
  const auto shown = std::min<std::size_t>(5, unknown.size());
  log_warning(fmt::format(
      "You are labelling your items with CategoryList.\n"
      "Your {} set contained the following unknown labels, the corresponding items have been "
      "discarded.\n{}{}",
      set, fmt::join(unknown.begin(), unknown.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
      unknown.size() > shown ? "..." : ""));
}

}  // namespace

LabelLists make_label_lists(const std::vector<Path>& items, const std::vector<std::string>& labels,
                            const Split& split, std::optional<std::vector<std::string>> classes) {
  if (items.size() != labels.size()) {
    throw DataError("data.length", fmt::format("expected one label per item, found {} items and {} "
                                               "labels",
                                               items.size(), labels.size()));
  }
  if (split.train.empty() && split.valid.empty()) {
    throw DataError("data.empty",
                    "there is no item to train or validate on: the list of files is empty, or no "
                    "file lies in the training or validation folder");
  }
  check_indices(split.train, items.size(), "training");
  check_indices(split.valid, items.size(), "validation");
  if (!classes) {
    std::set<std::string> names;
    for (auto i : split.train) names.insert(labels.at(static_cast<std::size_t>(i)));
    classes.emplace(names.begin(), names.end());
  }
  Index index;
  for (const auto& name : *classes) {
    if (!index.emplace(name, static_cast<std::int64_t>(index.size())).second) {
      throw ValueError("value.classes",
                       fmt::format("the classes hold '{}' twice: each class has one index", name));
    }
  }
  LabelLists lists;
  const auto fill = [&](const char* name, const std::vector<std::int64_t>& indices) {
    std::vector<std::string> unknown;
    auto list = pick(items, labels, indices, *classes, index, unknown);
    if (!unknown.empty()) warn_unknown(name, unknown);
    return list;
  };
  lists.train = fill("train", split.train);
  lists.valid = fill("valid", split.valid);
  if (lists.train.items.empty()) {
    log_warning("The training set is empty: nothing can be trained.");
  }
  return lists;
}

std::string LabelList::label(std::int64_t i) const {
  if (!labelled) return {};
  if (i < 0 || static_cast<std::size_t>(i) >= y.size()) {
    throw ValueError(
        "value.index",
        fmt::format("there is no item {}: the list has {}, counted from 0", i, y.size()));
  }
  const auto at = y[static_cast<std::size_t>(i)];
  if (at < 0 || static_cast<std::size_t>(at) >= classes.size()) {
    throw DataError("data.unknown_label", fmt::format("item {} has the label {}, but there are {} "
                                                      "classes, counted from 0",
                                                      i, at, classes.size()));
  }
  return classes[static_cast<std::size_t>(at)];
}

}  // namespace fastcpp
