#include "support/python.hpp"

#include <fmt/format.h>

#include <cstdlib>

#include "fastcpp/core/path.hpp"
#include "support/catch.hpp"

namespace fastcpp::test {
namespace {

std::string python() {
  const char* given = std::getenv("FASTCPP_PYTHON");
  return given ? given : "/usr/bin/python3";
}

}  // namespace

bool python_has(const std::string& modules) {
  return std::system(fmt::format("{} -c 'import {}' >/dev/null 2>&1", python(), modules).c_str()) ==
         0;
}

std::string run_python(const TempDir& dir, const std::string& script) {
  write_file(dir / "script.py", script);
  const int status = std::system(
      fmt::format("cd '{}' && {} script.py > log.txt 2>&1", dir.path().string(), python()).c_str());
  const auto log = read_file(dir / "log.txt");
  INFO(log);
  REQUIRE(status == 0);
  return log;
}

}  // namespace fastcpp::test
