// Values in the words of Python, for printed forms that look like fastai's.
#pragma once

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <concepts>
#include <string>
#include <string_view>
#include <vector>

#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

// 'text', or "text" where it holds a single quote and no double one.
inline std::string python_text(std::string_view text) {
  const bool single = text.find('\'') != std::string_view::npos;
  const char quote = single && text.find('"') == std::string_view::npos ? '"' : '\'';
  std::string result(1, quote);
  for (const char c : text) {
    if (c == quote || c == '\\') result += '\\';
    result += c;
  }
  return result + quote;
}

inline const char* python_bool(bool value) {
  return value ? "True" : "False";
}

// The shortest digits that read back to the same number: 0.5, 1.0, 1e-05, 1e+16, -0.0, inf, nan. A float has fewer.
template <std::floating_point T>
std::string python_float(T value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  if (value == 0) return std::signbit(value) ? "-0.0" : "0.0";
  char buffer[64];
  const auto [last, error] = std::to_chars(buffer, buffer + sizeof buffer, std::fabs(value),
                                           std::chars_format::scientific);
  static_cast<void>(error);  // there is room for every number
  const std::string sign = value < 0 ? "-" : "", text(buffer, last);
  if (std::fabs(value) < 1e-4 || std::fabs(value) >= 1e16) return sign + text;
  const auto e = text.find('e');
  int exponent = 0;
  std::from_chars(text.data() + e + (text[e + 1] == '+' ? 2 : 1), text.data() + text.size(),
                  exponent);
  std::string digits = text.substr(0, 1) + (e > 1 ? text.substr(2, e - 2) : "");
  if (exponent < 0)
    return sign + "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
  const auto whole = static_cast<std::size_t>(exponent) + 1;
  if (digits.size() < whole + 1) digits.resize(whole + 1, '0');
  return sign + digits.insert(whole, ".");
}

// ['a', 'b']
inline std::string python_list(const std::vector<std::string>& texts) {
  std::string result;
  for (const auto& text : texts) result += (result.empty() ? "" : ", ") + python_text(text);
  return "[" + result + "]";
}

}  // namespace fastcpp
