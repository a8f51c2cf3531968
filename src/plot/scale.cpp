#include "plot/scale.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace fastcpp::inline v0::plot_detail {
namespace {

constexpr double kMargin = 0.05;
constexpr const char* kMinus = "\u2212";

std::string with_minus_sign(std::string text) {
  for (std::size_t at = 0; (at = text.find('-', at)) != std::string::npos;) {
    text.replace(at, 1, kMinus);
  }
  return text;
}

std::string superscript(int exponent) {
  static const char* const digits[] = {"\u2070", "\u00b9", "\u00b2", "\u00b3", "\u2074",
                                       "\u2075", "\u2076", "\u2077", "\u2078", "\u2079"};
  std::string text = exponent < 0 ? "\u207b" : "";
  for (char c : std::to_string(std::abs(exponent))) text += digits[c - '0'];
  return text;
}

// The span of the values an axis can show.
struct Span {
  double lo = std::numeric_limits<double>::infinity();
  double hi = -std::numeric_limits<double>::infinity();
  bool log = false;

  bool empty() const { return lo > hi; }
  void add(double value) {
    if (!drawable(value) || (log && value <= 0)) return;
    lo = std::min(lo, value);
    hi = std::max(hi, value);
  }
};

void add_points(const std::vector<double>& xs, const std::vector<double>& ys, Span& x, Span& y) {
  for (std::size_t i = 0; i < xs.size(); ++i) {
    // A point that one axis cannot show must not widen the other.
    Span probe_x{.log = x.log}, probe_y{.log = y.log};
    probe_x.add(xs[i]);
    probe_y.add(ys[i]);
    if (probe_x.empty() || probe_y.empty()) continue;
    x.add(xs[i]);
    y.add(ys[i]);
  }
}

Range with_margins(const Span& span, bool keep_low, bool keep_high) {
  if (span.empty()) return span.log ? Range{1, 10, true} : Range{0, 1, false};
  double lo = span.log ? std::log10(span.lo) : span.lo;
  double hi = span.log ? std::log10(span.hi) : span.hi;
  const double size = std::max(std::abs(lo), std::abs(hi));
  if (hi - lo <= size * 1e-12) {
    const double half = span.log ? 0.5 : (size > 1e-300 ? size * kMargin : kMargin);
    lo -= half;
    hi += half;
    keep_low = keep_high = false;
  }
  const double margin = (hi - lo) * kMargin;
  if (!keep_low) lo -= margin;
  if (!keep_high) hi += margin;
  if (span.log)
    return {std::pow(10, std::max(lo, -307.0)), std::pow(10, std::min(hi, 307.0)), true};
  return {lo, hi, false};
}

Range with_limits(Range automatic, const AxisModel& axis) {
  if (axis.limits) {
    const auto [lo, hi] = *axis.limits;
    // Limits given before the scale was made logarithmic may be out of its reach.
    if (!axis.log || (lo > 0 && hi > 0)) return {lo, hi, axis.log};
  }
  return automatic;
}

int decimals_of(double step) {
  for (int decimals = 0; decimals < 15; ++decimals) {
    const double shifted = step * std::pow(10, decimals);
    if (std::abs(shifted - std::round(shifted)) < 1e-6 * shifted) return decimals;
  }
  return 15;
}

std::string formatted(const std::string& format, double value) {
  try {
    return fmt::format(fmt::runtime(format), value);
  } catch (const std::exception&) {
    return {};  // The format was tried when it was set.
  }
}

double nice_step(double lo, double hi, int most) {
  const double raw = (hi - lo) / std::max(most, 1);
  const double magnitude = std::pow(10, std::floor(std::log10(raw)));
  for (double factor : {1.0, 2.0, 2.5, 5.0, 10.0}) {
    const double step = factor * magnitude;
    const double count = std::floor(hi / step + 1e-9) - std::ceil(lo / step - 1e-9) + 1;
    if (step >= raw * (1 - 1e-9) || count <= most) return step;
  }
  return 10 * magnitude;
}

Ticks linear_ticks(double lo, double hi, int most, const std::string& format) {
  Ticks result;
  const double step = nice_step(lo, hi, most);
  if (!(step > 0)) return result;
  const double first = std::ceil(lo / step - 1e-9);
  const int count =
      static_cast<int>(std::clamp(std::floor(hi / step + 1e-9) - first + 1, 0.0, 100.0));
  double largest = 0;
  for (int i = 0; i < count; ++i) {
    const double value = (first + i) * step;
    result.ticks.push_back({value, {}});
    largest = std::max(largest, std::abs(value));
  }
  const int exponent = largest > 0 ? static_cast<int>(std::floor(std::log10(largest) + 1e-9)) : 0;
  const bool scientific = format.empty() && (exponent <= -5 || exponent >= 6);
  const double unit = scientific ? std::pow(10, exponent) : 1;
  if (scientific) result.factor = with_minus_sign(fmt::format("1e{}", exponent));
  const int decimals = decimals_of(step / unit);
  for (Tick& tick : result.ticks) {
    const double shown = tick.value == 0 ? 0 : tick.value / unit;
    tick.text = format.empty() ? with_minus_sign(fmt::format("{:.{}f}", shown, decimals))
                               : formatted(format, tick.value);
  }
  return result;
}

// Two ticks whose numbers read the same tell nothing apart.
void drop_repeated(Ticks& ticks) {
  const std::string* last = nullptr;
  for (Tick& tick : ticks.ticks) {
    if (tick.text.empty()) continue;
    if (last && *last == tick.text) {
      tick.text.clear();
    } else {
      last = &tick.text;
    }
  }
}

// Less than a decade or so: powers of ten would leave the axis without numbers.
Ticks short_log_ticks(double lo, double hi, int most, const std::string& format) {
  std::vector<double> values;
  for (int e = static_cast<int>(std::floor(std::log10(lo))); e <= std::log10(hi) + 1e-9; ++e) {
    for (int digit = 1; digit <= 9; ++digit) {
      const double value = digit * std::pow(10, e);
      if (value >= lo * (1 - 1e-9) && value <= hi * (1 + 1e-9)) values.push_back(value);
    }
  }
  Ticks result;
  if (values.size() < 2 || format.empty()) {
    result = linear_ticks(lo, hi, most, format);
    std::erase_if(result.ticks, [](const Tick& tick) { return tick.value <= 0; });
    return result;
  }
  const std::size_t stride = (values.size() + most - 1) / std::max(most, 1);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const bool named = i % std::max<std::size_t>(stride, 1) == 0;
    result.ticks.push_back({values[i], named ? formatted(format, values[i]) : "", !named});
  }
  return result;
}

