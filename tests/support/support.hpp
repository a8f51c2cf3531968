// Helpers for tests: temporary folders, captured messages, caught errors, the folder of optional
// real data.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"

namespace fastcpp::test {

// Whether a sanitizer watches memory or threads, which changes what both cost.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

// A folder that exists for the life of the object.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// Collects log messages for the life of the object instead of printing them.
class CapturedLog {
 public:
  CapturedLog();
  ~CapturedLog();
  std::vector<std::string> info, warnings;

 private:
  LogSink former_;
};

// What `f` threw, as the code and text of a fastcpp::Error; empty code when nothing was thrown.
struct Caught {
  std::string code, message;
};
template <typename F>
Caught caught(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return {e.code(), e.what()};
  }
  return {};
}

// The repository's root.
std::filesystem::path source_dir();

// FASTCPP_SHARED_DIR, else ../shared beside the checkout; empty when neither exists.
std::optional<std::filesystem::path> shared_dir();

// Prints the line that makes CTest count the test as skipped.
void skip(const std::string& why);

}  // namespace fastcpp::test
