// Patterns of labels: the first line is the pattern, the rest the text.
#include "data/regex.hpp"

#include <algorithm>

#include "fuzz.hpp"

using namespace fastcpp;

FASTCPP_FUZZ_TARGET(regex)(std::string_view input) {
  const auto line = std::min(input.find('\n'), input.size());
  const auto text = input.substr(std::min(line + 1, input.size()));
  fuzz::accepted([&] {
    const Regex regex(input.substr(0, line));
    const auto found = regex.search(text);
    fuzz::require(!found || text.find(*found) != text.npos, "group 1 is no part of the text");
    fuzz::require(regex.search(text) == found, "the second search finds something else");
  });
}
