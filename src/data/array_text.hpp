// Numbers in NumPy's layout.
#pragma once

#include <span>
#include <string>

namespace fastcpp::inline v0 {

// As NumPy prints an array with 6 decimals, but always in one line: `[0.5 1. ]`, `[1.0e-05 3.5e+00]`.
std::string array_text(std::span<const float> values);

}  // namespace fastcpp
