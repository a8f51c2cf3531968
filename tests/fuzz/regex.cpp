// Patterns of labels: the first line is the pattern, the rest the text.
#include "data/regex.hpp"

#include <algorithm>

#include "fuzz.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

using namespace fastcpp;

namespace {

using Found = std::optional<std::string>;

// Behind what is given stands a letter more, which nobody may read: libraries are not watched by sanitizers.
class Followed {
 public:
  Followed(std::string_view text, char letter) : text_(std::string(text) + letter) {}
  std::string_view view() const { return std::string_view(text_).substr(0, text_.size() - 1); }

 private:
  std::string text_;
};

Found search(std::string_view pattern, std::string_view text, char behind) {
  const Followed exact_pattern(pattern, behind), exact_text(text, behind);
  const Regex regex(exact_pattern.view());
  const auto found = regex.search(exact_text.view());
  fuzz::require(regex.search(exact_text.view()) == found, "the second search finds something else");
  return found;
}

// Group 1, by PCRE2's own function; only for what is text, and without the limits of compiled code.
bool is_group(std::string_view pattern, std::string_view text, const std::string& found) {
  const auto* bytes = reinterpret_cast<PCRE2_SPTR>(text.data());
  int error = 0;
  PCRE2_SIZE at = 0, size = 0;
  auto* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                             PCRE2_UTF | PCRE2_UCP, &error, &at, nullptr);
  if (!code) return true;
  auto* match = pcre2_match_data_create_from_pattern(code, nullptr);
  PCRE2_UCHAR* group = nullptr;
  const bool matched = pcre2_match(code, bytes, text.size(), 0, 0, match, nullptr) > 0 &&
                       pcre2_substring_get_bynumber(match, 1, &group, &size) == 0;
  const bool same = !matched || found == std::string(reinterpret_cast<const char*>(group), size);
  pcre2_substring_free(group);
  pcre2_match_data_free(match);
  pcre2_code_free(code);
  return same;
}

}  // namespace

FASTCPP_FUZZ_TARGET(regex)(std::string_view input) {
  const auto line = std::min(input.find('\n'), input.size());
  const auto pattern = input.substr(0, line), text = input.substr(std::min(line + 1, input.size()));
  Found one, other;
  const bool good = fuzz::accepted([&] { one = search(pattern, text, 'a'); });
  fuzz::require(fuzz::accepted([&] { other = search(pattern, text, ')'); }) == good && one == other,
                "what stands behind the pattern or the text counts");
  if (one) fuzz::require(is_group(pattern, text, *one), "PCRE2 has another group 1");
}
