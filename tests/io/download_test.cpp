// download_url against a server that cuts, stalls, redirects and lies.
#include <fmt/format.h>

#include <fstream>
#include <thread>

#include "fastcpp/core/path.hpp"
#include "fastcpp/core/progress.hpp"
#include "fastcpp/io/checksum.hpp"
#include "fastcpp/io/download.hpp"
#include "io_support.hpp"
#include "support/catch.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
using namespace std::chrono_literals;
using Request = HttpServer::Request;
using Response = HttpServer::Response;

namespace {

bool clean(const TempDir& dir) {
  for (const Path& file : ls(dir.path())) {
    if (file.string().find(".part") != std::string::npos) return false;
  }
  return true;
}

struct CountingProgress : ProgressSink {
  void begin(const ProgressTask& task) override { totals.push_back(task.total); }
  void update(std::int64_t done, std::string_view) override { last = done; }
  void end() override { ++ended; }
  std::vector<std::int64_t> totals;
  std::int64_t last = 0;
  int ended = 0;
};

}  // namespace

TEST_CASE("a file is downloaded once") {
  TempDir dir;
  const std::string bytes = content();
  HttpServer server([&](const Request&, int) { return Response{.body = bytes}; });
  auto progress = std::make_shared<CountingProgress>();
  const auto former = set_progress_sink(progress);
  download_url(server.url("/a"), dir / "sub/a.bin", fast());
  set_progress_sink(former);

  CHECK(read_file(dir / "sub/a.bin") == bytes);
  CHECK(ls(dir / "sub").size() == 1);
  CHECK(progress->totals == std::vector<std::int64_t>{300'000});
  CHECK(progress->last == 300'000);
  CHECK(progress->ended == 1);
  CHECK(server.requests()[0].headers.at("user-agent").starts_with("Mozilla/5.0"));

  download_url(server.url("/a"), dir / "sub/a.bin", fast());
  CHECK(server.requests().size() == 1);
  auto options = fast();
  options.overwrite = true;
  download_url(server.url("/a"), dir / "sub/a.bin", options);
  CHECK(server.requests().size() == 2);
}

TEST_CASE("an empty file is a file") {
  TempDir dir;
  HttpServer server([&](const Request&, int) { return Response{.body = ""}; });
  download_url(server.url("/a"), dir / "a", fast());
  CHECK(read_file(dir / "a").empty());
  CHECK(clean(dir));
}

TEST_CASE("a cut download goes on where it ended") {
  TempDir dir;
  const std::string bytes = content();
  HttpServer server([&](const Request&, int n) {
    Response response{.body = bytes, .etag = "\"one\""};
    if (n < 2) response.cut_after = 100'000;
    return response;
  });
  download_url(server.url("/a"), dir / "a", fast());
  CHECK(read_file(dir / "a") == bytes);
  const auto requests = server.requests();
  REQUIRE(requests.size() == 3);
  CHECK(requests[0].headers.count("range") == 0);
  CHECK(requests[1].headers.at("range") == "bytes=100000-");
  CHECK(requests[1].headers.at("if-range") == "\"one\"");
  CHECK(requests[2].headers.at("range") == "bytes=200000-");
  CHECK(clean(dir));
}

TEST_CASE("a later call goes on as well") {
  TempDir dir;
  const std::string bytes = content();
  HttpServer server([&](const Request&, int n) {
    Response response{.body = bytes,
                      .headers = {{"Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT"}}};
    // The server compares with its ETag, which this answer does not have.
    if (n == 0) response.cut_after = 100'000;
    if (n == 1) response.etag = "Wed, 21 Oct 2015 07:28:00 GMT";
    return response;
  });
  auto options = fast();
  options.retries = 0;
  const auto error = caught([&] { download_url(server.url("/a"), dir / "a", options); });
  CHECK(error.code == "download.incomplete");
  CHECK(error.message.find("100000 of 300000") != std::string::npos);
  CHECK(error.message.find("kept") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(dir / "a"));
  download_url(server.url("/a"), dir / "a", options);
  CHECK(read_file(dir / "a") == bytes);
  CHECK(server.requests()[1].headers.at("range") == "bytes=100000-");
  CHECK(clean(dir));
}

TEST_CASE("a part is dropped when it cannot be continued") {
  TempDir dir;
  const std::string bytes = content(), newer = content(250'000, 2);
  // What the second and later answers do; the first is cut.
  const int kind = GENERATE(0, 1, 2, 3, 4);
  CAPTURE(kind);
  HttpServer server([&](const Request&, int n) {
    Response response{.body = bytes, .etag = "\"one\""};
    if (n == 0) response.cut_after = 100'000;
    if (kind == 0 && n > 0) response.ranges = false;
    if (kind == 1 && n > 0) response = {.body = newer, .etag = "\"two\""};
    if (kind == 2 && n == 1) response.claimed_range = "bytes 0-299999/300000";
    if (kind == 3 && n == 1) response.claimed_range = "bytes 100000-399999/400000";
    if (kind == 4) response.etag.clear();  // nothing to recognise the file by
    return response;
  });
  download_url(server.url("/a"), dir / "a", fast());
  CHECK(read_file(dir / "a") == (kind == 1 ? newer : bytes));
  const auto requests = server.requests();
  CHECK(requests[1].headers.count("range") == (kind == 4 ? 0 : 1));
  CHECK(requests.size() == (kind == 2 || kind == 3 ? 3 : 2));
  CHECK(clean(dir));
}

TEST_CASE("a part of another address is not continued") {
  TempDir dir;
  HttpServer server([&](const Request& request, int n) {
    Response response{.body = content(300'000, request.path == "/a" ? 1 : 2), .etag = "\"same\""};
    if (n == 0) response.cut_after = 100'000;
    return response;
  });
  auto options = fast();
  options.retries = 0;
  CHECK(caught([&] { download_url(server.url("/a"), dir / "x", options); }).code ==
        "download.incomplete");
  download_url(server.url("/b"), dir / "x", options);
  CHECK(read_file(dir / "x") == content(300'000, 2));
  CHECK(server.requests()[1].headers.count("range") == 0);
}

TEST_CASE("retries are bounded, progress renews them") {
  TempDir dir;
  const std::string bytes = content(5'000'000);
  SECTION("no progress") {
    HttpServer server([&](const Request&, int) {
      return Response{.body = bytes, .etag = "\"one\"", .cut_after = 0};
    });
    const auto error = caught([&] { download_url(server.url("/a"), dir / "a", fast()); });
    CHECK(error.code == "download.incomplete");
    CHECK(server.requests().size() == 4);
    CHECK(clean(dir));
  }
  SECTION("progress") {
    HttpServer server([&](const Request&, int) {
      return Response{.body = bytes, .etag = "\"one\"", .cut_after = 1'100'000};
    });
    auto options = fast();
    options.retries = 1;
    download_url(server.url("/a"), dir / "a", options);
    CHECK(read_file(dir / "a") == bytes);
    CHECK(server.requests().size() == 5);
  }
}

TEST_CASE("a silent server does not hang us") {
  TempDir dir;
  const std::string bytes = content();
  auto options = fast();
  options.stall_timeout = 150ms;
  options.retries = 1;
  const auto start = std::chrono::steady_clock::now();
  SECTION("before the headers") {
    HttpServer server(
        [&](const Request&, int) { return Response{.body = "", .stall_headers = true}; });
    CHECK(caught([&] { download_url(server.url("/a"), dir / "a", options); }).code ==
          "download.timeout");
    CHECK(server.requests().size() == 2);
    CHECK(clean(dir));
  }
  SECTION("in the middle, then well") {
    HttpServer server([&](const Request&, int n) {
      Response response{.body = bytes, .etag = "\"one\""};
      if (n == 0) response.stall_after = 50'000;
      return response;
    });
    download_url(server.url("/a"), dir / "a", options);
    CHECK(read_file(dir / "a") == bytes);
    CHECK(server.requests()[1].headers.at("range") == "bytes=50000-");
  }
  // Two time-outs of 150 ms; the rest is room for a busy machine.
  CHECK(std::chrono::steady_clock::now() - start < 5s);
}

TEST_CASE("what a status means") {
  TempDir dir;
  SECTION("not found is final") {
    HttpServer server([&](const Request&, int) { return Response{.status = 404, .body = "no"}; });
    const auto error = caught([&] { download_url(server.url("/a"), dir / "a", fast()); });
    CHECK(error.code == "download.http_status");
    CHECK(error.message.find("404") != std::string::npos);
    CHECK(server.requests().size() == 1);
    CHECK(ls(dir.path()).empty());
  }
  SECTION("busy passes") {
    HttpServer server([&](const Request&, int n) {
      return n < 2 ? Response{.status = 503, .body = "busy"} : Response{.body = "good"};
    });
    download_url(server.url("/a"), dir / "a", fast());
    CHECK(read_file(dir / "a") == "good");
  }
  SECTION("busy for ever") {
    HttpServer server([&](const Request&, int) { return Response{.status = 503, .body = "busy"}; });
    CHECK(caught([&] { download_url(server.url("/a"), dir / "a", fast()); }).code ==
          "download.http_status");
    CHECK(server.requests().size() == 4);
    CHECK(ls(dir.path()).empty());
  }
}

TEST_CASE("redirects are followed so far and no further") {
  TempDir dir;
  HttpServer server([&](const Request& request, int) {
    const std::string& path = request.path;
    if (path == "/file") return Response{.body = "good"};
    Response response{.status = 302, .body = "elsewhere"};
    std::string target = "/file";
    if (path == "/3") target = "/2";
    if (path == "/2") target = "/1";
    if (path == "/loop") target = "/loop";
    if (path == "/disk") target = "file:///etc/hostname";
    response.headers = {{"Location", target}};
    return response;
  });
  auto options = fast();
  options.max_redirects = 3;
  download_url(server.url("/3"), dir / "a", options);
  CHECK(read_file(dir / "a") == "good");
  options.max_redirects = 2;
  CHECK(caught([&] { download_url(server.url("/3"), dir / "b", options); }).code ==
        "download.redirect");
  const auto before = server.requests().size();
  CHECK(caught([&] { download_url(server.url("/loop"), dir / "b", options); }).code ==
        "download.redirect");
  CHECK(server.requests().size() == before + 3);
  CHECK(caught([&] { download_url(server.url("/disk"), dir / "b", options); }).code ==
        "download.redirect");
  CHECK(ls(dir.path()).size() == 1);
}

TEST_CASE("a length limit holds whether the length is told or not") {
  TempDir dir;
  const bool told = GENERATE(true, false);
  HttpServer server([&](const Request&, int) {
    return Response{.body = content(), .etag = "\"one\"", .send_length = told};
  });
  auto options = fast();
  options.max_bytes = 299'999;
  const auto error = caught([&] { download_url(server.url("/a"), dir / "a", options); });
  CHECK(error.code == "download.too_large");
  CHECK(server.requests().size() == 1);
  CHECK(ls(dir.path()).empty());
  options.max_bytes = 300'000;
  download_url(server.url("/a"), dir / "a", options);
  CHECK(read_file(dir / "a").size() == 300'000);
}

TEST_CASE("lies about the length are found") {
  TempDir dir;
  SECTION("too long") {
    HttpServer server([&](const Request&, int) {
      return Response{.body = content(), .claimed_length = 400'000};
    });
    CHECK(caught([&] { download_url(server.url("/a"), dir / "a", fast()); }).code ==
          "download.incomplete");
    CHECK(server.requests().size() == 4);
  }
  SECTION("too short, and the length is known") {
    HttpServer server([&](const Request&, int) {
      return Response{.body = content(), .claimed_length = 200'000};
    });
    auto options = fast();
    options.expected_size = 300'000;
    CHECK(caught([&] { download_url(server.url("/a"), dir / "a", options); }).code ==
          "download.checksum");
    CHECK(server.requests().size() == 1);
  }
  SECTION("untold and cut") {
    HttpServer server([&](const Request&, int) {
      return Response{.body = content(), .send_length = false, .cut_after = 1000};
    });
    auto options = fast();
    options.expected_size = 300'000;
    CHECK(caught([&] { download_url(server.url("/a"), dir / "a", options); }).code ==
          "download.checksum");
  }
  CHECK(ls(dir.path()).empty());
}

TEST_CASE("the SHA-256 is checked before the file gets its name") {
  TempDir dir;
  const std::string bytes = content();
  write_file(dir / "reference", bytes);
  auto options = fast();
  options.sha256_prefix = sha256_file(dir / "reference").substr(0, 8);
  SECTION("good, then bad") {
    HttpServer server(
        [&](const Request&, int n) { return Response{.body = n == 0 ? bytes : "x"}; });
    download_url(server.url("/a"), dir / "a", options);
    const auto error = caught([&] { download_url(server.url("/a"), dir / "b", options); });
    CHECK(error.code == "download.checksum");
    CHECK(error.message.find(options.sha256_prefix) != std::string::npos);
    CHECK(server.requests().size() == 2);
  }
  SECTION("a spoilt part is loaded anew") {
    HttpServer server([&](const Request&, int n) {
      Response response{.body = bytes, .etag = "\"one\""};
      if (n == 0) response.cut_after = 100'000;
      return response;
    });
    auto once = options;
    once.retries = 0;
    CHECK(caught([&] { download_url(server.url("/a"), dir / "a", once); }).code ==
          "download.incomplete");
    std::fstream(dir / "a.part", std::ios::in | std::ios::out | std::ios::binary) << "spoilt";
    download_url(server.url("/a"), dir / "a", options);
    CHECK(read_file(dir / "a") == bytes);
    CHECK(server.requests().size() == 3);
  }
  CHECK(ls(dir.path()).size() == 2);
}

TEST_CASE("offline, the message says what to do") {
  TempDir dir;
  const std::string url = fmt::format("http://user:secret@127.0.0.1:{}/a.tgz", closed_port());
  const auto error = caught([&] { download_url(url, dir / "a.tgz", fast()); });
  CHECK(error.code == "download.offline");
  CHECK(error.message.find("/a.tgz'") != std::string::npos);
  CHECK(error.message.find((dir / "a.tgz").string()) != std::string::npos);
  CHECK(error.message.find("browser") != std::string::npos);
  CHECK(error.message.find("attempts made: 4") != std::string::npos);
  CHECK(error.message.find("secret") == std::string::npos);
  CHECK(ls(dir.path()).empty());
}

TEST_CASE("several callers share one download") {
  TempDir dir;
  CapturedLog log;
  const std::string bytes = content(2'000'000);
  HttpServer server([&](const Request&, int n) {
    Response response{.body = bytes, .etag = "\"one\""};
    if (n == 0) response.cut_after = 500'000;
    return response;
  });
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] {
      auto options = fast();
      options.show_progress = false;
      options.retry_delay = 50ms;
      if (caught([&] { download_url(server.url("/a"), dir / "a", options); }).code.empty()) ++good;
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(good == 6);
  CHECK(read_file(dir / "a") == bytes);
  CHECK(server.requests().size() == 2);
  CHECK(ls(dir.path()).size() == 1);
}

TEST_CASE("a download can be stopped and taken up again") {
  TempDir dir;
  const std::string bytes = content();
  HttpServer server([&](const Request&, int n) {
    Response response{.body = bytes, .etag = "\"one\""};
    if (n == 0) response.stall_after = 100'000;
    return response;
  });
  std::stop_source source;
  auto options = fast();
  options.stop = source.get_token();
  std::thread stopper([&] {
    // The part has its length when the stall begins.
    std::error_code ec;
    for (int i = 0; i < 1000 && std::filesystem::file_size(dir / "a.part", ec) != 100'000; ++i) {
      std::this_thread::sleep_for(5ms);
    }
    source.request_stop();
  });
  CHECK(caught([&] { download_url(server.url("/a"), dir / "a", options); }).code == "io.cancelled");
  stopper.join();
  download_url(server.url("/a"), dir / "a", fast());
  CHECK(read_file(dir / "a") == bytes);
  CHECK(server.requests()[1].headers.at("range") == "bytes=100000-");
}

TEST_CASE("addresses without a server") {
  TempDir dir;
  write_file(dir / "a file", "hello");
  download_url("file://" + (dir / "a%20file").string(), dir / "copy", fast());
  CHECK(read_file(dir / "copy") == "hello");
  auto options = fast();
  options.max_bytes = 4;
  CHECK(caught([&] {
          download_url("file://" + (dir / "copy").string(), dir / "c", options);
        }).code == "download.too_large");
  CHECK(caught([&] {
          download_url("file://" + (dir / "none").string(), dir / "c", fast());
        }).code == "io.cannot_read");
  for (const char* url : {"ftp://host/a", "file://host/a", "", "a.tgz"}) {
    CAPTURE(url);
    CHECK(caught([&] { download_url(url, dir / "c", fast()); }).code == "value.url");
  }
  options.retries = -1;
  CHECK(caught([&] { download_url("http://host/a", dir / "c", options); }).code ==
        "value.download_options");
  CHECK(ls(dir.path()).size() == 2);
}
