#include "data/regex.hpp"

#include <fmt/format.h>

#include <new>

#include "fastcpp/core/error.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace fastcpp::inline v0 {

struct Regex::State {
  pcre2_code* code = nullptr;
  pcre2_match_data* match = nullptr;
  ~State() {
    pcre2_match_data_free(match);
    pcre2_code_free(code);
  }
};

namespace {

std::string error_text(int error) {
  char text[256] = "";
  pcre2_get_error_message(error, reinterpret_cast<PCRE2_UCHAR*>(text), sizeof(text));
  return text;
}

bool is_utf8_error(int error) {
  return error <= PCRE2_ERROR_UTF8_ERR1 && error >= PCRE2_ERROR_UTF8_ERR21;
}

}  // namespace

Regex::Regex(std::string_view pattern)
    : pattern_(pattern), text_(std::make_unique<State>()), bytes_(std::make_unique<State>()) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  const auto compile = [&](std::uint32_t options) {
    return pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), options,
                         &error, &offset, nullptr);
  };
  // As Python's re on text: characters, not bytes, and \w knows letters of every language.
  text_->code = compile(PCRE2_UTF | PCRE2_UCP);
  if (!text_->code && !is_utf8_error(error)) {
    throw ValueError("value.pattern", fmt::format("the pattern \"{}\" is wrong at byte {}: {}",
                                                  pattern, offset, error_text(error)));
  }
  // For names, and patterns, that are not UTF-8. A pattern may mean something for text only.
  bytes_->code = compile(0);
  if (!text_->code && !bytes_->code) {
    throw ValueError("value.pattern", fmt::format("the pattern \"{}\" is wrong at byte {}: {}",
                                                  pattern, offset, error_text(error)));
  }
  std::uint32_t groups = 0;
  pcre2_pattern_info(text_->code ? text_->code : bytes_->code, PCRE2_INFO_CAPTURECOUNT, &groups);
  if (groups == 0) {
    throw ValueError("value.pattern",
                     fmt::format("the pattern \"{}\" needs a group in parentheses: "
                                 "group 1 is the label",
                                 pattern));
  }
  for (auto* state : {text_.get(), bytes_.get()}) {
    if (!state->code) continue;
    pcre2_jit_compile(state->code, PCRE2_JIT_COMPLETE);
    state->match = pcre2_match_data_create_from_pattern(state->code, nullptr);
    if (!state->match) throw std::bad_alloc();
  }
}

Regex::~Regex() = default;

std::optional<std::string> Regex::search(std::string_view text) const {
  const auto match = [&](const State& state) {
    const auto run = [&](std::uint32_t options) {
      return pcre2_match(state.code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), 0,
                         options, state.match, nullptr);
    };
    const int found = run(0);
    // Compiled code has a small stack of fixed size; without it the heap serves.
    return found == PCRE2_ERROR_JIT_STACKLIMIT ? run(PCRE2_NO_JIT) : found;
  };
  const State* state = text_->code ? text_.get() : bytes_.get();
  int found = match(*state);
  if (is_utf8_error(found)) {
    if (!bytes_->code) {
      throw DataError(
          "data.no_match",
          fmt::format("\"{}\" is not UTF-8 ({}), and the pattern \"{}\" means something "
                      "for text only: rename the file, or write the pattern without "
                      "characters beyond \\xff",
                      text, error_text(found), pattern_));
    }
    state = bytes_.get();
    found = match(*state);
  }
  if (found == PCRE2_ERROR_NOMATCH) return std::nullopt;
  if (found < 0) {
    const bool many = found == PCRE2_ERROR_MATCHLIMIT || found == PCRE2_ERROR_DEPTHLIMIT;
    throw DataError("data.no_match",
                    fmt::format("matching \"{}\" was given up ({}): the pattern \"{}\" {}; make it "
                                "simpler",
                                text, error_text(found), pattern_,
                                many ? "tries too many ways" : "cannot be matched with it"));
  }
  const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(state->match);
  if (found < 2 || ends[2] == PCRE2_UNSET) return std::nullopt;  // a group that took no part
  return std::string(text.substr(ends[2], ends[3] - ends[2]));
}

}  // namespace fastcpp
