// Digests of texts in memory.
#pragma once

#include <string>
#include <string_view>

namespace fastcpp::inline v0 {

std::string sha256_text(std::string_view text);

}  // namespace fastcpp
