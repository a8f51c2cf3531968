// Values in the words of Python, for printed forms that look like fastai's.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

#include "fastcpp/export.hpp"

namespace fastcpp {

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

// ['a', 'b']
inline std::string python_list(const std::vector<std::string>& texts) {
  std::string result;
  for (const auto& text : texts) result += (result.empty() ? "" : ", ") + python_text(text);
  return "[" + result + "]";
}

}  // namespace fastcpp
