#include "data/regex.hpp"

#include <fmt/format.h>

#include "fastcpp/core/error.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace fastcpp {

struct Regex::State {
  pcre2_code* code = nullptr;
  pcre2_match_data* match = nullptr;
  ~State() {
    pcre2_match_data_free(match);
    pcre2_code_free(code);
  }
};

Regex::Regex(std::string_view pattern) : state_(std::make_unique<State>()) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  state_->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), 0,
                               &error, &offset, nullptr);
  if (!state_->code) {
    char text[256] = "";
    pcre2_get_error_message(error, reinterpret_cast<PCRE2_UCHAR*>(text), sizeof(text));
    throw ValueError("value.pattern", fmt::format("the pattern \"{}\" is wrong at character {}: {}",
                                                  pattern, offset, text));
  }
  std::uint32_t groups = 0;
  pcre2_pattern_info(state_->code, PCRE2_INFO_CAPTURECOUNT, &groups);
  if (groups == 0) {
    throw ValueError("value.pattern",
                     fmt::format("the pattern \"{}\" needs a group in parentheses: "
                                 "group 1 is the label",
                                 pattern));
  }
  pcre2_jit_compile(state_->code, PCRE2_JIT_COMPLETE);
  state_->match = pcre2_match_data_create_from_pattern(state_->code, nullptr);
}

Regex::~Regex() = default;

std::optional<std::string> Regex::search(std::string_view text) const {
  const int found = pcre2_match(state_->code, reinterpret_cast<PCRE2_SPTR>(text.data()),
                                text.size(), 0, 0, state_->match, nullptr);
  if (found < 2) return std::nullopt;
  const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(state_->match);
  return std::string(text.substr(ends[2], ends[3] - ends[2]));
}

}  // namespace fastcpp
