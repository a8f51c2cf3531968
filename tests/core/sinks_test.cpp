// Sinks that throw, log, call back, are shared by threads, or write where nobody reads.
#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <future>
#include <map>
#include <stdexcept>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <signal.h>

#include "fastcpp/core/log.hpp"
#include "fastcpp/core/progress.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
using namespace std::chrono_literals;

namespace {

class WithLogSink {
 public:
  explicit WithLogSink(LogSink sink) : former_(set_log_sink(std::move(sink))) {}
  ~WithLogSink() { set_log_sink(former_); }

 private:
  LogSink former_;
};

// Counts what it is told, and how many threads are in it at once.
class CountingSink : public ProgressSink {
 public:
  void table_header(const std::vector<std::string>&) override { visit("header"); }
  void table_row(const TableRow&) override { visit("row"); }
  void begin(const ProgressTask&) override { visit("begin"); }
  void update(std::int64_t, std::string_view) override { visit("update"); }
  void end() override { visit("end"); }

  std::map<std::string, int> count;
  std::atomic<int> inside = 0, most_inside = 0;
  std::function<void(const std::string&)> then;

 private:
  void visit(const std::string& what) {
    most_inside = std::max(most_inside.load(), ++inside);
    ++count[what];
    if (then) {
      try {
        then(what);
      } catch (...) {
        --inside;
        throw;
      }
    }
    --inside;
  }
};

void show_all(const std::shared_ptr<ProgressSink>& sink) {
  show_table_header(sink, {"epoch", "loss"});
  ProgressBar bar(sink, {.total = 2});
  bar.update(1);
  bar.update(2, "0.5");
  show_table_row(sink, {.epoch = 0, .cells = {"0", "0.5"}, .values = {0, 0.5}});
}

}  // namespace

TEST_CASE("a log sink that throws is told so once, and asked again") {
  std::vector<std::string> told;
  const WithLogSink sink([&](LogLevel, std::string_view message) {
    told.emplace_back(message);
    throw std::runtime_error("disk full");
  });
  log_info("one");
  log_warning("two");
  REQUIRE(told.size() == 3);
  CHECK(told[0] == "one");
  CHECK(told[1].find("disk full") != std::string::npos);
  CHECK(told[2] == "two");
}

TEST_CASE("a log sink that throws something else") {
  const WithLogSink sink([](LogLevel, std::string_view) { throw 5; });
  log_info("one");
}

TEST_CASE("a log sink may log") {
  std::vector<std::string> told;
  const WithLogSink sink([&](LogLevel, std::string_view message) {
    told.emplace_back(message);
    log_info(fmt::format("after {}", message));  // for ever, if it could
  });
  log_info("one");
  log_info("two");
  CHECK(told == std::vector<std::string>{"one", "after one", "two", "after two"});
}

TEST_CASE("a log sink may replace itself") {
  std::vector<std::string> told;
  const WithLogSink sink([&](LogLevel, std::string_view message) {
    told.emplace_back(message);
    set_log_sink([&told](LogLevel, std::string_view later) {
      told.push_back(fmt::format("second: {}", later));
    });
  });
  log_info("one");
  log_info("two");
  CHECK(told == std::vector<std::string>{"one", "second: two"});
}

TEST_CASE("threads that log meet the sink one at a time, in their order") {
  constexpr int kThreads = 4, kMessages = 500;
  std::map<char, std::vector<int>> told;
  std::atomic<int> inside = 0, most = 0;
  {
    const WithLogSink sink([&](LogLevel, std::string_view message) {
      most = std::max(most.load(), ++inside);
      told[message[0]].push_back(std::atoi(message.data() + 1));
      --inside;
    });
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([t] {
        for (int i = 0; i < kMessages; ++i) log_info(fmt::format("{}{}", char('a' + t), i));
      });
    }
    for (auto& thread : threads) thread.join();
  }
  CHECK(most == 1);
  REQUIRE(told.size() == kThreads);
  for (const auto& [name, numbers] : told) {
    INFO(name);
    REQUIRE(numbers.size() == kMessages);
    CHECK(std::is_sorted(numbers.begin(), numbers.end()));
  }
}

TEST_CASE("a log sink may wait for a thread that logs") {
  std::vector<std::string> told;
  const WithLogSink sink([&](LogLevel, std::string_view message) {
    told.emplace_back(message);
    if (message == "one") std::thread([] { log_info("from the other thread"); }).join();
  });
  log_info("one");
  CHECK(told == std::vector<std::string>{"one", "from the other thread"});
}

TEST_CASE("a replaced log sink is no longer called") {
  std::promise<void> entered;
  std::atomic<bool> left = false;
  auto former = set_log_sink([&](LogLevel, std::string_view) {
    entered.set_value();
    std::this_thread::sleep_for(100ms);
    left = true;
  });
  std::thread thread([] { log_info("one"); });
  entered.get_future().wait();
  set_log_sink(former);
  CHECK(left);
  thread.join();
}

