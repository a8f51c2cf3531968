// fetch_all against a server that cuts, stalls, redirects and lies.
#include "fastcpp/io/fetch.hpp"

#include <algorithm>
#include <stop_token>
#include <thread>

#include "fastcpp/io/checksum.hpp"
#include "support/catch.hpp"
#include "support/http_server.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
using namespace std::chrono_literals;
using Request = HttpServer::Request;
using Response = HttpServer::Response;

namespace {

FetchOptions fast_fetch() {
  FetchOptions options;
  options.timeout = 1s;
  options.retries = 2;
  options.retry_delay = 1ms;
  return options;
}

std::vector<FetchResult> fetch(const std::vector<std::string>& urls, const FetchOptions& options) {
  std::vector<FetchResult> results(urls.size());
  std::vector<int> calls(urls.size(), 0);
  fetch_all(urls, options, [&](std::size_t i, FetchResult result) {
    ++calls.at(i);
    results.at(i) = std::move(result);
  });
  CHECK(std::all_of(calls.begin(), calls.end(), [](int n) { return n == 1; }));
  return results;
}

int asked_for(const HttpServer& server, const std::string& path) {
  const auto requests = server.requests();
  return static_cast<int>(std::count_if(requests.begin(), requests.end(),
                                        [&](const Request& r) { return r.path == path; }));
}

}  // namespace

TEST_CASE("many addresses are fetched, and each failure has its code") {
  const std::string offline = "http://127.0.0.1:" + std::to_string(closed_port()) + "/x";
  HttpServer server([&](const Request& r, int) -> Response {
    const auto location = [&](std::string to) {
      return Response{.status = 302, .body = "moved", .headers = {{"Location", std::move(to)}}};
    };
    if (r.path == "/404") return {.status = 404, .body = "no such page"};
    if (r.path == "/503") return {.status = 503, .body = "later"};
    if (r.path == "/cut") return {.body = "0123456789", .cut_after = 4};
    if (r.path == "/stall") return {.body = "0123456789", .stall_after = 4};
    if (r.path == "/silent") return {.stall_headers = true};
    if (r.path == "/long") return {.body = std::string(2000, 'x')};
    if (r.path == "/longer") return {.body = std::string(2000, 'x'), .send_length = false};
    if (r.path == "/moved") return location("/a");
    if (r.path == "/circle") return location("/circle");
    if (r.path == "/ftp") return location("ftp://127.0.0.1/x");
    return {.body = "content of " + r.path};
  });
  const auto u = [&](const std::string& path) { return server.url(path); };
  auto options = fast_fetch();
  options.max_bytes = 1000;
  const std::vector<std::string> urls{u("/a"),
                                      u("/404"),
                                      u("/503"),
                                      u("/cut"),
                                      u("/stall"),
                                      u("/silent"),
                                      u("/long"),
                                      u("/longer"),
                                      u("/moved"),
                                      u("/circle"),
                                      u("/ftp"),
                                      offline,
                                      "  ",
                                      "x.png",
                                      "file:///etc/passwd",
                                      "  " + u("/b") + " ",
                                      u("/t\xC3\xA9 1?a b")};
  const auto results = fetch(urls, options);
  const std::vector<std::string> codes{"",
                                       "download.http_status",
                                       "download.http_status",
                                       "download.incomplete",
                                       "download.timeout",
                                       "download.timeout",
                                       "download.too_large",
                                       "download.too_large",
                                       "",
                                       "download.redirect",
                                       "download.redirect",
                                       "download.offline",
                                       "value.url",
                                       "value.url",
                                       "value.url",
                                       "",
                                       ""};
  for (std::size_t i = 0; i < urls.size(); ++i) {
    INFO(urls[i] << ": " << results[i].message);
    CHECK(results[i].code == codes[i]);
    CHECK(results[i].message.empty() == codes[i].empty());
    CHECK(results[i].body.empty() == !codes[i].empty());
  }
  CHECK(results[0].body == "content of /a");
  CHECK(results[8].body == "content of /a");
  CHECK(results[15].body == "content of /b");
  CHECK(results[16].body == "content of /t%C3%A9%201?a%20b");
  // What may pass is tried again, what does not pass is not.
  CHECK(asked_for(server, "/503") == 3);
  CHECK(asked_for(server, "/cut") == 3);
  CHECK(asked_for(server, "/stall") == 3);
  CHECK(asked_for(server, "/404") == 1);
  CHECK(results[2].attempts == 3);
  CHECK(results[12].attempts == 0);
}

