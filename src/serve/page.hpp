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
// Both: what takes the input, then the form for a key, functions that ask and show, and the rest.
std::string page_of(std::string_view title, std::string_view input, std::string_view rest);

}  // namespace fastcpp::serve_detail
