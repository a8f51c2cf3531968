#include "core/text_chart.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <optional>

namespace fastcpp::inline v0 {
namespace {

constexpr int kLabelWidth = 9, kAxisWidth = 2;

// Dots in cells of one letter each.
class DotCanvas {
 public:
  DotCanvas(int rows, int columns, bool unicode)
      : rows_(rows),
        columns_(columns),
        unicode_(unicode),
        cells_(static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns)) {}

  int width() const { return columns_ * (unicode_ ? 2 : 1); }
  int height() const { return rows_ * (unicode_ ? 4 : 1); }

  void dot(int x, int y, int curve) {
    if (x < 0 || y < 0 || x >= width() || y >= height()) return;
    static constexpr std::uint8_t kDots[2][4] = {{0x01, 0x02, 0x04, 0x40},
                                                 {0x08, 0x10, 0x20, 0x80}};
    auto& cell = unicode_ ? at(y / 4, x / 2) : at(y, x);
    cell.dots = static_cast<std::uint8_t>(cell.dots | (unicode_ ? kDots[x % 2][y % 4] : 1));
    cell.curve = curve;
  }

  // Bresenham's line, both ends included.
  void line(int x0, int y0, int x1, int y1, int curve) {
    const int dx = std::abs(x1 - x0), dy = -std::abs(y1 - y0);
    const int step_x = x0 < x1 ? 1 : -1, step_y = y0 < y1 ? 1 : -1;
    for (int error = dx + dy;;) {
      dot(x0, y0, curve);
      if (x0 == x1 && y0 == y1) return;
      const int twice = 2 * error;
      if (twice >= dy) {
        error += dy;
        x0 += step_x;
      }
      if (twice <= dx) {
        error += dx;
        y0 += step_y;
      }
    }
  }

  std::string row(int row, const std::vector<TextCurve>& curves, bool color) const {
    int last = columns_ - 1;
    while (last >= 0 && at(row, last).curve < 0) --last;
    std::string text;
    int current = -1;
    for (int column = 0; column <= last; ++column) {
      const auto& cell = at(row, column);
      if (cell.curve < 0) {
        text += ' ';
        continue;
      }
      const auto& curve = curves[static_cast<std::size_t>(cell.curve)];
      if (color && cell.curve != current) text += curve.color;
      current = cell.curve;
      if (!unicode_) {
        text += curve.mark;
        continue;
      }
      // U+2800 and the dots.
      text += '\xe2';
      text += static_cast<char>(0xa0 | (cell.dots >> 6));
      text += static_cast<char>(0x80 | (cell.dots & 0x3f));
    }
    if (color && current >= 0) text += "\x1b[0m";
    return text;
  }

 private:
  struct Cell {
    std::uint8_t dots = 0;
    int curve = -1;
  };
  std::size_t index(int row, int column) const {
    return static_cast<std::size_t>(row) * static_cast<std::size_t>(columns_) +
           static_cast<std::size_t>(column);
  }
  Cell& at(int row, int column) { return cells_[index(row, column)]; }
  const Cell& at(int row, int column) const { return cells_[index(row, column)]; }

  int rows_, columns_;
  bool unicode_;
  std::vector<Cell> cells_;
};

struct ChartRange {
  double low = 0, high = 0;