Ticks log_ticks(double lo, double hi, int most, const std::string& format) {
  const int first = static_cast<int>(std::ceil(std::log10(lo) - 1e-9));
  const int last = static_cast<int>(std::floor(std::log10(hi) + 1e-9));
  const int decades = last - first + 1;
  if (decades < 2) return short_log_ticks(lo, hi, most, format);
  Ticks result;
  const int stride = (decades + std::max(most, 1) - 1) / std::max(most, 1);
  for (int e = first; e <= last; ++e) {
    const double value = std::pow(10, e);
    if ((e - first) % stride != 0) {
      result.ticks.push_back({value, {}, true});
      continue;
    }
    result.ticks.push_back(
        {value, format.empty() ? "10" + superscript(e) : formatted(format, value)});
  }
  if (stride > 1) return result;
  for (int e = first - 1; e <= last; ++e) {
    for (int digit = 2; digit <= 9; ++digit) {
      const double value = digit * std::pow(10, e);
      if (value >= lo && value <= hi) result.ticks.push_back({value, {}, true});
    }
  }
  return result;
}

}  // namespace

bool drawable(double value) {
  return std::isfinite(value) && std::abs(value) <= 1e300;
}

double Range::fraction(double value) const {
  if (!drawable(value)) return std::numeric_limits<double>::quiet_NaN();
  if (!log) return (value - lo) / (hi - lo);
  if (value <= 0) return std::numeric_limits<double>::quiet_NaN();
  return (std::log(value) - std::log(lo)) / (std::log(hi) - std::log(lo));
}

bool keeps_aspect(const AxesModel& axes) {
  return std::any_of(axes.items.begin(), axes.items.end(), [](const Item& item) {
    return std::holds_alternative<Image>(item) || std::holds_alternative<Matrix>(item);
  });
}

Ranges data_ranges(const AxesModel& axes) {
  Span x{.log = axes.x.log}, y{.log = axes.y.log};
  bool bars = false;
  for (const Item& item : axes.items) {
    if (const auto* image = std::get_if<Image>(&item)) {
      return {with_limits({-0.5, image->picture.width - 0.5}, axes.x),
              with_limits({image->picture.height - 0.5, -0.5}, axes.y)};
    }
    if (const auto* matrix = std::get_if<Matrix>(&item)) {
      return {with_limits({-0.5, matrix->cols - 0.5}, axes.x),
              with_limits({matrix->rows - 0.5, -0.5}, axes.y)};
    }
    if (const auto* line = std::get_if<Line>(&item)) add_points(line->x, line->y, x, y);
    if (const auto* dots = std::get_if<Dots>(&item)) add_points(dots->x, dots->y, x, y);
    if (const auto* names = std::get_if<Names>(&item)) add_points(names->x, names->y, x, y);
    if (const auto* bar = std::get_if<Bars>(&item)) {
      bars = true;
      for (std::size_t i = 0; i < bar->x.size(); ++i) {
        if (!drawable(bar->x[i]) || !drawable(bar->height[i])) continue;
        x.add(bar->x[i] - bar->width / 2);
        x.add(bar->x[i] + bar->width / 2);
        y.add(bar->height[i]);
        y.add(0);
      }
    }
  }
  // Bars stand on the axis, not above a gap.
  return {with_limits(with_margins(x, false, false), axes.x),
          with_limits(with_margins(y, bars && y.lo == 0, bars && y.hi == 0), axes.y)};
}

Ticks number_ticks(const Range& range, int most, const std::string& format) {
  const double lo = std::min(range.lo, range.hi), hi = std::max(range.lo, range.hi);
  Ticks ticks = range.log ? log_ticks(lo, hi, most, format) : linear_ticks(lo, hi, most, format);
  drop_repeated(ticks);
  return ticks;
}

}  // namespace fastcpp::plot_detail
