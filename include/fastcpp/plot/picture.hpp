/// \file
/// A plain 8-bit picture: what `Axes::imshow` draws.
#pragma once

#include <cstdint>
#include <vector>

#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// An RGB picture of 8 bits a channel.
struct Picture {
  int width = 0;   ///< pixels, >= 1
  int height = 0;  ///< pixels, >= 1
  /// Row-major, top row first, 3 bytes a pixel: `width * height * 3`.
  std::vector<std::uint8_t> rgb;
};

}  // namespace fastcpp
