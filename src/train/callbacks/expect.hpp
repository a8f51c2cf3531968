// How callbacks refuse arguments.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <string>

#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0 {

// Throws a ValueError that names the argument, its range and what was found, unless it fits.
template <typename T>
void expect(bool fits, const char* code, const char* argument, const char* range, const T& found) {
  if (!fits) {
    throw ValueError(code, fmt::format("{}: expected {}, found {}", argument, range, found));
  }
}

inline bool positive(double value) {
  return std::isfinite(value) && value > 0;
}

inline bool not_negative(double value) {
  return std::isfinite(value) && value >= 0;
}

// A momentum that can be divided by 1 - itself.
inline bool below_one(double value) {
  return value >= 0 && value < 1;
}

// The name of a file that a callback writes.
inline void expect_name(const char* argument, const std::string& name) {
  if (name.empty()) {
    throw ValueError("value.callback_file",
                     fmt::format("{}: expected the name of a file, found an empty text", argument));
  }
}

// The epoch at which a training goes on.
inline void expect_start_epoch(int start_epoch, int n_epochs) {
  if (start_epoch < 0 || (start_epoch > 0 && start_epoch >= n_epochs)) {
    throw ValueError("value.start_epoch",
                     fmt::format("start_epoch: expected 0 <= start_epoch < {} (the epochs of the "
                                 "fit), found {}; epochs count from 0",
                                 n_epochs, start_epoch));
  }
}

}  // namespace fastcpp
