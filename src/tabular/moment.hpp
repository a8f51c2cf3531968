// Points in time as texts write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fastcpp/data/table.hpp"
#include "fastcpp/tabular/dates.hpp"

namespace fastcpp::inline v0 {

// A point in time: calendar and clock as written, and how far the clock was ahead of UTC.
struct Moment {
  std::int64_t day = 0;          // since 1970-01-01
  std::int64_t second = 0;       // of the day, 0 to 86399
  std::int64_t microsecond = 0;  // 0 to 999999
  std::optional<int> zone = {};  // seconds
  bool ambiguous = false;        // two numbers before the year: month or day first?
  bool only_day_first = false;   // of these, the first can be no month

  std::string iso() const;
  // Seconds since 1970-01-01 UTC, rounded down.
  std::int64_t elapsed() const { return day * 86400 + second - zone.value_or(0); }
};

std::optional<Moment> parse_moment(std::string_view text, DateOrder order);

// The dates of a column, nothing where missing. Throws as make_date.
std::vector<std::optional<Moment>> moments_of(const Column& column, DateOrder order);

}  // namespace fastcpp
