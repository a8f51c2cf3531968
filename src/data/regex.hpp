// A compiled PCRE2 pattern: Perl syntax as in Python's re on text, without std::regex's recursion. Names that are not UTF-8
// are matched byte by byte. Used from one thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace fastcpp::inline v0 {

class Regex {
 public:
  // Throws ValueError `value.pattern`.
  explicit Regex(std::string_view pattern);
  ~Regex();
  Regex(const Regex&) = delete;
  Regex& operator=(const Regex&) = delete;
  // Group 1 of the first match anywhere in the text; nothing when nothing matches or the group took no part.
  // Throws DataError `data.no_match` when PCRE2 gives up, or a pattern for text only meets a name that is not UTF-8.
  std::optional<std::string> search(std::string_view text) const;

 private:
  struct State;
  std::string pattern_;  // for messages
  std::unique_ptr<State> text_, bytes_;
};

}  // namespace fastcpp
