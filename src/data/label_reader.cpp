#include "label_reader.hpp"

#include <fmt/format.h>

#include "class_map.hpp"
#include "column.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/python_text.hpp"

namespace fastcpp::inline v0::labels {
namespace {

using table::shown;

// Bytes of the letter in UTF-8 at the start of a text that is not empty.
std::size_t letter_size(std::string_view text) {
  std::size_t size = 1;
  while (size < text.size() && (text[size] & 0xC0) == 0x80) ++size;
  return size;
}

float number_of(const Cell& cell, const ItemName& item) {
  if (is_missing(cell)) missing_value(item);
  if (const auto* value = std::get_if<double>(&cell)) return static_cast<float>(*value);
  if (const auto* value = std::get_if<std::int64_t>(&cell)) return static_cast<float>(*value);
  if (const auto* value = std::get_if<std::uint64_t>(&cell)) return static_cast<float>(*value);
  if (const auto* value = std::get_if<bool>(&cell)) return *value ? 1 : 0;
  const auto& text = std::get<std::string>(cell);
  if (const auto value = table::to_double(text)) return static_cast<float>(*value);
  throw DataError(
      "data.not_a_number",
      fmt::format("could not convert string to float: {}, the label of {}; correct it, or choose "
                  "another kind of labels with .label_cls",
                  python_text(shown(text)), item()));
}

}  // namespace

void missing_value(const ItemName& item) {
  throw DataError("data.missing_value",
                  fmt::format("{} has no label; give it one, or leave it out", item()));
}

void check_delimiter(const std::string& delim) {
  const bool one = !delim.empty() && letter_size(delim) == delim.size();
  if (one && delim != "\"" && delim != "\n" && delim != "\r" && delim[0] != '\0') return;
  throw ValueError(
      "value.label_delim",
      fmt::format("\"delimiter\" must be a 1-character string: label_delim is {}; give the one "
                  "character between two labels, no quote and no line break",
                  python_text(shown(delim))));
}

std::vector<std::string> split_labels(std::string_view text, std::string_view delim,
                                      const ItemName& item) {
  std::vector<std::string> labels;
  if (text.empty()) return labels;
  const auto refuse = [&](const char* code, const char* what) {
    throw DataError(code,
                    fmt::format("the label {} of {} {}", python_text(shown(text)), item(), what));
  };
  labels.emplace_back();
  bool quoted = false, at_start = true;
  for (std::size_t i = 0; i < text.size();) {
    if (quoted) {
      if (text[i] != '"') {
        labels.back() += text[i++];
      } else if (i + 1 < text.size() && text[i + 1] == '"') {
        labels.back() += '"';
        i += 2;
      } else {
        // What follows the closing quote belongs to the label.
        quoted = false;
        ++i;
      }
    } else if (text.substr(i, delim.size()) == delim) {
      labels.emplace_back();
      at_start = true;
      i += delim.size();
    } else if (at_start && text[i] == '"') {
      quoted = true;
      at_start = false;
      ++i;
    } else {
      if (text[i] == '\n' || text[i] == '\r') {
        refuse("data.line_break", "has a line break outside quotes; take it away");
      }
      at_start = false;
      labels.back() += text[i++];
    }
  }
  if (quoted) {
    refuse("data.open_quote",
           "begins a quote that is never closed; add the missing \", or double it "
           "within quotes if it is meant");
  }
  return labels;
}

std::vector<Cell> labels_of(const Label& label, const std::optional<std::string>& delim,
                            const ItemName& item) {
  const auto given = label.cells();
  if (label.several()) return {given.begin(), given.end()};
  if (label.missing()) return {};
  if (delim) {
    const auto parts = split_labels(cell_text(given[0]), *delim, item);
    return {parts.begin(), parts.end()};
  }
  const auto* text = std::get_if<std::string>(&given[0]);
  if (!text) return {given[0]};
  std::vector<Cell> letters;
  for (std::string_view rest = *text; !rest.empty(); rest.remove_prefix(letter_size(rest))) {
    letters.emplace_back(std::string(rest.substr(0, letter_size(rest))));
  }
  return letters;
}

void add_numbers(const Label& label, std::size_t count, std::vector<float>& to,
                 const ItemName& item) {
  if (label.missing()) missing_value(item);
  if (label.cells().size() != count) {
    throw DataError("data.length", fmt::format("{} has {} numbers, but {} were expected; every "
                                               "item needs as many, and one-hot labels one for "
                                               "each class",
                                               item(), label.cells().size(), count));
  }
  for (const auto& cell : label.cells()) to.push_back(number_of(cell, item));
}

void check_one_hot(const float* numbers, std::size_t count, const ItemName& item) {
  for (std::size_t i = 0; i < count; ++i) {
    if (numbers[i] >= 0 && numbers[i] <= 1) continue;
    throw DataError(
        "data.one_hot",
        fmt::format("{} has {} for class {}, but the numbers of classes lie in 0..1; to predict "
                    "numbers give .label_cls = LabelKind::kFloat",
                    item(), python_float(numbers[i]), i));
  }
}

}  // namespace fastcpp::labels
