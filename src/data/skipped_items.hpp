// The items that the loaders of one handle left out.
#pragma once

#include <cstdint>
#include <exception>
#include <map>
#include <mutex>
#include <vector>

#include "fastcpp/data/dataset.hpp"
#include "fastcpp/data/on_error.hpp"

namespace fastcpp::inline v0 {

// An item and the error that loading it gave.
SkippedItem skipped_item(const Dataset& dataset, std::int64_t index,
                         const std::exception_ptr& error);

// Each item once; any thread may call.
class SkippedItems {
 public:
  // Warns of items that are new, as long as they are few.
  void add(const std::vector<SkippedItem>& items, OnError policy);
  // Warns of how many more there were.
  void tell_rest();
  // By index.
  std::vector<SkippedItem> list() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::int64_t, SkippedItem> items_;
  std::int64_t untold_ = 0;
};

}  // namespace fastcpp
