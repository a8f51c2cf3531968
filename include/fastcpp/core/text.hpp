/// \file
/// Texts from outside, such as names of files and classes, made fit to be shown.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// The length of the well-formed UTF-8 sequence at the start of a text that is not empty, 0 when there is none (RFC 3629).
FASTCPP_API std::size_t utf8_length(std::string_view text);

/// Valid UTF-8: bytes that are not become U+FFFD, control characters a space; newlines stay.
FASTCPP_API std::string clean_text(std::string_view text);

/// A text for HTML, also within a quoted attribute: `clean_text` with `&`, `<`, `>` and both quotes escaped.
FASTCPP_API std::string html_text(std::string_view text);

}  // namespace fastcpp
