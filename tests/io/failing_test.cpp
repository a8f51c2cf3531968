// Downloads and archives where the system fails: full disks, sinks that throw, locks that are not there, closed streams.
#include <atomic>
#include <stdexcept>

#include <signal.h>
#include <sys/resource.h>

#include "failing_support.hpp"
#include "fastcpp/core/path.hpp"
#include "fastcpp/core/progress.hpp"
#include "fastcpp/io/download.hpp"
#include "fastcpp/io/untar.hpp"
#include "io_support.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
using Request = HttpServer::Request;
using Response = HttpServer::Response;
namespace fs = std::filesystem;

namespace {

// Files may become no longer than this; to be used in a child.
bool limit_files(rlim_t bytes) {
  ::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit{bytes, bytes};
  return ::setrlimit(RLIMIT_FSIZE, &limit) == 0;
}

struct ThrowingSink : ProgressSink {
  void begin(const ProgressTask&) override { throw std::runtime_error("begin"); }
  void update(std::int64_t, std::string_view) override { throw 42; }
  void end() override { throw std::runtime_error("end"); }
};

struct ScopedSink {
  explicit ScopedSink(std::shared_ptr<ProgressSink> sink)
      : former(set_progress_sink(std::move(sink))) {}
  ~ScopedSink() { set_progress_sink(former); }
  std::shared_ptr<ProgressSink> former;
};

// A user who presses the button.
struct StoppingSink : ProgressSink {
  void update(std::int64_t, std::string_view) override {
    source.request_stop();
    ++updates;
  }
  std::stop_source source;
  int updates = 0;
};

// A bar on streams that the program has closed.
struct PrintingSink : ProgressSink {
  void begin(const ProgressTask&) override { print(); }
  void update(std::int64_t, std::string_view) override { print(); }
  void print() {
    for (int fd = 0; fd <= 2; ++fd) printed += ::write(fd, "!", 1) == 1;
  }
  int printed = 0;
};

struct NotingSink : ProgressSink {
  void begin(const ProgressTask& task) override { began.push_back(task.what); }
  void end() override { ++ended; }
  std::vector<std::string> began;
  int ended = 0;
};

}  // namespace

