// Several processes on one cache of what was fetched.
#include <torch/types.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "fastcpp/io/file_source.hpp"
#include "io_support.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
using Request = HttpServer::Request;
using Response = HttpServer::Response;

namespace {

constexpr std::size_t kFiles = 30, kFileBytes = 20'000;

std::string numbered(std::size_t i) {
  return content(kFileBytes, static_cast<unsigned>(i + 1));
}

// Reads all files from another place on, three times; gives 0 when each was right and the bound was never exceeded.
int read_all(const std::string& url, const Path& cache, std::int64_t max_bytes, std::size_t from) {
  CapturedLog log;
  auto download = fast();
  download.show_progress = false;
  const FileSource source({.cache = cache, .max_bytes = max_bytes, .download = download});
  for (std::size_t i = 0; i < 3 * kFiles; ++i) {
    const auto file = (i + from) % kFiles;
    if (source.read(url + std::to_string(file)) != numbered(file)) return 1;
  }
  return 0;
}

}  // namespace

TEST_CASE("processes share a cache: each file is fetched once, and its bound is kept") {
  for (const bool roomy : {true, false}) {
    CAPTURE(roomy);
    TempDir dir;
    const auto max_bytes =
        static_cast<std::int64_t>(roomy ? 100 * kFiles * kFileBytes : 10 * kFileBytes);
    std::vector<std::unique_ptr<WaitingChild>> children;
    for (std::size_t c = 0; c < 3; ++c) {
      children.push_back(std::make_unique<WaitingChild>([&, c](const std::string& url) {
        return read_all(url, dir / "cache", max_bytes, roomy ? 0 : 10 * c);
      }));
    }
    HttpServer server([&](const Request& request, int) {
      return Response{.body = numbered(std::stoul(request.path.substr(1)))};
    });
    for (auto& child : children) child->begin(server.url("/"));
    for (auto& child : children) CHECK(child->wait() == 0);
    const FileSource source({.cache = dir / "cache", .max_bytes = max_bytes});
    CHECK(source.cached_bytes() <= max_bytes);
    if (roomy) {
      CHECK(server.requests().size() == kFiles);
      CHECK(source.cached_bytes() == static_cast<std::int64_t>(kFiles * kFileBytes));
    } else {
      CHECK(server.requests().size() > kFiles);
    }
    // No half file stays.
    for (const auto& file : ls(dir / "cache")) {
      if (file.filename() != ".bytes") CHECK(std::filesystem::file_size(file) == kFileBytes);
    }
  }
}
