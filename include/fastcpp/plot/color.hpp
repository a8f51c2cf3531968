/// \file
/// Colours and colour maps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "fastcpp/export.hpp"
#include "fastcpp/plot/picture.hpp"

namespace fastcpp::inline v0 {

/// An opaque sRGB colour, 0..255 a channel.
struct Color {
  std::uint8_t r = 0;  ///< red
  std::uint8_t g = 0;  ///< green
  std::uint8_t b = 0;  ///< blue

  friend constexpr bool operator==(const Color&, const Color&) = default;
};

/// Named colours. `tab_…` are those of matplotlib's default line cycle.
namespace colors {
inline constexpr Color black{0, 0, 0};
inline constexpr Color white{255, 255, 255};
inline constexpr Color gray{128, 128, 128};
inline constexpr Color red{255, 0, 0};
inline constexpr Color green{0, 128, 0};
inline constexpr Color blue{0, 0, 255};
inline constexpr Color tab_blue{31, 119, 180};
inline constexpr Color tab_orange{255, 127, 14};
inline constexpr Color tab_green{44, 160, 44};
inline constexpr Color tab_red{214, 39, 40};
inline constexpr Color tab_purple{148, 103, 189};
inline constexpr Color tab_brown{140, 86, 75};
inline constexpr Color tab_pink{227, 119, 194};
inline constexpr Color tab_gray{127, 127, 127};
inline constexpr Color tab_olive{188, 189, 34};
inline constexpr Color tab_cyan{23, 190, 207};
}  // namespace colors

/// The colour of the `index`-th line of a plot: the ten `tab_…` colours in turn.
FASTCPP_API Color cycle_color(std::size_t index);

/// A map from values to colours; the names are matplotlib's.
enum class Colormap {
  kBlues,    ///< white to dark blue (ColorBrewer)
  kMagma,    ///< black over red to pale yellow (van der Walt, Smith), within 5/255 of matplotlib's
  kViridis,  ///< violet over green to yellow (van der Walt, Smith), within 5/255 of matplotlib's
  kGray,     ///< black to white
};

/// A colour of a colour map. Thread-safe.
/// \param cmap  the map
/// \param value 0..1, clamped; NaN gives white
FASTCPP_API Color colormap(Colormap cmap, double value);

/// A picture of single-channel values, as fastai's `Image.show` draws them. Thread-safe.
/// \param values    row-major, `rows * cols`; scaled by their own minimum and maximum, non-finite ones become white
/// \param rows,cols >= 1
/// \param cmap      the colours
/// \throws ValueError `value.plot_size` when the number of values differs
FASTCPP_API Picture colorize(const std::vector<double>& values, int rows, int cols,
                             Colormap cmap = Colormap::kViridis);

}  // namespace fastcpp
