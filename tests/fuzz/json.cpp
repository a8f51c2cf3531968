// JSON. What is read is written and read again.
#include "fastcpp/io/json.hpp"

#include "fuzz.hpp"

using namespace fastcpp;

namespace {

// Small, so that small texts come to the limit.
constexpr std::size_t kMostValues = 300;

std::size_t count_of(const Value& value) {
  std::size_t count = 1;
  if (value.is_list()) {
    for (const auto& item : value.items()) count += count_of(item);
  } else if (value.is_dict()) {
    for (const auto& [key, item] : value.entries()) count += count_of(item);
  }
  return count;
}

}  // namespace

FASTCPP_FUZZ_TARGET(json)(std::string_view input) {
  Value value;
  const bool good = fuzz::accepted([&] {
    try {
      value = from_json(input, {.max_values = kMostValues});
    } catch (const Error& e) {
      fuzz::require(e.code().starts_with("json."), "refused with " + e.code());
      throw;
    }
  });
  if (!good) return;
  fuzz::require(count_of(value) <= kMostValues, "more values than allowed");
  const auto text = to_json(value);
  fuzz::require(to_json(from_json(text)) == text, "reads otherwise when written: " + text);
  fuzz::require(from_json(to_json(value, {.indent = -1})).to_string() == value.to_string(),
                "reads otherwise when written in one line: " + text);
}
