/// \file
/// Values as JSON, and JSON as values.
#pragma once

#include <cstddef>
#include <limits>
#include <string>
#include <string_view>

#include "fastcpp/export.hpp"
#include "fastcpp/io/value.hpp"

namespace fastcpp::inline v0 {

/// How `to_json` writes.
struct ToJsonOptions {
  int indent = 1;  ///< blanks a level; -1: all in one line
};

/// A value as JSON; dicts keep their order, tuples become lists. Numbers are written so that they read back the same.
/// \throws ValueError `value.json` on what JSON cannot hold: tensors, bytes, slices, numbers that are not finite or exceed 64
/// bits, keys that are no texts, texts that are not UTF-8; the message names the place, or the text
FASTCPP_API std::string to_json(const Value& value, const ToJsonOptions& options = {});

/// How `from_json` reads.
struct FromJsonOptions {
  /// Most values that are made, however deep they stand: each takes more memory than its text may have.
  std::size_t max_values = std::numeric_limits<std::size_t>::max();
};

/// JSON as a value: objects are dicts, arrays lists; a number with a point or an exponent is a float.
/// \throws FormatError `json.bad` with the offset on a text that is no JSON, `json.too_deep`, `json.number` on a whole number
/// of more than 64 bits, `json.repeated_key`, `json.too_many` values
FASTCPP_API Value from_json(std::string_view text, const FromJsonOptions& options = {});

}  // namespace fastcpp
