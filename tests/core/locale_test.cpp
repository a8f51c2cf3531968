// Numbers and messages are the same in every language.
#include <fmt/format.h>

#include <cctype>
#include <clocale>
#include <fstream>
#include <sstream>

#include "core/cpu_quota.hpp"
#include "fastcpp/core/learning_rate.hpp"
#include "fastcpp/core/path.hpp"
#include "fastcpp/core/progress.hpp"
#include "fastcpp/core/python_text.hpp"
#include "support/catch.hpp"
#include "support/foreign_locale.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

TEST_CASE("numbers are written and read the same in every language") {
  for (const auto* name : {"de_DE", "tr_TR"}) {
    const ForeignLocale locale(name);
    INFO(name);
    std::ostringstream proof;
    proof << 1234.5;
    CHECK(proof.str() == "1.234,5");
    if (locale.has_c()) {
      CHECK(std::string(std::localeconv()->decimal_point) == ",");
    } else {
      WARN("skipped for C's functions: " << name << " is not installed and cannot be made");
    }

    CHECK(format_time(3723.9) == "1:02:03");
    CHECK(format_time(360'000'000) == "100000:00:00");
    CHECK(format_table_line({"epoch", "loss"}, {"1000", "0.500000"}) == "1000      0.500000  ");
    CHECK(caught([] { lr_range(-1234.5, 1); }).message.find("-1234.5") != std::string::npos);
    CHECK(caught([] {
            lr_range(std::vector<double>(1234, 1.0), 5678);
          }).message.find("(5678), found 1234;") != std::string::npos);
    CHECK(python_text("I\xC4\xB0") == "'I\xC4\xB0'");

    TempDir dir;
    write_file(dir / "proc/self/cgroup", "0::/\n");
    write_file(dir / "sys/fs/cgroup/cpu.max", "1500000 1000000\n");
    CHECK(cpu_quota(dir.path()) == 2);
    std::ofstream stream(dir / "stream");
    stream << 12345;
    stream.close();
    CHECK(read_file(dir / "stream") == "12.345");  // what others write stays theirs
  }
}
