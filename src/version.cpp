#include "fastcpp/version.hpp"

#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {
FASTCPP_API extern const int version[3];
const int version[3] = {FASTCPP_VERSION_MAJOR, FASTCPP_VERSION_MINOR, FASTCPP_VERSION_PATCH};
}  // namespace fastcpp
