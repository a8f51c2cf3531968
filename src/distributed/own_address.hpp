// Which of this machine's addresses others can reach.
#pragma once

#include <string>

namespace fastcpp::inline v0 {

// The address from which this machine talks to another one; empty where it cannot tell. Sends nothing.
std::string own_address(const std::string& host, int port);

}  // namespace fastcpp
