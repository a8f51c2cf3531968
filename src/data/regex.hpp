// A compiled PCRE2 pattern: Perl syntax as in Python's re, without std::regex's recursion.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace fastcpp {

class Regex {
 public:
  // Throws ValueError `value.pattern`.
  explicit Regex(std::string_view pattern);
  ~Regex();
  Regex(const Regex&) = delete;
  Regex& operator=(const Regex&) = delete;
  // Group 1 of the first match anywhere in the text.
  std::optional<std::string> search(std::string_view text) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fastcpp
