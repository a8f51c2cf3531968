// kill -9 at random moments of a training: what ends at last is what an undisturbed training gives.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "fastcpp/core/path.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
extern char** environ;

namespace {

using Clock = std::chrono::steady_clock;

pid_t start(const std::string& folder, const std::string& precision) {
  std::string program = STARTED_AGAIN, where = folder, how = precision;
  char* arguments[] = {program.data(), where.data(), how.data(), nullptr};
  pid_t child = -1;
  REQUIRE(::posix_spawn(&child, program.c_str(), nullptr, nullptr, arguments, environ) == 0);
  return child;
}

int end_of(pid_t child) {
  int status = -1;
  ::waitpid(child, &status, 0);
  return status;
}

}  // namespace

TEST_CASE("a training that is killed and started again ends as if it had not been") {
  // FASTCPP_KILLS=20 for more of them.
  const char* wanted = std::getenv("FASTCPP_KILLS");
  const int kills = wanted ? std::atoi(wanted) : 3;
  std::mt19937 random(12);
  for (const std::string precision : {"fp32", "bf16"}) {
    const TempDir undisturbed, disturbed;
    const auto began = Clock::now();
    REQUIRE(end_of(start(undisturbed.path().string(), precision)) == 0);
    double whole = std::chrono::duration<double>(Clock::now() - began).count();
    const auto expected = read_file(undisturbed / "result.txt");
    REQUIRE(expected.size() > 1000);
    int killed = 0;
    for (int i = 0; killed < kills && i < 5 * kills; ++i) {
      const double after = std::uniform_real_distribution<double>(0.1, 1)(random) * whole;
      const auto child = start(disturbed.path().string(), precision);
      std::this_thread::sleep_for(std::chrono::duration<double>(after));
      ::kill(child, SIGKILL);
      const int status = end_of(child);
      if (WIFSIGNALED(status)) ++killed;
      if (!WIFSIGNALED(status)) {
        // It was done: from the beginning, so that every kill meets a training. The machine has more time for it than before.
        whole = std::min(whole, after);
        INFO(precision << ", " << i << " kills before, the last after " << after << " s");
        CHECK(status == 0);
        CHECK(read_file(disturbed / "result.txt") == expected);
        std::filesystem::remove_all(disturbed.path());
        std::filesystem::create_directory(disturbed.path());
      }
    }
    CHECK(killed == kills);
    REQUIRE(end_of(start(disturbed.path().string(), precision)) == 0);
    CHECK(read_file(disturbed / "result.txt") == expected);
    fmt::print("{}: {} kills, an undisturbed run takes {:.1f} s\n", precision, killed, whole);
  }
}
