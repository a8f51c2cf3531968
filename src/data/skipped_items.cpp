#include "data/skipped_items.hpp"

#include <fmt/format.h>

#include <utility>

#include "fastcpp/core/log.hpp"

namespace fastcpp::inline v0 {
namespace {

constexpr std::size_t kMostWarnings = 10;

}  // namespace

SkippedItem skipped_item(const Dataset& dataset, std::int64_t index,
                         const std::exception_ptr& error) {
  SkippedItem item{index, fmt::format("item {}", index), "an exception of an unknown type"};
  try {
    item.name = dataset.item_name(index);
  } catch (...) {  // the item's own error is the one to tell
  }
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    item.why = e.what();
  } catch (...) {  // stays unknown
  }
  return item;
}

void SkippedItems::add(const std::vector<SkippedItem>& items, OnError policy) {
  std::vector<SkippedItem> told;
  {
    const std::scoped_lock lock(mutex_);
    for (const auto& item : items) {
      if (!items_.emplace(item.index, item).second) continue;
      if (items_.size() <= kMostWarnings) {
        told.push_back(item);
      } else {
        ++untold_;
      }
    }
  }
  for (const auto& item : told) {
    log_warning(fmt::format(
        "'{}' could not be loaded and {}: {}", item.name,
        policy == OnError::kReplace ? "is replaced by another item" : "is left out", item.why));
  }
}

void SkippedItems::tell_rest() {
  std::int64_t count = 0;
  {
    const std::scoped_lock lock(mutex_);
    count = std::exchange(untold_, 0);
  }
  if (count == 0) return;
  log_warning(
      fmt::format("{} more items could not be loaded either; skipped() of the loader lists "
                  "them all",
                  count));
}

std::vector<SkippedItem> SkippedItems::list() const {
  const std::scoped_lock lock(mutex_);
  std::vector<SkippedItem> list;
  list.reserve(items_.size());
  for (const auto& [index, item] : items_) list.push_back(item);
  return list;
}

}  // namespace fastcpp
