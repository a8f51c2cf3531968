// Files on the disk, in shards and behind addresses: the bounded cache, and servers that stall, cut and change.
#include "fastcpp/io/file_source.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <thread>

#include "io_support.hpp"
#include "support/catch.hpp"
#include "support/tar.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
using namespace std::chrono_literals;
using Request = HttpServer::Request;
using Response = HttpServer::Response;

namespace {

FileSourceOptions cache_in(const TempDir& dir, std::int64_t max_bytes = 1 << 20) {
  auto download = fast();
  download.show_progress = false;
  download.stall_timeout = 300ms;
  download.retries = 2;
  return {.cache = dir / "cache", .max_bytes = max_bytes, .download = download};
}

std::int64_t times_asked(const HttpServer& server, const std::string& path) {
  const auto requests = server.requests();
  return std::count_if(requests.begin(), requests.end(),
                       [&](const Request& r) { return r.path == path; });
}

bool says(const Caught& error, const std::string& text) {
  return error.message.find(text) != std::string::npos;
}

}  // namespace

TEST_CASE("files, and members of shards on the disk, are read where they lie") {
  TempDir dir;
  write_file(dir / "t.tar", tar_of({{"a/1.jpg", "one"}, {"2.jpg", ""}, {"2.jpg", "later"}}));
  write_file(dir / "folder.tar/1.jpg", "in a folder");
  const FileSource source(cache_in(dir));
  CHECK(source.read(dir / "t.tar/a/1.jpg") == "one");
  CHECK(source.read(dir / "t.tar/2.jpg") == "later");
  CHECK(source.read(dir / "folder.tar/1.jpg") == "in a folder");
  CHECK(source.members((dir / "t.tar").string()).size() == 3);
  const auto absent = caught([&] { source.read(dir / "t.tar/1.jpg"); });
  CHECK(absent.code == "archive.no_member");
  CHECK(says(absent, "t.tar"));
  CHECK(caught([&] { source.read(dir / "none.tar/1.jpg"); }).code == "io.cannot_read");
  CHECK_FALSE(std::filesystem::exists(source.cache()));
  // A shard of another length than the one whose members are known.
  write_file(dir / "t.tar", tar_of({{"a/1.jpg", "one"}}));
  CHECK(caught([&] { source.read(dir / "t.tar/a/1.jpg"); }).code == "archive.changed");
  CHECK(caught([&] { const FileSource none(cache_in(dir, 0)); }).code == "value.download_options");
}

TEST_CASE("what was fetched is not fetched again, by this source or another one") {
  TempDir dir;
  const auto shard = tar_of({{"1.jpg", content(3000)}, {"2.jpg", content(5000, 2)}});
  const HttpServer server([&](const Request& request, int) -> Response {
    return {.body = request.path == "/t.tar" ? shard : "content of " + request.path};
  });
  const auto url = server.url("/a.jpg?size=1");
  const FileSource source(cache_in(dir)), other(cache_in(dir));
  CHECK(FileSource::is_special(url));
  for (int i = 0; i < 2; ++i) {
    CHECK(source.read(url) == "content of /a.jpg?size=1");
    CHECK(other.read(url) == "content of /a.jpg?size=1");
    CHECK(source.read(server.url("/t.tar/1.jpg")) == content(3000));
    CHECK(other.read(server.url("/t.tar/2.jpg")) == content(5000, 2));
  }
  CHECK(server.requests().size() == 2);
  CHECK(source.cached_bytes() ==
        static_cast<std::int64_t>(shard.size() + std::string("content of /a.jpg?size=1").size()));
  // What fetches where nothing else is said.
  const auto former = std::make_shared<const FileSource>(cache_in(dir));
  set_file_source(former);
  CHECK(file_source() == former);
  CHECK(file_source()->read(url) == "content of /a.jpg?size=1");
  set_file_source(nullptr);
  CHECK(server.requests().size() == 2);
}

