#include "fastcpp/plot/color.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0 {
namespace {

// 0xrrggbb, evenly spaced from 0 to 1.
using Anchors = std::vector<std::uint32_t>;

const Anchors& anchors_of(Colormap cmap) {
  // In the order of the enumerators.
  static const std::array<Anchors, 4> all{{
      {0xf7fbff, 0xdeebf7, 0xc6dbef, 0x9ecae1, 0x6baed6, 0x4292c6, 0x2171b5, 0x08519c, 0x08306b},
      {0x000004, 0x090720, 0x1a1042, 0x311165, 0x4a1079, 0x621980, 0x792282, 0x912b81, 0xaa337d,
       0xc23b75, 0xd9466b, 0xec5860, 0xf7725c, 0xfc8e64, 0xfeaa74, 0xfec68a, 0xfde2a3, 0xfcfdbf},
      {0x440154, 0x481769, 0x472a7a, 0x433d84, 0x3d4e8a, 0x355e8d, 0x2e6d8e, 0x297b8e, 0x23898e,
       0x1f978b, 0x21a585, 0x2eb37c, 0x46c06f, 0x65cb5e, 0x89d548, 0xb0dd2f, 0xd8e219, 0xfde725},
      {0x000000, 0xffffff},
  }};
  return all.at(static_cast<std::size_t>(cmap));
}

Color color_of(const Anchors& anchors, double value) {
  if (std::isnan(value)) return colors::white;
  const double place = std::clamp(value, 0.0, 1.0) * static_cast<double>(anchors.size() - 1);
  const auto low = std::min(static_cast<std::size_t>(place), anchors.size() - 2);
  const double part = place - static_cast<double>(low);
  const auto channel = [&](int shift) {
    const double a = (anchors[low] >> shift) & 0xff, b = (anchors[low + 1] >> shift) & 0xff;
    return static_cast<std::uint8_t>(std::lround(a + (b - a) * part));
  };
  return {channel(16), channel(8), channel(0)};
}

}  // namespace

Color cycle_color(std::size_t index) {
  static constexpr std::array<Color, 10> cycle{
      colors::tab_blue,   colors::tab_orange, colors::tab_green, colors::tab_red,
      colors::tab_purple, colors::tab_brown,  colors::tab_pink,  colors::tab_gray,
      colors::tab_olive,  colors::tab_cyan};
  return cycle[index % cycle.size()];
}

Color colormap(Colormap cmap, double value) {
  return color_of(anchors_of(cmap), value);
}

Picture colorize(const std::vector<double>& values, int rows, int cols, Colormap cmap) {
  const Anchors& map = anchors_of(cmap);
  if (rows < 1 || cols < 1 || values.size() != static_cast<std::size_t>(rows) * cols) {
    throw ValueError("value.plot_size",
                     fmt::format("a picture of {} rows and {} columns cannot be made of {} "
                                 "values",
                                 rows, cols, values.size()));
  }
  double lo = std::numeric_limits<double>::infinity(), hi = -lo;
  for (double value : values) {
    if (!std::isfinite(value)) continue;
    lo = std::min(lo, value);
    hi = std::max(hi, value);
  }
  return boundary([&] {
    Picture picture{cols, rows, {}};
    picture.rgb.reserve(values.size() * 3);
    for (double value : values) {
      // Halves, because the difference of two finite numbers may overflow.
      const double place = hi > lo ? (value / 2 - lo / 2) / (hi / 2 - lo / 2) : 0;
      const Color color = std::isfinite(value) ? color_of(map, place) : colors::white;
      picture.rgb.insert(picture.rgb.end(), {color.r, color.g, color.b});
    }
    return picture;
  });
}

}  // namespace fastcpp
