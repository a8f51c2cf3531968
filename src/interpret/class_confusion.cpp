#include "fastcpp/interpret/class_confusion.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/vision/image_data_bunch.hpp"

namespace fastcpp::inline v0 {
namespace {

std::vector<ConfusedClasses::Pair> pairs_of(const std::vector<std::string>& names) {
  std::vector<ConfusedClasses::Pair> pairs;
  for (const auto& actual : names) {
    for (const auto& predicted : names) {
      if (actual != predicted) pairs.emplace_back(actual, predicted);
    }
  }
  return pairs;
}

std::vector<std::string> texts_of(std::initializer_list<ConfusedClasses::Name> names) {
  std::vector<std::string> texts;
  for (const auto& name : names) texts.push_back(name.text);
  return texts;
}

std::int64_t class_index(const std::vector<std::string>& classes, const std::string& name) {
  const auto found = std::find(classes.begin(), classes.end(), name);
  if (found == classes.end()) {
    throw ValueError("value.class_name", fmt::format("there is no class '{}'; there are: {}", name,
                                                     fmt::join(classes, ", ")));
  }
  return found - classes.begin();
}

}  // namespace

ConfusedClasses::ConfusedClasses(const std::vector<std::string>& names) : pairs_(pairs_of(names)) {}
ConfusedClasses::ConfusedClasses(std::initializer_list<Name> names)
    : pairs_(pairs_of(texts_of(names))) {}

ClassConfusion::ClassConfusion(ClassificationInterpretation interp,
                               const ConfusedClasses& classlist,
                               const ClassConfusionOptions& options)
    : interp_(std::move(interp)), options_(options) {
  if (options.k < 1) {
    throw ValueError("value.k", fmt::format("k must be at least 1, found {}", options.k));
  }
  boundary([&] {
    const auto data = interp_.learn().data();
    const auto& set = image_dataset(data, interp_.ds_type());
    std::set<std::string> names;
    for (const auto& [actual, predicted] : classlist.pairs()) names.insert({actual, predicted});
    for (const auto& name : names) class_index(data.classes(), name);
    const std::set<ConfusedClasses::Pair> wanted(classlist.pairs().begin(),
                                                 classlist.pairs().end());
    // The items of each pair, largest loss first, at most k.
    const auto truth = interp_.y_true().to(torch::kLong).contiguous(),
               predictions = interp_.pred_class().contiguous();
    std::map<std::pair<std::int64_t, std::int64_t>, std::vector<std::int64_t>> by_pair;
    for (const auto index : interp_.top_losses().indices) {
      auto& items = by_pair[{truth.data_ptr<std::int64_t>()[index],
                             predictions.data_ptr<std::int64_t>()[index]}];
      if (static_cast<std::int64_t>(items.size()) < options.k) items.push_back(index);
    }
    for (const auto& found : interp_.most_confused()) {
      const ConfusedClasses::Pair pair(found.actual, found.predicted);
      if (!wanted.contains(pair)) continue;
      ConfusionTab tab{.title = found.actual + " | " + found.predicted};
      const auto actual = class_index(data.classes(), found.actual),
                 predicted = class_index(data.classes(), found.predicted);
      for (const auto index : by_pair[{actual, predicted}]) {
        tab.indices.push_back(index);
        tab.files.push_back(Path(set.item_name(index)).filename().string());
      }
      if (options.k < 4 || found.count < 4) {
        tab.rows = tab.cols = 2;
      } else {
        const auto k = static_cast<int>(std::min<std::int64_t>(options.k, 1'000'000));
        tab.cols = static_cast<int>(std::ceil(std::sqrt(k)));
        tab.rows = (k + tab.cols - 1) / tab.cols;
      }
      tabs_.push_back(std::move(tab));
    }
  });
}

Figure ClassConfusion::figure(std::size_t tab) const {
  if (tab >= tabs_.size()) {
    throw ValueError("value.index", fmt::format("there are {} tabs, found {}", tabs_.size(), tab));
  }
  return boundary([&] {
    const auto& shown = tabs_[tab];
    const auto data = interp_.learn().data();
    const auto& set = image_dataset(data, interp_.ds_type());
    Figure figure(
        {.width = options_.figsize.first, .height = options_.figsize.second, .dpi = options_.dpi});
    figure.suptitle(shown.title);
    auto cells = figure.subplots(shown.rows, shown.cols);
    for (auto& cell : cells) cell.axis_off();
    for (std::size_t i = 0; i < shown.indices.size(); ++i) {
      Rng rng(0);
      cells[i].imshow(to_picture(set.get(shown.indices[i], rng).x.one("a picture")));
      cells[i].title(shown.files[i]);
    }
    return figure;
  });
}

}  // namespace fastcpp