TEST_CASE("a download that does not fit the disk") {
  TempDir dir;
  const std::string bytes = content();
  write_file(dir / "source", bytes);
  write_file(dir / "a", "old");
  // With a server of its own: the child must be the only process that knows its threads.
  const auto result = in_child([&] {
    if (!limit_files(100'000)) return 98;
    HttpServer server(
        [&](const Request&, int) { return Response{.body = bytes, .etag = "\"one\""}; });
    auto options = fast();
    options.overwrite = true;
    for (const auto& url : {server.url("/a"), file_url(dir / "source")}) {
      const auto error = caught([&] { download_url(url, dir / "a", options); });
      if (error.code != "io.cannot_write") return 1;
      if (!has(error.message, (dir / "a").string()) || !has(error.message, "space")) return 2;
      if (read_file(dir / "a") != "old") return 3;
    }
    return 0;
  });
  CHECK(result.status == 0);
  CHECK(ls(dir.path()).size() == 2);
  // When there is room again, it works.
  HttpServer server(
      [&](const Request&, int) { return Response{.body = bytes, .etag = "\"one\""}; });
  auto options = fast();
  options.overwrite = true;
  download_url(server.url("/a"), dir / "a", options);
  CHECK(read_file(dir / "a") == bytes);
  CHECK(ls(dir.path()).size() == 2);
}

TEST_CASE("an archive that does not fit the disk") {
  TempDir dir;
  pack(dir / "x.tar", "x", content());
  const auto result = in_child([&] {
    if (!limit_files(100'000)) return 98;
    const auto error = caught([&] { extract_archive(dir / "x.tar", dir / "x"); });
    if (error.code != "io.cannot_write" || !has(error.message, "space")) return 1;
    return 0;
  });
  CHECK(result.status == 0);
  CHECK(ls(dir.path()).size() == 1);
  CHECK(extract_archive(dir / "x.tar", dir / "x"));
}

TEST_CASE("a disk that takes nothing and says nothing") {
  TempDir dir;
  pack(dir / "x.tar", "x", content());
  // In a child, so that a loop without end does not hold the others up.
  const auto result = in_child([&] {
    ::alarm(20);
    const ScopedFaults none{{.full = true}};
    if (caught([&] { download_url(file_url(dir / "x.tar"), dir / "y", fast()); }).code !=
        "io.cannot_write")
      return 1;
    if (caught([&] { extract_archive(dir / "x.tar", dir / "x"); }).code != "io.cannot_write")
      return 2;
    return caught([&] { write_file(dir / "z", "x"); }).code == "io.cannot_write" ? 0 : 3;
  });
  CHECK(result.status == 0);
  CHECK(ls(dir.path()).size() == 1);
}

TEST_CASE("what arrives is flushed before it gets its name") {
  TempDir dir;
  pack(dir / "x.tar", "x");
  {
    const ScopedFaults watched;
    download_url(file_url(dir / "x.tar"), dir / "y.tar", fast());
    CHECK(watched.done == std::vector<std::string>{"fsync", "rename", "fsync"});
  }
  {
    const ScopedFaults watched;
    extract_archive(dir / "x.tar", dir / "x");
    CHECK(watched.done == std::vector<std::string>{"syncfs", "rename", "fsync"});
  }
  const ScopedFaults failing{{.no_flush = true}};
  CHECK(caught([&] { download_url(file_url(dir / "x.tar"), dir / "z.tar", fast()); }).code ==
        "io.cannot_write");
  CHECK(caught([&] { extract_archive(dir / "x.tar", dir / "z"); }).code == "io.cannot_write");
  CHECK(ls(dir.path()).size() == 3);
}

TEST_CASE("a sink that throws changes nothing") {
  TempDir dir;
  CapturedLog log;
  pack(dir / "x.tar", "x", content());
  const ScopedSink sink(std::make_shared<ThrowingSink>());
  HttpServer server([&](const Request&, int n) {
    return n == 0 ? Response{.body = content()} : Response{.status = 404, .body = "no"};
  });
  download_url(server.url("/a"), dir / "a", fast());
  CHECK(read_file(dir / "a") == content());
  CHECK(caught([&] { download_url(server.url("/b"), dir / "b", fast()); }).code ==
        "download.http_status");
  download_url(file_url(dir / "a"), dir / "c", fast());
  CHECK(extract_archive(dir / "x.tar", dir / "x"));
  CHECK(read_file(dir / "x/a") == content());
  CHECK(log.warnings.size() == 1);
}

TEST_CASE("bars are named and end, whatever happens") {
  TempDir dir;
  pack(dir / "x.tar", "x", content());
  auto notes = std::make_shared<NotingSink>();
  const ScopedSink sink(notes);
  auto options = fast();
  options.max_bytes = 1000;
  CHECK(caught([&] { extract_archive(dir / "x.tar", dir / "x", {.max_bytes = 1000}); }).code ==
        "archive.too_large");
  HttpServer server(
      [&](const Request&, int) { return Response{.body = content(), .cut_after = 100'000}; });
  options.max_bytes = 1'000'000;
  options.retries = 0;
  CHECK(caught([&] { download_url(server.url("/a"), dir / "b", options); }).code ==
        "download.incomplete");
  CHECK(notes->began == std::vector<std::string>{"x.tar", "b"});
  CHECK(notes->ended == 2);
}

TEST_CASE("work that is stopped leaves nothing behind") {
  TempDir dir;
  pack(dir / "x.tar", "x", content());
  std::stop_source source;
  source.request_stop();
  auto options = fast();
  options.stop = source.get_token();
  CHECK(caught([&] { download_url(file_url(dir / "x.tar"), dir / "y", options); }).code ==
        "io.cancelled");
  CHECK(caught([&] {
          extract_archive(dir / "x.tar", dir / "x", {.stop = source.get_token()});
        }).code == "io.cancelled");
  CHECK(ls(dir.path()).size() == 1);

  // In the middle.
  pack(dir / "long.tar", "long", content(3'000'000));
  for (int i = 0; i < 2; ++i) {
    const auto stopper = std::make_shared<StoppingSink>();
    const ScopedSink sink(stopper);
    options.stop = stopper->source.get_token();
    const auto error = caught([&] {
      i == 0 ? download_url(file_url(dir / "long.tar"), dir / "y", options)
             : static_cast<void>(
                   extract_archive(dir / "long.tar", dir / "long", {.stop = options.stop}));
    });
    CHECK(error.code == "io.cancelled");
    CHECK(stopper->updates == 1);
    CHECK(ls(dir.path()).size() == 2);
  }
}

TEST_CASE("a file system without locks") {
  TempDir dir;
  pack(dir / "x.tar", "x", content());
  HttpServer server([&](const Request&, int n) {
    Response response{.body = content(), .etag = "\"one\""};
    if (n == 0) response.cut_after = 100'000;
    return response;
  });
  auto options = fast();
  options.retries = 0;
  const ScopedFaults faulty{{.no_locks = true}};
  CHECK(caught([&] { download_url(server.url("/a"), dir / "a", options); }).code ==
        "download.incomplete");
  CHECK(caught([&] { extract_archive(dir / "x.tar", dir / "x", {.max_bytes = 9}); }).code ==
        "archive.too_large");
  CHECK(ls(dir.path()).size() == 1);
  download_url(server.url("/a"), dir / "a", options);
  extract_archive(dir / "x.tar", dir / "x");
  CHECK(read_file(dir / "a") == content());
  CHECK(read_file(dir / "x/a") == content());
  CHECK(ls(dir.path()).size() == 3);
}

TEST_CASE("leftovers that cannot be removed are named") {
  TempDir dir;
  pack(dir / "x.tar", "x");
  write_file(dir / "x.part/x/old", "left over");
  Caught error;
  {
    const ScopedFaults faulty{{.busy = true}};
    error = caught([&] { extract_archive(dir / "x.tar", dir / "x"); });
  }
  CHECK(error.code == "io.cannot_write");
  CHECK(has(error.message, (dir / "x.part").string()));
  CHECK_FALSE(fs::exists(dir / "x"));
}

TEST_CASE("libcurl that fails") {
  TempDir dir;
  HttpServer server([&](const Request&, int n) {
    Response response{.body = content(), .etag = "\"one\""};
    if (n == 0) response.cut_after = 100'000;
    return response;
  });
  auto options = fast();
  options.retries = 0;
  CHECK(caught([&] { download_url(server.url("/a"), dir / "a", options); }).code ==
        "download.incomplete");
  const auto code = [&](const Faults& wanted) {
    const ScopedFaults faulty(wanted);
    return caught([&] { download_url(server.url("/a"), dir / "a", options); }).code;
  };
  CHECK(code({.no_list = true}) == "train.out_of_memory");
  CHECK(code({.no_transfer = true}) == "download.failed");
  CHECK(code({.no_wait = true}) == "download.failed");
  download_url(server.url("/a"), dir / "a", options);
  CHECK(read_file(dir / "a") == content());
}

TEST_CASE("libcurl that cannot start, at first") {
  if (curl_is_ready()) return;  // once a process; CTest runs this test in one of its own
  TempDir dir;
  HttpServer server([&](const Request&, int) { return Response{.body = content()}; });
  {
    const ScopedFaults faulty{{.no_start = true}};
    CHECK(caught([&] { download_url(server.url("/a"), dir / "a", fast()); }).code ==
          "download.failed");
    CHECK(ls(dir.path()).empty());
  }
  download_url(server.url("/a"), dir / "a", fast());
  CHECK(read_file(dir / "a") == content());
}

TEST_CASE("a note on a part that cannot be read") {
  TempDir dir;
  HttpServer server(
      [&](const Request&, int) { return Response{.body = content(), .etag = "\"one\""}; });
  const int kind = GENERATE(0, 1, 2);
  CAPTURE(kind);
  write_file(dir / "a.part", "half");
  if (kind == 0) write_file(dir / "a.part.info/x", "a folder");
  if (kind == 1) fs::create_symlink("a.part.info", dir / "a.part.info");
  if (kind == 2) write_file(dir / "a.part.info", std::string("\0\xff\n\n", 4));
  download_url(server.url("/a"), dir / "a", fast());
  CHECK(read_file(dir / "a") == content());
  CHECK(ls(dir.path()).size() == (kind == 0 ? 2 : 1));
}

TEST_CASE("what is printed to closed streams lands in no file and goes to no server") {
  TempDir dir;
  CapturedLog log;
  pack(dir / "x.tar", "x", content());
  const auto result = in_child([&] {
    ::alarm(60);
    const OtherServer server([](const Request&, int) { return Response{.body = content()}; });
    const ScopedSink sink(std::make_shared<PrintingSink>());
    for (int fd = 0; fd <= 2; ++fd) ::close(fd);
    for (const auto& url : {server.url, file_url(dir / "x.tar")}) {
      if (!caught([&] {
             download_url(url, dir / url.substr(url.size() - 1), fast());
           }).code.empty())
        return 1;
    }
    if (!caught([&] { extract_archive(dir / "x.tar", dir / "x"); }).code.empty()) return 2;
    return 0;
  });
  CHECK(result.status == 0);
  CHECK(read_file(dir / "a") == content());
  CHECK(read_file(dir / "r") == read_file(dir / "x.tar"));
  CHECK(read_file(dir / "x/a") == content());
}
