#include "fastcpp/data/label_list.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "data/regex.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"
#include "fastcpp/core/rng.hpp"

namespace fastcpp {

Split split_by_rand_pct(std::int64_t n, double valid_pct, std::uint32_t seed) {
  if (!(valid_pct >= 0 && valid_pct <= 1)) {
    throw ValueError("value.valid_pct",
                     fmt::format("valid_pct must lie in 0..1, found {}", valid_pct));
  }
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
  Split split;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Path below = items[i].lexically_relative(path);
    if (below.empty()) continue;
    const std::string folder = below.begin()->string();
    if (folder == train) split.train.push_back(static_cast<std::int64_t>(i));
    if (folder == valid) split.valid.push_back(static_cast<std::int64_t>(i));
  }
  return split;
}

std::vector<std::string> label_from_re(const std::vector<Path>& files, std::string_view pat) {
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
}

std::vector<std::string> label_from_folder(const std::vector<Path>& files) {
  std::vector<std::string> labels;
  labels.reserve(files.size());
  for (const auto& file : files) labels.push_back(file.parent_path().filename().string());
  return labels;
}

namespace {

using Index = std::unordered_map<std::string, std::int64_t>;

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

void warn_unknown(const std::vector<std::string>& unknown) {
  const auto shown = std::min<std::size_t>(5, unknown.size());
  log_warning(fmt::format(
      "You are labelling your items with CategoryList.\n"
      "Your valid set contained the following unknown labels, the corresponding items have been "
      "discarded.\n{}{}",
      fmt::join(unknown.begin(), unknown.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
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
  if (!classes) {
    std::set<std::string> names;
    for (auto i : split.train) names.insert(labels.at(static_cast<std::size_t>(i)));
    classes.emplace(names.begin(), names.end());
  }
  Index index;
  for (const auto& name : *classes) index.emplace(name, static_cast<std::int64_t>(index.size()));
  std::vector<std::string> unknown;
  LabelLists lists;
  lists.train = pick(items, labels, split.train, *classes, index, unknown);
  if (!unknown.empty()) {
    throw DataError("data.unknown_label",
                    fmt::format("the given classes ({}) miss the training label '{}'",
                                fmt::join(*classes, ", "), unknown.front()));
  }
  lists.valid = pick(items, labels, split.valid, *classes, index, unknown);
  if (!unknown.empty()) warn_unknown(unknown);
  if (lists.train.items.empty()) {
    log_warning(
        "Your training set is empty. If this is by design, pass `ignore_empty=True` to remove this "
        "warning.");
  }
  return lists;
}

}  // namespace fastcpp
