// The page of a server.
#pragma once

#include <string>
#include <string_view>

namespace fastcpp::inline v0::serve_detail {

// What the browser lets the page do: nothing is fetched from elsewhere.
inline constexpr const char* kPagePolicy =
    "default-src 'none'; img-src data: blob:; connect-src 'self'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'";

std::string page(std::string_view title);

}  // namespace fastcpp::serve_detail