TEST_CASE("a failure that passes is forgotten") {
  HttpServer server([&](const Request&, int n) -> Response {
    if (n == 0) return {.status = 503, .body = "later"};
    if (n == 1) return {.body = "whole", .cut_after = 2};
    return {.body = "whole"};
  });
  const auto results = fetch({server.url("/a")}, fast_fetch());
  CHECK(results[0].body == "whole");
  CHECK(results[0].code.empty());
  CHECK(results[0].attempts == 3);
}

TEST_CASE("no more are fetched at once than asked for") {
  HttpServer server([&](const Request&, int) -> Response { return {.stall_headers = true}; });
  auto options = fast_fetch();
  options.max_workers = 3;
  options.retries = 0;
  options.timeout = 200ms;
  const auto begin = std::chrono::steady_clock::now();
  fetch(std::vector<std::string>(9, server.url("/a")), options);
  const auto time = std::chrono::steady_clock::now() - begin;
  // Three rounds of three.
  CHECK(time >= 600ms);
}

TEST_CASE("one attempt ends although bytes may come") {
  HttpServer server(
      [&](const Request&, int) -> Response { return {.body = "0123456789", .stall_after = 4}; });
  auto options = fast_fetch();
  options.timeout = 60s;
  options.max_time = 300ms;
  const auto results = fetch({server.url("/a")}, options);
  CHECK(results[0].code == "download.timeout");
  CHECK(results[0].attempts == 1);
}

TEST_CASE("a slow receiver is not taken for a slow server") {
  HttpServer server([&](const Request& r, int) -> Response { return {.body = r.path}; });
  auto options = fast_fetch();
  options.retries = 0;
  options.timeout = 500ms;
  std::vector<std::string> urls;
  for (int i = 0; i < 6; ++i) urls.push_back(server.url("/" + std::to_string(i)));
  int good = 0;
  fetch_all(urls, options, [&](std::size_t, const FetchResult& result) {
    std::this_thread::sleep_for(700ms);
    good += result.code.empty();
  });
  CHECK(good == 6);
}

TEST_CASE("fetching can be stopped, and what the receiver throws arrives") {
  HttpServer server([&](const Request&, int) -> Response { return {.stall_headers = true}; });
  std::stop_source source;
  auto options = fast_fetch();
  options.timeout = 60s;
  options.stop = source.get_token();
  std::jthread later([&] {
    std::this_thread::sleep_for(100ms);
    source.request_stop();
  });
  CHECK(caught([&] { fetch({server.url("/a")}, options); }).code == "io.cancelled");

  HttpServer other([&](const Request&, int) -> Response { return {.body = "x"}; });
  const auto thrown = caught([&] {
    fetch_all({other.url("/a"), other.url("/b")}, fast_fetch(),
              [](std::size_t, const FetchResult&) { throw IoError("io.cannot_write", "full"); });
  });
  CHECK(thrown.code == "io.cannot_write");
}

TEST_CASE("a password does not get into messages") {
  HttpServer server([&](const Request&, int) -> Response { return {.status = 404}; });
  std::string url = server.url("/a");
  url.insert(url.find("127"), "me:secret@");
  const auto results = fetch({url}, fast_fetch());
  CHECK(results[0].code == "download.http_status");
  CHECK(results[0].message.find("secret") == std::string::npos);
  CHECK(results[0].url == server.url("/a"));
}

TEST_CASE("options of fetching out of range are refused") {
  const auto code = [](FetchOptions options) {
    return caught([&] { fetch_all({}, options, [](std::size_t, const FetchResult&) {}); }).code;
  };
  CHECK(code({}).empty());
  CHECK(code({.max_workers = 0}) == "value.download_options");
  CHECK(code({.timeout = 0ms}) == "value.download_options");
  CHECK(code({.max_time = -1ms}) == "value.download_options");
  CHECK(code({.retries = -1}) == "value.download_options");
  CHECK(code({.max_bytes = 0}) == "value.download_options");
}

TEST_CASE("SHA-256 of bytes in memory") {
  CHECK(sha256_bytes("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}
