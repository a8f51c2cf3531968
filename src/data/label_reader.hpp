// From labels as their owner gave them to texts and numbers.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fastcpp/data/label.hpp"

namespace fastcpp::inline v0::labels {

// What messages call an item.
using ItemName = std::function<std::string()>;

// Throws ValueError `value.label_delim` unless it is one character that can stand between labels.
void check_delimiter(const std::string& delim);

// Splits a text by the rules of a line of a CSV file; an empty text gives none.
// Throws DataError `data.open_quote`, `data.line_break`.
std::vector<std::string> split_labels(std::string_view text, std::string_view delim,
                                      const ItemName& item);

// The labels of one item: those of a list, the parts or letters of a text, or the one; none when missing.
std::vector<Cell> labels_of(const Label& label, const std::optional<std::string>& delim,
                            const ItemName& item);

// Adds the numbers of one item. `count` of them are expected.
// Throws DataError `data.missing_value`, `data.not_a_number`, `data.length`.
void add_numbers(const Label& label, std::size_t count, std::vector<float>& to,
                 const ItemName& item);

// Throws DataError `data.one_hot` on numbers outside 0..1.
void check_one_hot(const float* numbers, std::size_t count, const ItemName& item);

[[noreturn]] void missing_value(const ItemName& item);

}  // namespace fastcpp::labels
