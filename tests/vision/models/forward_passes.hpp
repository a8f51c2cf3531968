// Forward passes of the architectures against the reference (forward.json).
#pragma once

#include <string>

namespace fastcpp::test {

// The cases of an architecture in one of the two lists: "full", the whole network, or "cnn", its body and a new head. Returns
// how many there were.
int check_forward(const std::string& list, const std::string& arch);

}  // namespace fastcpp::test
