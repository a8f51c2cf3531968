#include "array_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>
#include <vector>

#include "fastcpp/core/python_text.hpp"

namespace fastcpp::inline v0 {
namespace {

constexpr std::size_t kDecimals = 6;

// A printed number: what stands left of the point, right of it, and an exponent.
struct Parts {
  std::string whole, decimals, exponent;
};

std::string without_zeros(std::string text) {
  text.erase(text.find_last_not_of('0') + 1);
  return text;
}

Parts parts_of(float value, bool scientific) {
  std::string text;
  if (scientific) {
    char buffer[64];
    const auto end =
        std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
    text.assign(buffer, end);
  } else {
    text = python_float(value);
  }
  const auto digits = text.substr(0, text.find('e'));
  const auto point = std::min(digits.find('.'), digits.size());
  if (digits.size() > point + 1 + kDecimals) {
    text = scientific ? fmt::format("{:.{}e}", value, kDecimals)
                      : fmt::format("{:.{}f}", value, kDecimals);
  }
  const auto e = std::min(text.find('e'), text.size());
  const auto dot = std::min(text.find('.'), e);
  return {text.substr(0, dot),
          without_zeros(text.substr(std::min(dot + 1, e), e - std::min(dot + 1, e))),
          text.substr(e)};
}

// Whether NumPy would choose exponents.
bool is_scientific(std::span<const float> values) {
  double least = 0, most = 0;
  for (const double value : values) {
    const double size = std::fabs(value);
    if (!std::isfinite(size) || size == 0) continue;
    least = least == 0 ? size : std::min(least, size);
    most = std::max(most, size);
  }
  return least != 0 && (most >= 1e8 || least < 1e-4 || most / least > 1000);
}

}  // namespace

std::string array_text(std::span<const float> values) {
  const bool scientific = is_scientific(values);
  std::size_t left = 0, right = 0, exponent = 0, other = 0;
  std::vector<Parts> parts;
  for (const float value : values) {
    if (!std::isfinite(value)) {
      parts.push_back({python_float(value), "", ""});
      other = std::max(other, parts.back().whole.size());
      continue;
    }
    parts.push_back(parts_of(value, scientific));
    left = std::max(left, parts.back().whole.size());
    right = std::max(right, parts.back().decimals.size());
    exponent = std::max(exponent, parts.back().exponent.size());
  }
  const auto width = std::max(left + 1 + right + exponent, other);
  left = width - 1 - right - exponent;
  std::string text;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto& [whole, decimals, e] = parts[i];
    if (i > 0) text += ' ';
    if (!std::isfinite(values[i])) {
      text += fmt::format("{:>{}}", whole, width);
    } else {
      // Exponents stand below each other, so zeros fill the decimals.
      text += fmt::format("{:>{}}.{}{}{}", whole, left, decimals,
                          std::string(right - decimals.size(), scientific ? '0' : ' '), e);
    }
  }
  return "[" + text + "]";
}

}  // namespace fastcpp
