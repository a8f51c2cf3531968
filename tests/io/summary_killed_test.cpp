// Event files when the process is killed, or the disk is full.
#include <csignal>
#include <string>

#include <sys/resource.h>

#include "fastcpp/io/summary_writer.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/event_file.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

TEST_CASE("a process that is killed leaves whole records") {
  TempDir dir;
  const auto result = in_child([&] {
    SummaryWriter writer(dir.path());
    for (int i = 0; i < 100; ++i) writer.add_scalar("loss", i, i);
    return ::raise(SIGKILL);
  });
  CHECK(WIFSIGNALED(result.status));
  const auto files = ls(dir.path());
  REQUIRE(files.size() == 1);
  const auto events = events_of(read_file(files[0]));
  REQUIRE(events.size() == 101);
  CHECK(events.back().scalar() == 99.0F);
}

TEST_CASE("a record that does not fit on the disk leaves no part of itself") {
  TempDir dir;
  const auto result = in_child([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{400, RLIM_INFINITY};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 98;
    SummaryWriter writer(dir.path());
    writer.add_scalar("loss", 1, 1);
    const auto refused = caught([&] { writer.add_text("long", std::string(5000, 'a'), 2); });
    if (refused.code != "io.cannot_write") return 97;
    writer.add_scalar("loss", 3, 3);
    return 0;
  });
  INFO(result.warnings);
  CHECK(result.status == 0);
  const auto files = ls(dir.path());
  REQUIRE(files.size() == 1);
  const auto loss = events_of(events_of(read_file(files[0])), "loss");
  REQUIRE(loss.size() == 2);
  CHECK(loss[1].scalar() == 3.0F);
}
