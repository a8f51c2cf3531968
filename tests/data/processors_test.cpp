#include "data/processors.hpp"

#include <thread>

#include "support/catch.hpp"

#ifdef __linux__

namespace {

cpu_set_t allowed() {
  cpu_set_t set;
  CPU_ZERO(&set);
  ::sched_getaffinity(0, sizeof set, &set);
  return set;
}

}  // namespace

TEST_CASE("a loading thread leaves one processor and may come back") {
  const cpu_set_t before = allowed();
  cpu_set_t kept = before, away, back, other;
  const int processor = ::sched_getcpu();
  REQUIRE(processor >= 0);
  std::jthread([&] {
    fastcpp::detail::Processors processors;
    processors.avoid(processor);
    away = allowed();
    processors.avoid(-1);
    back = allowed();
  }).join();
  // The calling thread, whose processor it is, stays as it was.
  other = allowed();
  if (CPU_COUNT(&before) > 1) CPU_CLR(static_cast<unsigned>(processor), &kept);
  CHECK(CPU_EQUAL(&away, &kept));
  CHECK(CPU_EQUAL(&back, &before));
  CHECK(CPU_EQUAL(&other, &before));
}

TEST_CASE("a loading thread with one processor keeps it") {
  cpu_set_t one, after;
  std::jthread([&] {
    const int processor = ::sched_getcpu();
    CPU_ZERO(&one);
    CPU_SET(static_cast<unsigned>(processor), &one);
    ::sched_setaffinity(0, sizeof one, &one);
    fastcpp::detail::Processors processors;
    processors.avoid(processor);
    after = allowed();
  }).join();
  CHECK(CPU_EQUAL(&after, &one));
}

TEST_CASE("the processor of a thread is known to the others") {
  const int processor = ::sched_getcpu();
  int other = 0, seen = -1;
  std::jthread([&] {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<unsigned>(processor), &one);
    ::sched_setaffinity(0, sizeof one, &one);
    other = fastcpp::detail::this_thread();
    std::jthread([&] { seen = fastcpp::detail::processor_of(other); }).join();
  }).join();
  CHECK(other > 0);
  CHECK(other != fastcpp::detail::this_thread());
  CHECK(seen == processor);
  CHECK(fastcpp::detail::processor_of(0) == -1);
}

#endif
