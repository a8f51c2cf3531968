// Data to places: ranges, ticks and their texts.
#pragma once

#include <string>
#include <vector>

#include "plot/model.hpp"

namespace fastcpp::inline v0::plot_detail {

// Values beyond this would overflow when ranges are subtracted.
bool drawable(double value);

struct Range {
  double lo = 0, hi = 1;  // as the axis runs: lo may be the larger one
  bool log = false;

  // 0 at lo, 1 at hi; NaN for what a logarithmic axis cannot show.
  double fraction(double value) const;
};

struct Ranges {
  Range x, y;
};
Ranges data_ranges(const AxesModel& axes);

// Whether one unit is as long on both axes: with a picture or a matrix.
bool keeps_aspect(const AxesModel& axes);

struct Tick {
  double value;
  std::string text;
  bool minor = false;
};

struct Ticks {
  std::vector<Tick> ticks;
  std::string factor;  // "1e−6" when all numbers are to be multiplied by it
};

// At most about `most` labelled ticks inside the range.
Ticks number_ticks(const Range& range, int most, const std::string& format);

}  // namespace fastcpp::plot_detail
