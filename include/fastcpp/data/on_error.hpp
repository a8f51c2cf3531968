/// \file
/// What a loader does with items that cannot be loaded.
#pragma once

#include <cstdint>
#include <string>

#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// What a loader does with an item that cannot be loaded. An item is at fault when its data set throws a DataError (also
/// ImageError), an IoError, a FormatError, or an exception that is none of fastcpp's; anything else, a lack of memory
/// first of all, is thrown in every case.
enum class OnError {
  kRaise,  ///< the error is thrown by the call that would give the batch
  /// The item is left out and its batch is smaller; a batch that loses all its items is not handed out. For validation
  /// and prediction: a training batch of a single item left over is too small for batch norm
  kSkip,
  /// Another item of the data set stands in, the same one in every pass, drawn from the loader's seed and the item. When ten
  /// of these cannot be loaded either, the item's own error is thrown
  kReplace,
};

/// An item that a loader left out or replaced.
struct SkippedItem {
  std::int64_t index = 0;  ///< in the data set
  std::string name;        ///< its name in the data set, for example its path
  std::string why;         ///< the error's text
};

}  // namespace fastcpp
