// Digests of texts in memory.
#pragma once

#include <string>
#include <string_view>

namespace fastcpp {

std::string sha256_text(std::string_view text);

}  // namespace fastcpp