TEST_CASE("a progress sink that throws is reported once, and everything goes on") {
  CapturedLog log;
  auto sink = std::make_shared<CountingSink>();
  sink->then = [](const std::string&) { throw std::runtime_error("window closed"); };
  show_all(sink);
  // A bar that ends while an exception is on its way must not end the process.
  try {
    const ProgressBar bar(sink, {});
    throw std::runtime_error("the cause");
  } catch (const std::runtime_error& e) {
    CHECK(e.what() == std::string("the cause"));
  }
  REQUIRE(log.warnings.size() == 1);
  CHECK(log.warnings[0].find("window closed") != std::string::npos);
  CHECK(sink->count == std::map<std::string, int>{
                           {"header", 1}, {"begin", 2}, {"update", 2}, {"row", 1}, {"end", 2}});
}

TEST_CASE("a progress sink may log, and may show progress") {
  CapturedLog log;
  auto sink = std::make_shared<CountingSink>();
  sink->then = [&](const std::string& what) {
    log_info(what);
    show_all(sink);  // for ever, if it could
  };
  { const ProgressBar bar(sink, {}); }
  CHECK(sink->most_inside == 1);
  CHECK(sink->count["begin"] == sink->count["end"]);
  CHECK(sink->count["begin"] > 1);
  CHECK(log.info.size() >= 2);
}

TEST_CASE("threads that share a progress sink meet it one at a time") {
  auto sink = std::make_shared<CountingSink>();
  sink->then = [](const std::string&) { std::this_thread::yield(); };
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) show_all(sink);
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(sink->most_inside == 1);
  for (const auto* what : {"header", "begin", "row", "end"}) {
    INFO(what);
    CHECK(sink->count[what] == 400);
  }
}

TEST_CASE("without a sink nobody is told") {
  show_all(nullptr);
  const auto former = set_progress_sink(nullptr);
  REQUIRE(progress_sink() != nullptr);
  show_all(progress_sink());
  set_progress_sink(former);
}

namespace {

// Table, bar and messages on the console that comes with the library; `prepare` has spoilt the streams.
ChildResult on_console(const std::function<void()>& prepare) {
  return in_child([&] {
    prepare();
    ::signal(SIGPIPE, SIG_DFL);
    set_progress_sink(console_progress());
    for (int i = 0; i < 3; ++i) {
      show_all(progress_sink());
      log_info("information");
    }
    log_warning("still here");
    return 0;
  });
}

void check_given_up(const ChildResult& result) {
  CHECK(result.status == 0);
  INFO(result.warnings);
  const auto first = result.warnings.find("warning: cannot write to the standard output: ");
  CHECK(first != std::string::npos);
  CHECK(result.warnings.find("cannot write", first + 15) == std::string::npos);
  CHECK(result.warnings.find("warning: still here\n") != std::string::npos);
}

}  // namespace

TEST_CASE("standard output that is closed") {
  check_given_up(on_console([] { ::close(STDOUT_FILENO); }));
}

TEST_CASE("standard output on a full disk", "[skips]") {
  const int full = ::open("/dev/full", O_WRONLY);
  if (full < 0) return skip("there is no /dev/full here");
  const auto result = on_console([&] { ::dup2(full, STDOUT_FILENO); });
  ::close(full);
  check_given_up(result);
  CHECK(result.warnings.find("No space left") != std::string::npos);
}

TEST_CASE("standard output that nobody reads any more") {
  check_given_up(on_console([] {
    int ends[2];
    if (::pipe(ends) != 0) ::_exit(98);
    ::dup2(ends[1], STDOUT_FILENO);
    ::close(ends[0]);
    ::close(ends[1]);
  }));
}

TEST_CASE("a terminal that goes away", "[skips]") {
  const int master = ::posix_openpt(O_RDWR | O_NOCTTY);
  if (master < 0 || ::grantpt(master) != 0 || ::unlockpt(master) != 0)
    return skip("there are no pseudo-terminals here");
  const int slave = ::open(::ptsname(master), O_RDWR | O_NOCTTY);
  REQUIRE(slave >= 0);
  ::close(master);
  const auto result = on_console([&] { ::dup2(slave, STDOUT_FILENO); });
  ::close(slave);
  check_given_up(result);
}

TEST_CASE("standard error that is closed or full") {
  for (const char* file : {"", "/dev/full"}) {
    const auto result = on_console([&] {
      ::close(STDERR_FILENO);
      ::close(STDOUT_FILENO);
      if (*file) {
        ::open(file, O_WRONLY);
        ::open(file, O_WRONLY);
      }
    });
    CHECK(result.status == 0);
  }
}

TEST_CASE("what the program printed before stands before what the library prints") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const auto result = on_console([&] {
    ::dup2(ends[1], STDOUT_FILENO);
    std::printf("mine\n");  // still in the buffer of stdio
  });
  ::close(ends[1]);
  std::string text(4096, '\0');
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(0, ::read(ends[0], text.data(), 4096))));
  ::close(ends[0]);
  CHECK(result.status == 0);
  CHECK(result.warnings == "warning: still here\n");
  // The test program's own output may stand before it.
  CHECK(text.find("mine\nepoch     loss") != std::string::npos);
}
