#include "support/support.hpp"

#include <fmt/format.h>

#include <atomic>
#include <cstdlib>

#include <unistd.h>

namespace fastcpp::test {
namespace fs = std::filesystem;

TempDir::TempDir() {
  static std::atomic<int> counter{0};
  path_ = fs::temp_directory_path() / fmt::format("fastcpp-test-{}-{}", ::getpid(), ++counter);
  fs::create_directories(path_);
}

TempDir::~TempDir() {
  std::error_code ec;
  fs::remove_all(path_, ec);
}

CapturedLog::CapturedLog() {
  former_ = set_log_sink([this](LogLevel level, std::string_view message) {
    (level == LogLevel::kWarning ? warnings : info).emplace_back(message);
  });
}

CapturedLog::~CapturedLog() {
  set_log_sink(std::move(former_));
}

fs::path source_dir() {
  return FASTCPP_SOURCE_DIR;
}

std::optional<fs::path> shared_dir() {
  const char* given = std::getenv("FASTCPP_SHARED_DIR");
  const fs::path dir = given ? fs::path(given) : source_dir().parent_path() / "shared";
  std::error_code ec;
  if (!fs::is_directory(dir, ec)) return std::nullopt;
  return dir;
}

void skip(const std::string& why) {
  fmt::print("[skipped] {}\n", why);
}

}  // namespace fastcpp::test
