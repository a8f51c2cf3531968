// download_images of 500 addresses, half of them bad.
#include <fmt/format.h>

#include <atomic>
#include <cstdlib>
#include <set>

#include "fastcpp/vision/download_images.hpp"
#include "own_pictures_support.hpp"
#include "support/catch.hpp"
#include "support/http_server.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
using namespace std::chrono_literals;
using Request = HttpServer::Request;
using Response = HttpServer::Response;
using Outcome = DownloadOutcome;

TEST_CASE("500 addresses, half of them bad") {
  const CapturedLog log;
  const TempDir dir;
  std::atomic<bool> healthy{false};
  // Of ten addresses: four good ones, one that comes twice, one redirect, and one of each fault.
  const auto kind_of = [](const std::string& path) { return path.back() - '0'; };
  HttpServer server([&](const Request& r, int) -> Response {
    const int number = std::atoi(r.path.c_str() + r.path.rfind('/') + 1);
    const Response good{.body = encoded(picture_of(16, 16, number), "RGB", ".png")};
    if (healthy) return good;
    switch (kind_of(r.path)) {
      case 4:
        return {.body = encoded(picture_of(16, 16, number - 1), "RGB", ".png")};
      case 5:
        if (r.path.starts_with("/to")) return good;
        return {.status = 302, .headers = {{"Location", fmt::format("/to/{}", number)}}};
      case 6:
        return {.body = good.body, .stall_after = number % 20 == 6 ? 50 : 0};
      case 7:
        return {.body = good.body, .cut_after = 60};
      case 8:
        return {.body = "<html>", .headers = {{"Content-Type", "image/png"}}};
      case 9:
        return {.status = number % 20 == 9 ? 404 : 500, .body = good.body};
      default:
        return good;
    }
  });
  std::vector<std::string> urls;
  for (int i = 0; i < 500; ++i) urls.push_back(server.url(fmt::format("/{}", i)));
  DownloadImagesOptions options;
  options.timeout = 2s;
  options.retries = 1;
  options.retry_delay = 1ms;
  options.max_workers = 64;
  const auto report = download_images(urls, dir / "p", options);
  for (std::size_t i = 0; i < urls.size(); ++i) {
    const int kind = kind_of(urls[i]);
    INFO(urls[i] << " " << report.images[i].message);
    CHECK(report.images[i].outcome == (kind == 4  ? Outcome::kDuplicate
                                       : kind > 5 ? Outcome::kFailed
                                                  : Outcome::kDownloaded));
    const std::string code = kind == 6   ? "download.timeout"
                             : kind == 7 ? "download.incomplete"
                             : kind == 8 ? "image.cannot_decode"
                             : kind == 9 ? "download.http_status"
                                         : "";
    CHECK(report.images[i].code == code);
  }
  const auto files = content(dir / "p");
  std::set<std::string> different;
  for (const auto& [name, bytes] : files) different.insert(bytes);
  CHECK(files.size() == 250);
  CHECK(different.size() == 250);

  healthy = true;
  const auto before = server.requests().size();
  const auto second = download_images(urls, dir / "p", options);
  CHECK(server.requests().size() == before + 200);
  CHECK(second.count(Outcome::kDownloaded) == 200);
  CHECK(second.count(Outcome::kPresent) == 250);
  CHECK(second.count(Outcome::kDuplicate) == 50);
  CHECK(content(dir / "p").size() == 450);
}
