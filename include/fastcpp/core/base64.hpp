/// \file
/// Bytes as text.
#pragma once

#include <string>
#include <string_view>

#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// Base64 with padding, in one line (RFC 4648, section 4).
FASTCPP_API std::string base64(std::string_view bytes);

}  // namespace fastcpp
