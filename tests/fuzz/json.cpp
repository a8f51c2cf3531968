// JSON. What is read is written and read again.
#include "fastcpp/io/json.hpp"

#include "fuzz.hpp"

using namespace fastcpp;

FASTCPP_FUZZ_TARGET(json)(std::string_view input) {
  Value value;
  if (!fuzz::accepted([&] { value = from_json(input, {.max_values = 100'000}); })) return;
  const auto text = to_json(value);
  fuzz::require(to_json(from_json(text)) == text, "reads otherwise when written: " + text);
  fuzz::require(from_json(to_json(value, {.indent = -1})).to_string() == value.to_string(),
                "reads otherwise when written in one line: " + text);
}