  void take(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  // Of `count` dots the one nearest to a value; beyond the range, the last one.
  int place(double value, int count) const {
    if (high == low) return 0;
    const double share = std::clamp((value - low) / (high - low), 0.0, 1.0);
    return static_cast<int>(std::lround(share * (count - 1)));
  }
};

bool is_finite(const std::pair<double, double>& point) {
  return std::isfinite(point.first) && std::isfinite(point.second);
}

void widen(std::optional<ChartRange>& range, double value) {
  if (!range) range = ChartRange{value, value};
  range->take(value);
}

// Of fewer points it cannot be said which of them is far off.
constexpr std::size_t kFewPoints = 4;

// What is shown of a curve: the values no further from its quartiles than three times their distance (Tukey: Exploratory Data
// Analysis, 1977: "far out"). All where the quartiles are the same.
std::optional<ChartRange> usual_range(std::vector<double> values) {
  if (values.size() < kFewPoints) return std::nullopt;
  std::sort(values.begin(), values.end());
  const auto last = values.size() - 1;
  const double first = values[last / 4], third = values[3 * last / 4];
  const double far = first == third ? values.back() - values.front() : 3 * (third - first);
  std::optional<ChartRange> range;
  for (const double value : values) {
    if (value >= first - far && value <= third + far) widen(range, value);
  }
  return range;
}

// The range of all curves together. Those of few points widen what the others take by three times as much on each side, no
// more.
std::optional<ChartRange> shown_range(const std::vector<std::vector<double>>& curves) {
  std::optional<ChartRange> many;
  for (const auto& values : curves) {
    const auto range = usual_range(values);
    if (!range) continue;
    widen(many, range->low);
    widen(many, range->high);
  }
  auto all = many;
  const double most = many ? 3 * (many->high - many->low) : 0;
  for (const auto& values : curves) {
    if (values.size() >= kFewPoints) continue;
    for (const double value : values) {
      const bool near = most == 0 || (value >= many->low - most && value <= many->high + most);
      if (near) widen(all, value);
    }
  }
  return all;
}

}  // namespace

std::vector<std::string> text_chart(const std::vector<TextCurve>& curves,
                                    const TextChartOptions& options) {
  std::optional<ChartRange> x;
  std::vector<std::vector<double>> heights(curves.size());
  for (std::size_t c = 0; c < curves.size(); ++c) {
    for (const auto& point : curves[c].points) {
      if (!is_finite(point)) continue;
      widen(x, point.first);
      heights[c].push_back(point.second);
    }
  }
  if (!x) return {};
  auto y = shown_range(heights);
  // A flat curve lies in the middle.
  if (y->low == y->high) {
    const double room = y->low == 0 ? 1 : std::abs(y->low) / 10;
    y = ChartRange{y->low - room, y->high + room};
  }

  const int rows = std::max(2, options.rows - 1);
  const int columns = std::max(8, options.columns - kLabelWidth - kAxisWidth);
  DotCanvas canvas(rows, columns, options.unicode);
  for (std::size_t c = 0; c < curves.size(); ++c) {
    bool joined = false;  // to the point before
    int from_x = 0, from_y = 0;
    for (const auto& point : curves[c].points) {
      if (!is_finite(point)) {
        joined = false;
        continue;
      }
      const int px = x->place(point.first, canvas.width());
      const int py = canvas.height() - 1 - y->place(point.second, canvas.height());
      canvas.line(joined ? from_x : px, joined ? from_y : py, px, py, static_cast<int>(c));
      joined = true;
      from_x = px;
      from_y = py;
    }
  }

  std::vector<std::string> lines;
  for (int row = 0; row < rows; ++row) {
    const bool labelled = row == 0 || row == rows - 1;
    const auto label = labelled ? fmt::format("{:>{}.4g}", row == 0 ? y->high : y->low, kLabelWidth)
                                : std::string(kLabelWidth, ' ');
    const char* axis = options.unicode ? (labelled ? "┤" : "│") : "|";
    lines.push_back(fmt::format("{} {}{}", label, axis, canvas.row(row, curves, options.color)));
  }
  const auto first = fmt::format("{:.3g}", x->low);
  const auto last = fmt::format("{:.3g}{}", x->high, options.unit);
  const int gap = columns - static_cast<int>(first.size());
  lines.push_back(
      fmt::format("{:{}}{}{:>{}}", "", kLabelWidth + kAxisWidth, first, last, std::max(1, gap)));
  return lines;
}

}  // namespace fastcpp
