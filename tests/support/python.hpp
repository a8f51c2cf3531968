// Python on the other side of a file, where there is one (FASTCPP_PYTHON, else /usr/bin/python3).
#pragma once

#include <string>

#include "support/support.hpp"

namespace fastcpp::test {

// Whether Python can import all these modules, separated by commas.
bool python_has(const std::string& modules);

// Runs a script in the folder and gives what it printed; fails the test when it fails.
std::string run_python(const TempDir& dir, const std::string& script);

}  // namespace fastcpp::test
