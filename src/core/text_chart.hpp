// Curves in letters: Braille patterns of two by four dots, or ASCII.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace fastcpp::inline v0 {

struct TextCurve {
  std::vector<std::pair<double, double>>
      points;              // x grows; where one is not finite the curve has a gap
  const char* color = "";  // a terminal's code
  char mark = '.';         // in ASCII
};

struct TextChartOptions {
  int rows = 8,
      columns = 60;  // of the whole, labels and the line of the x axis included; at least 3 x 20
  bool unicode = true, color = true;
  std::string unit = {};  // behind the last x
};

// The chart, `rows` lines of at most `columns` letters; empty where no curve has a point. A later curve lies above. A value
// far off the others does not flatten them: it lies on the edge.
std::vector<std::string> text_chart(const std::vector<TextCurve>& curves,
                                    const TextChartOptions& options);

}  // namespace fastcpp