TEST_CASE("a cache keeps to its bound, and what was used last stays") {
  TempDir dir;
  const HttpServer server([&](const Request& request, int) -> Response {
    return {.body =
                request.path == "/long" ? content(4000) : std::string(1000, request.path.back())};
  });
  const FileSource source(cache_in(dir, 3500));
  const auto read = [&](const std::string& path) {
    // Times of files are told apart by the system's clock tick only.
    std::this_thread::sleep_for(30ms);
    CHECK(source.read(server.url(path)) == std::string(1000, path.back()));
    CHECK(source.cached_bytes() <= 3500);
  };
  for (const auto* path : {"/a", "/b", "/c", "/a", "/d", "/a", "/e", "/a"}) read(path);
  CHECK(times_asked(server, "/a") == 1);
  CHECK(server.requests().size() == 5);
  CHECK(source.cached_bytes() == 3000);
  read("/b");
  CHECK(times_asked(server, "/b") == 2);
  const auto too_long = caught([&] { source.read(server.url("/long")); });
  CHECK(too_long.code == "download.too_large");
  CHECK(source.cached_bytes() == 3000);
  // Without a count, or with a wrong one, it is counted anew.
  write_file(source.cache() / ".bytes", "7");
  write_file(source.cache() / "left-by-another", std::string(2000, 'x'));
  const FileSource next(cache_in(dir, 3500));
  std::this_thread::sleep_for(30ms);
  next.read(server.url("/f"));
  CHECK(next.cached_bytes() <= 3500);
}

TEST_CASE("threads that want the same shard fetch it once") {
  TempDir dir;
  const auto shard = tar_of({{"1.jpg", content(30'000)}, {"2.jpg", content(5000, 2)}});
  const HttpServer server([&](const Request&, int) {
    std::this_thread::sleep_for(50ms);
    return Response{.body = shard};
  });
  const FileSource source(cache_in(dir));
  std::vector<std::string> got(8);
  {
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < got.size(); ++i) {
      threads.emplace_back(
          [&, i] { got[i] = source.read(server.url(i % 2 ? "/t.tar/1.jpg" : "/t.tar/2.jpg")); });
    }
    for (auto& thread : threads) thread.join();
  }
  for (std::size_t i = 0; i < got.size(); ++i) {
    CHECK(got[i] == (i % 2 ? content(30'000) : content(5000, 2)));
  }
  CHECK(server.requests().size() == 1);
}

TEST_CASE("a server that stalls or cuts once is survived, one that always does is named") {
  TempDir dir;
  const auto shard = tar_of({{"1.jpg", content(50'000)}});
  const HttpServer server([&](const Request& request, int n) {
    Response response{.body = shard, .etag = "\"one\""};
    if (request.path == "/stalls.tar" && n == 0) response.stall_after = 20'000;
    if (request.path == "/cuts.tar" && !request.headers.contains("range"))
      response.cut_after = 30'000;
    if (request.path == "/never.tar") response.stall_headers = true;
    if (request.path == "/always.tar") response.cut_after = 100;
    return response;
  });
  const FileSource source(cache_in(dir));
  CHECK(source.read(server.url("/stalls.tar/1.jpg")) == content(50'000));
  CHECK(source.read(server.url("/cuts.tar/1.jpg")) == content(50'000));
  CHECK(server.requests().at(1).headers.at("range") == "bytes=20000-");
  CHECK(server.requests().at(3).headers.at("range") == "bytes=30000-");
  const auto start = std::chrono::steady_clock::now();
  const auto stalled = caught([&] { source.read(server.url("/never.tar/1.jpg")); });
  CHECK(stalled.code == "download.timeout");
  CHECK(says(stalled, server.url("/never.tar")));
  CHECK(says(stalled, "attempts made: 3"));
  CHECK(std::chrono::steady_clock::now() - start < 30s);
  const auto cut = caught([&] { source.read(server.url("/always.tar/1.jpg")); });
  CHECK(cut.code == "download.incomplete");
  CHECK(says(cut, server.url("/always.tar")));
}

TEST_CASE("a shard that is cut short on the server is named, with the place") {
  TempDir dir;
  const auto shard = tar_of({{"1.jpg", content(5000)}, {"2.jpg", content(5000)}});
  const HttpServer server(
      [&](const Request&, int) { return Response{.body = shard.substr(0, 9000)}; });
  const FileSource source(cache_in(dir));
  try {
    source.members(server.url("/t.tar"));
    FAIL("half a shard was taken for a whole one");
  } catch (const FormatError& e) {
    CHECK(e.code() == "archive.truncated");
    CHECK(e.offset() == 512 + 5120);
    CHECK(std::string(e.what()).find(server.url("/t.tar")) != std::string::npos);
    CHECK(std::string(e.what()).find("2.jpg") != std::string::npos);
  }
  // It does not stay in the cache: the server may have a whole one later.
  CHECK(source.cached_bytes() == 0);
}
