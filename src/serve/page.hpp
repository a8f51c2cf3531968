// The page of a server.
#pragma once

#include <string>
#include <string_view>

#include "fastcpp/io/recipe.hpp"

namespace fastcpp::inline v0::serve_detail {

// What the browser lets the page do: nothing is fetched from elsewhere.
inline constexpr const char* kPagePolicy =
    "default-src 'none'; img-src data: blob:; connect-src 'self'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'";

// Takes a picture.
std::string page(std::string_view title);
// Has a form with the columns of a table, or user and item.
std::string rows_page(std::string_view title, const Recipe& items);
// The beginning of both, up to the heading.
std::string page_head(std::string_view title);

}  // namespace fastcpp::serve_detail
