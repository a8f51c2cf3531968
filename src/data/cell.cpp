// What the text of a cell is.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <type_traits>

#include "column.hpp"
#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/python_text.hpp"
#include "fastcpp/io/value.hpp"

namespace fastcpp::inline v0 {
namespace table {
namespace {

// The C library's would ask the locale.
bool is_blank(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
bool same_letters(std::string_view text, std::string_view small) {
  return std::equal(text.begin(), text.end(), small.begin(), small.end(),
                    [](char a, char b) { return lower(a) == b; });
}

std::string_view without_blanks(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

// std::from_chars takes a minus but no plus.
std::string_view without_plus(std::string_view text) {
  return text.size() > 1 && text[0] == '+' && text[1] != '-' ? text.substr(1) : text;
}

template <typename T>
std::optional<T> whole(std::string_view text) {
  text = without_plus(without_blanks(text));
  T value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

// A number beyond double's range: whether it is too small rather than too large.
bool is_tiny(std::string_view text) {
  const auto e = std::min(text.find_first_of("eE"), text.size());
  std::int64_t exponent = 0;
  if (e < text.size()) {
    const auto digits = without_plus(text.substr(e + 1));
    const auto error = std::from_chars(digits.data(), digits.data() + digits.size(), exponent).ec;
    if (error != std::errc()) return digits[0] == '-';
  }
  const auto mantissa = text.substr(0, e);
  const auto point = std::min(mantissa.find('.'), mantissa.size());
  const auto first = mantissa.find_first_of("123456789");
  if (first == std::string_view::npos) return true;
  return static_cast<std::int64_t>(point) - static_cast<std::int64_t>(first) < -exponent;
}

}  // namespace

bool is_missing(std::string_view text) {
  using namespace std::string_view_literals;
  static constexpr std::array words{"#N/A"sv, "#N/A N/A"sv, "#NA"sv,    "-1.#IND"sv, "-1.#QNAN"sv,
                                    "-NaN"sv, "-nan"sv,     "1.#IND"sv, "1.#QNAN"sv, "<NA>"sv,
                                    "N/A"sv,  "NA"sv,       "NULL"sv,   "NaN"sv,     "n/a"sv,
                                    "nan"sv,  "null"sv};
  if (text.empty()) return true;
  if (text.size() > 8 || std::string_view("#-1<Nn").find(text[0]) == std::string_view::npos) {
    return false;
  }
  return std::find(words.begin(), words.end(), text) != words.end();
}

bool is_integer(std::string_view text) {
  text = without_blanks(text);
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) text.remove_prefix(1);
  return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

std::optional<std::int64_t> to_int64(std::string_view text) {
  return whole<std::int64_t>(text);
}

std::optional<std::uint64_t> to_uint64(std::string_view text) {
  return whole<std::uint64_t>(text);
}

std::optional<double> to_double(std::string_view text) {
  if (text.empty()) return {};
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const bool minus = text[0] == '-';
  const auto word = text.substr(minus || text[0] == '+' ? 1 : 0);
  if (same_letters(word, "inf") || same_letters(word, "infinity")) {
    return minus ? -infinity : infinity;
  }
  text = without_plus(without_blanks(text));
  // Keeps out the words that std::from_chars knows.
  const auto digits = text.substr(!text.empty() && text[0] == '-' ? 1 : 0);
  if (digits.empty() || (!is_digit(digits[0]) && digits[0] != '.')) return {};
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size()) return {};
  if (error == std::errc()) return value;
  if (error != std::errc::result_out_of_range || !is_tiny(digits)) return {};
  return text[0] == '-' ? -0.0 : 0.0;
}

std::optional<bool> to_bool(std::string_view text) {
  if (same_letters(text, "true")) return true;
  if (same_letters(text, "false")) return false;
  return {};
}

ColumnKind guess_kind(const std::vector<std::string_view>& texts,
                      const std::vector<std::uint8_t>& missing) {
  bool integers = true, numbers = true, bools = true;
  bool int64s = true, uint64s = true, doubles = true, any = false, holes = false;
  for (std::size_t i = 0; i < texts.size() && (numbers || bools); ++i) {
    if (!missing.empty() && missing[i]) {
      holes = true;
      continue;
    }
    any = true;
    const auto text = texts[i];
    if (bools && !to_bool(text)) bools = false;
    if (!numbers) continue;
    if (integers && is_integer(text)) {
      uint64s = uint64s && to_uint64(text);
      if (to_int64(text)) continue;
      int64s = false;
      doubles = doubles && to_double(text);
      continue;
    }
    // Numbers that are whole so far may be followed by one that is not.
    integers = integers && is_integer(text);
    if (!to_double(text)) numbers = false;
  }
  if (texts.empty()) return ColumnKind::kText;
  if (!any) return ColumnKind::kFloat64;
  if (bools) return ColumnKind::kBool;
  if (!numbers) return ColumnKind::kText;
  if (!integers) return doubles ? ColumnKind::kFloat64 : ColumnKind::kText;
  if (holes) return int64s ? ColumnKind::kFloat64 : ColumnKind::kText;
  return int64s ? ColumnKind::kInt64 : uint64s ? ColumnKind::kUInt64 : ColumnKind::kText;
}

void set_kind(Column::Data& data, ColumnKind kind) {
  data.kind = kind;
  const auto fill = [&](auto& values, auto missing, auto&& value_of) {
    values.reserve(data.texts.size());
    for (std::size_t i = 0; i < data.texts.size(); ++i) {
      values.push_back(data.is_missing(i) ? missing : value_of(data.texts[i]));
    }
  };
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  switch (kind) {
    case ColumnKind::kInt64:
      return fill(data.int64s, std::int64_t{0}, [](auto text) { return to_int64(text).value(); });
    case ColumnKind::kUInt64:
      return fill(data.uint64s, std::uint64_t{0},
                  [](auto text) { return to_uint64(text).value(); });
    case ColumnKind::kFloat64:
      return fill(data.float64s, nan, [](auto text) { return to_double(text).value(); });
    case ColumnKind::kBool:
      return fill(data.bools, std::uint8_t{0},
                  [](auto text) { return static_cast<std::uint8_t>(to_bool(text).value()); });
    case ColumnKind::kText:
      return;
  }
}

std::string shown(std::string_view text) {
  constexpr std::size_t kMost = 60;
  auto length = std::min(text.size(), kMost);
  // Not within a letter.
  while (length > 0 && length < text.size() && (text[length] & 0xC0) == 0x80) --length;
  std::string result(text.substr(0, length));
  for (char& c : result) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  return length < text.size() ? result + "..." : result;
}

}  // namespace table

std::string cell_text(const Cell& cell) {
  struct Printer {
    std::string operator()(std::monostate) const { return "nan"; }
    std::string operator()(bool value) const { return python_bool(value); }
    std::string operator()(std::int64_t value) const { return fmt::format("{}", value); }
    std::string operator()(std::uint64_t value) const { return fmt::format("{}", value); }
    std::string operator()(double value) const { return python_float(value); }
    std::string operator()(const std::string& value) const { return value; }
  };
  return std::visit(Printer(), cell);
}

Value to_value(const Cell& cell) {
  return boundary([&] {
    return std::visit(
        [](const auto& x) -> Value {
          using T = std::decay_t<decltype(x)>;
          if constexpr (std::is_same_v<T, std::monostate>) {
            return {};
          } else if constexpr (std::is_same_v<T, std::uint64_t>) {
            return Value::big_int(std::to_string(x));
          } else {
            return x;
          }
        },
        cell);
  });
}

Cell to_cell(const Value& value) {
  return boundary([&]() -> Cell {
    switch (value.kind()) {
      case Value::Kind::kNone:
        return {};
      case Value::Kind::kBool:
        return value.as_bool();
      case Value::Kind::kInt:
        return value.as_int();
      case Value::Kind::kBigInt:
        if (const auto number = table::to_uint64(value.as_string())) return *number;
        return value.as_string();
      case Value::Kind::kFloat:
        return value.as_double();
      default:
        return value.as_string();
    }
  });
}

}  // namespace fastcpp
