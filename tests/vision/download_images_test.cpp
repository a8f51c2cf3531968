// download_images against a server that stalls, cuts, redirects and lies about types.
#include "fastcpp/vision/download_images.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <stop_token>

#include "fastcpp/core/progress.hpp"
#include "own_pictures_support.hpp"
#include "support/catch.hpp"
#include "support/golden.hpp"
#include "support/http_server.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
using namespace std::chrono_literals;
using Request = HttpServer::Request;
using Response = HttpServer::Response;
using Outcome = DownloadOutcome;
namespace fs = std::filesystem;

namespace {

DownloadImagesOptions fast() {
  DownloadImagesOptions options;
  options.timeout = 2s;
  options.retries = 1;
  options.retry_delay = 1ms;
  return options;
}

std::string picture(int seed) {
  return encoded(picture_of(24, 32, seed), "RGB", seed % 2 == 0 ? ".jpg" : ".png");
}

struct CountingProgress : ProgressSink {
  void begin(const ProgressTask& task) override { totals.push_back(task.total); }
  void update(std::int64_t done, std::string_view comment) override {
    last = done;
    said = comment;
  }
  void end() override { ++ended; }
  std::vector<std::int64_t> totals;
  std::int64_t last = 0;
  std::string said;
  int ended = 0;
};

}  // namespace

TEST_CASE("downloaded pictures are named as fastai names them") {
  int cases = 0;
  for (const auto& c : golden("datablock.json")["download_names"]) {
    const CapturedLog log;
    const TempDir dir;
    write_file(dir / "urls.txt", c["text"].get<std::string>());
    HttpServer server([&](const Request&, int n) { return Response{.body = picture(n)}; });
    std::vector<std::string> names, urls;
    for (const auto& one : c["expect"]) {
      names.push_back(one["file"]);
      urls.push_back(one["url"]);
    }
    auto options = fast();
    if (c.contains("max_pics")) options.max_pics = c["max_pics"];
    options.timeout = 100ms;
    options.retries = 0;
    // The addresses lead nowhere: what was read from the list is in the report.
    const std::string closed = fmt::format("http://127.0.0.1:{}", closed_port());
    ::setenv("http_proxy", closed.c_str(), 1);
    ::setenv("https_proxy", closed.c_str(), 1);
    const auto report = download_images(dir / "urls.txt", dir / "pictures", options);
    ::unsetenv("http_proxy");
    ::unsetenv("https_proxy");
    std::vector<std::string> found;
    for (const auto& image : report.images) found.push_back(image.url);
    CHECK(found == urls);
    CHECK(report.count(Outcome::kFailed) == urls.size());

    // The same endings on a server that answers.
    std::vector<std::string> here;
    for (const std::string& url : urls) {
      const auto slash = url.find('/', url.find("://") == url.npos ? 0 : url.find("://") + 3);
      const bool usable = url.find("example.org/") != url.npos;
      here.push_back(usable ? server.url(url.substr(slash)) : "no address");
    }
    options.timeout = 30s;  // the short one was for addresses that lead nowhere
    const auto good = download_images(here, dir / "pictures", options);
    for (std::size_t i = 0; i < here.size(); ++i) {
      if (here[i] == "no address") continue;
      INFO(urls[i]);
      CHECK(good.images[i].outcome == Outcome::kDownloaded);
      CHECK(good.images[i].file == dir / "pictures" / names[i]);
    }
    ++cases;
  }
  CHECK(cases == 3);
}

TEST_CASE("a list of addresses in a file") {
  const CapturedLog log;
  const TempDir dir;
  const auto urls_of = [&](const std::string& text) {
    write_file(dir / "urls.txt", text);
    auto options = fast();
    options.retries = 0;
    std::vector<std::string> urls;
    for (const auto& image : download_images(dir / "urls.txt", dir / "p", options).images) {
      urls.push_back(image.url);
    }
    return urls;
  };
  using List = std::vector<std::string>;
  CHECK(urls_of("") == List{});
  CHECK(urls_of(" \n\t\n") == List{});
  CHECK(urls_of("\xEF\xBB\xBF"
                "a\rb\r\n\r\n c\n") == List{"a", "b", " c"});
  CHECK(caught([&] { download_images(dir / "none.txt", dir / "p"); }).code == "io.cannot_read");
}

