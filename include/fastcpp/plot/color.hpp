/// \file
/// Colours and colour maps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "fastcpp/export.hpp"
#include "fastcpp/plot/picture.hpp"

namespace fastcpp {

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

/// A colour of a colour map.
///
/// `Blues` is ColorBrewer's; `magma` and `viridis` (van der Walt, Smith: matplotlib's perceptually
/// uniform maps) are interpolated between 18 of their 256 entries and differ from them by at most
/// 5/255. \param name  `Blues`, `magma`, `viridis` or `gray` \param value 0..1, clamped; NaN gives
/// white \throws ValueError `value.colormap` on an unknown name
FASTCPP_API Color colormap(const std::string& name, double value);

/// The names `colormap` knows.
FASTCPP_API std::vector<std::string> colormap_names();

/// A picture of single-channel values, as fastai's `Image.show` draws them.
/// \param values row-major, `rows * cols`; scaled by their own minimum and maximum, non-finite ones
/// become white \param rows,cols >= 1 \param cmap   name of a colour map \throws ValueError
/// `value.plot_size` when the number of values differs, `value.colormap`
FASTCPP_API Picture colorize(const std::vector<double>& values, int rows, int cols,
                             const std::string& cmap = "viridis");

}  // namespace fastcpp