TEST_CASE("what is no picture is not kept, and everything is reported") {
  const CapturedLog log;
  const TempDir dir;
  HttpServer server([&](const Request& r, int) -> Response {
    if (r.path == "/lie.jpg")
      return {.body = "<html>Not here</html>", .headers = {{"Content-Type", "image/jpeg"}}};
    if (r.path == "/empty.jpg") return {.body = ""};
    if (r.path == "/cut.jpg") return {.body = picture(2).substr(0, 200)};
    if (r.path == "/404.jpg") return {.status = 404, .body = picture(4)};
    if (r.path == "/long.jpg") return {.body = std::string(100'000, 'x')};
    if (r.path == "/text.jpg")
      return {.body = picture(1), .headers = {{"Content-Type", "text/html"}}};
    return {.body = picture(0)};
  });
  const std::vector<std::string> urls{server.url("/lie.jpg"),  server.url("/empty.jpg"),
                                      server.url("/cut.jpg"),  server.url("/404.jpg"),
                                      server.url("/long.jpg"), server.url("/text.jpg"),
                                      server.url("/a.jpg"),    server.url("/again.jpg")};
  auto options = fast();
  options.max_bytes = 50'000;
  auto progress = std::make_shared<CountingProgress>();
  const auto former = set_progress_sink(progress);
  const auto report = download_images(urls, dir / "deep/er", options);
  set_progress_sink(former);

  const std::vector<std::string> codes{"image.cannot_decode",
                                       "image.cannot_decode",
                                       "image.cannot_decode",
                                       "download.http_status",
                                       "download.too_large",
                                       "",
                                       "",
                                       ""};
  for (std::size_t i = 0; i < urls.size(); ++i) {
    CHECK(report.images[i].url == urls[i]);
    CHECK(report.images[i].code == codes[i]);
    const bool named =
        codes[i].empty() || report.images[i].message.find(urls[i]) != std::string::npos;
    CHECK(named);
  }
  CHECK(report.images[7].outcome == Outcome::kDuplicate);
  CHECK(report.images[7].file == dir / "deep/er/00000006.jpg");
  CHECK(report.count(Outcome::kDownloaded) == 2);
  CHECK(content(dir / "deep/er") ==
        std::map<std::string, std::string>{{"00000005.jpg", picture(1)},
                                           {"00000006.jpg", picture(0)}});
  CHECK(log.warnings.size() == 5);
  CHECK(log.warnings[0].starts_with("Error "));
  CHECK(report.str().starts_with(
      "8 addresses: 2 downloaded, 0 were there, 1 duplicates, 5 failed\n"));
  CHECK(progress->totals == std::vector<std::int64_t>{8});
  CHECK(progress->last == 8);
  CHECK(progress->said == "5 failed");
  CHECK(progress->ended == 1);
}

TEST_CASE("another run fetches only what is missing") {
  const CapturedLog log;
  const TempDir dir;
  std::atomic<bool> open{false};
  HttpServer server([&](const Request& r, int) -> Response {
    if (r.path == "/2.jpg" && !open) return {.status = 404};
    return {.body = picture(r.path == "/4.jpg" ? 0 : r.path.at(1) - '0')};
  });
  std::vector<std::string> urls;
  for (int i = 0; i < 5; ++i) urls.push_back(server.url(fmt::format("/{}.jpg", i)));
  const auto asked = [&](std::size_t from) {
    std::multiset<std::string> paths;
    const auto requests = server.requests();
    for (std::size_t i = from; i < requests.size(); ++i) paths.insert(requests[i].path);
    return paths;
  };
  using Paths = std::multiset<std::string>;
  const Path dest = dir / "p";
  CHECK(download_images(urls, dest, fast()).count(Outcome::kDownloaded) == 3);
  CHECK(asked(0).size() == 5);

  open = true;
  const auto second = download_images(urls, dest, fast());
  CHECK(asked(5) == Paths{"/2.jpg"});
  CHECK(second.count(Outcome::kPresent) == 3);
  CHECK(second.images[4].outcome == Outcome::kDuplicate);
  CHECK(second.images[4].file == dest / "00000000.jpg");
  CHECK(content(dest).size() == 4);

  // Changed since, and deleted since.
  write_file(dest / "00000001.jpg", "changed by its owner");
  fs::remove(dest / "00000003.jpg");
  const auto third = download_images(urls, dest, fast());
  CHECK(asked(6) == Paths{"/3.jpg"});
  CHECK(third.count(Outcome::kPresent) == 3);
  CHECK(content(dest).at("00000001.jpg") == "changed by its owner");

  // Another address under the same number is another picture; a torn last line is no harm.
  write_file(dest / ".download_images", read_file(dest / ".download_images") + "torn");
  std::swap(urls[1], urls[3]);
  const auto fourth = download_images(urls, dest, fast());
  CHECK(asked(7) == Paths{"/1.jpg", "/3.jpg"});
  CHECK(fourth.count(Outcome::kPresent) == 2);
  CHECK(content(dest).at("00000001.jpg") == picture(3));
  CHECK(content(dest).at("00000003.jpg") == picture(1));
  // The journal tells no addresses.
  CHECK(read_file(dest / ".download_images").find("127.0.0.1") == std::string::npos);
}

TEST_CASE("a run that was stopped keeps what came") {
  const CapturedLog log;
  const TempDir dir;
  std::stop_source source;
  HttpServer server([&](const Request& r, int) -> Response {
    if (r.path == "/3.jpg") source.request_stop();
    return {.body = picture(r.path.at(1) - '0'), .stall_headers = r.path == "/3.jpg"};
  });
  std::vector<std::string> urls;
  for (int i = 0; i < 6; ++i) urls.push_back(server.url(fmt::format("/{}.jpg", i)));
  auto options = fast();
  options.max_workers = 1;
  options.timeout = 30s;
  options.stop = source.get_token();
  const auto stopped = download_images(urls, dir / "p", options);
  CHECK(stopped.count(Outcome::kDownloaded) == 3);
  CHECK(stopped.count(Outcome::kNotTried) == 3);
  CHECK(stopped.images[2].file == dir / "p/00000002.jpg");
  CHECK(stopped.images[3].outcome == Outcome::kNotTried);
  CHECK(stopped.str() ==
        "6 addresses: 3 downloaded, 0 were there, 0 duplicates, 0 failed, 3 left out: the download "
        "was stopped");
  CHECK(content(dir / "p").size() == 3);
  CHECK(download_images(urls, dir / "q", options).count(Outcome::kNotTried) == 6);
  CHECK(caught([&] { download_image(urls[0], dir / "one.jpg", options); }).code == "io.cancelled");
  options.stop = {};
  options.max_pics = 3;
  const auto report = download_images(urls, dir / "p", options);
  CHECK(report.count(Outcome::kPresent) == 3);
}

TEST_CASE("which of equal pictures stays does not depend on who comes first") {
  const CapturedLog log;
  const int workers = GENERATE(1, 4);
  const TempDir dir;
  // With several workers the first answer fails once, so that the others come before it.
  std::atomic<int> first{0};
  HttpServer server([&](const Request& r, int) -> Response {
    if (r.path == "/0.jpg" && first++ == 0) return {.status = 503};
    return {.body = picture(6)};
  });
  std::vector<std::string> urls;
  for (int i = 0; i < 4; ++i) urls.push_back(server.url(fmt::format("/{}.jpg", i)));
  auto options = fast();
  options.max_workers = workers;
  options.retry_delay = 100ms;
  const auto report = download_images(urls, dir / "p", options);
  CHECK(content(dir / "p") == std::map<std::string, std::string>{{"00000000.jpg", picture(6)}});
  CHECK(report.images[0].outcome == Outcome::kDownloaded);
  for (int i = 1; i < 4; ++i) {
    CHECK(report.images[static_cast<std::size_t>(i)].outcome == Outcome::kDuplicate);
    CHECK(report.images[static_cast<std::size_t>(i)].file == dir / "p/00000000.jpg");
  }
  const auto again = download_images(urls, dir / "p", options);
  CHECK(again.count(Outcome::kPresent) == 1);
  CHECK(again.count(Outcome::kDuplicate) == 3);
}

TEST_CASE("one picture is downloaded") {
  const TempDir dir;
  HttpServer server([&](const Request& r, int) -> Response {
    if (r.path == "/words") return {.body = "words"};
    if (r.path == "/404") return {.status = 404};
    return {.body = picture(0)};
  });
  download_image(server.url("/a"), dir / "sub/a.jpg", fast());
  CHECK(read_file(dir / "sub/a.jpg") == picture(0));
  const auto code = [&](const std::string& url) {
    return caught([&] { download_image(url, dir / "sub/a.jpg", fast()); }).code;
  };
  CHECK(code(server.url("/words")) == "image.cannot_decode");
  CHECK(code(server.url("/404")) == "download.http_status");
  CHECK(code("ftp://x") == "value.url");
  CHECK(read_file(dir / "sub/a.jpg") == picture(0));
}

TEST_CASE("download_images refuses what makes no sense") {
  const CapturedLog log;
  const TempDir dir;
  const auto code = [&](const DownloadImagesOptions& options) {
    return caught([&] { download_images(std::vector<std::string>{}, dir / "p", options); }).code;
  };
  CHECK(code({.max_pics = -1}) == "value.download_options");
  CHECK(code({.max_workers = -1}) == "value.download_options");
  CHECK(code({.timeout = 0ms}) == "value.download_options");
  CHECK_FALSE(fs::exists(dir / "p"));
  CHECK(code({.max_pics = 0, .max_workers = 0}).empty());
  write_file(dir / "file", "x");
  CHECK(caught([&] { download_images(std::vector<std::string>{"x"}, dir / "file"); }).code ==
        "io.cannot_create");
}
