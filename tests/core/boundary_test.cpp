#include "fastcpp/core/boundary.hpp"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <new>
#include <nlohmann/json.hpp>
#include <opencv2/core.hpp>
#include <stdexcept>
#include <system_error>
#include <thread>

#include <pthread.h>
#include <unistd.h>

#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {
thread_local bool g_no_memory = false;
}  // namespace

void* operator new(std::size_t size) {
  void* memory = g_no_memory ? nullptr : std::malloc(size > 0 ? size : 1);
  if (!memory) throw std::bad_alloc();
  return memory;
}
// Otherwise a sanitizer's own would be paired with the deletion below.
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return g_no_memory ? nullptr : std::malloc(size > 0 ? size : 1);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace {

// What leaves the boundary when `f` throws: its type, code and text, and whether the original is nested.
template <typename E, typename Original, typename F>
Caught translated(F&& f) {
  try {
    boundary(f);
  } catch (const E& e) {
    Caught result{e.code(), e.what()};
    bool nested = false;
    try {
      std::rethrow_if_nested(e);
    } catch (const Original&) {
      nested = true;
    }
    CHECK(nested);
    INFO(result.message);
    CHECK(result.message.find('\n') == std::string::npos);
    CHECK(result.message.find("frame #") == std::string::npos);
    CHECK(result.message.find("Exception raised from") == std::string::npos);
    return result;
  }
  return {};
}

void check_cv(int found) {
  CV_CheckEQ(found, 3, "channels of a picture");
}

}  // namespace

TEST_CASE("what goes well, and errors of our own, pass the boundary as they are") {
  int value = 1;
  static_assert(std::is_same_v<decltype(boundary([&]() -> int& { return value; })), int&>);
  CHECK(&boundary([&]() -> int& { return value; }) == &value);
  boundary([] {});
  try {
    boundary([] { throw FormatError("zip.bad", "text", 7); });
  } catch (const FormatError& e) {
    CHECK(e.code() == "zip.bad");
    CHECK(e.offset() == 7);
    CHECK(dynamic_cast<const std::nested_exception*>(&e) == nullptr);
  }
}

TEST_CASE("exceptions of LibTorch") {
  auto error = translated<TrainError, c10::Error>([] { TORCH_CHECK(false, "shapes differ"); });
  CHECK(error.code == "train.failed");
  CHECK(error.message == "LibTorch refused an operation: shapes differ");

  error = translated<TrainError, c10::IndexError>([] { TORCH_CHECK_INDEX(false, "no such row"); });
  CHECK(error.message == "LibTorch refused an operation: no such row");

  // Made from the text of another, stack and all.
  error = translated<Error, std::runtime_error>([] {
    try {
      TORCH_CHECK(false, "inner cause");
    } catch (const c10::Error& e) {
      throw std::runtime_error(e.what());
    }
  });
  CHECK(error.code == "core.unexpected");
  CHECK(error.message == "an unexpected exception: inner cause");
}

TEST_CASE("no memory, whoever says so") {
  const auto expect = [](const Caught& error) {
    CHECK(error.code == "train.out_of_memory");
    CHECK(error.message.find("smaller batches") != std::string::npos);
  };
  expect(translated<MemoryError, std::bad_alloc>([] { throw std::bad_alloc(); }));
  expect(translated<MemoryError, std::bad_alloc>([] { throw std::bad_array_new_length(); }));
  expect(translated<MemoryError, std::length_error>(
      [] { std::vector<int>().resize(static_cast<std::size_t>(-1)); }));
  for (const auto* text :
       {"CUDA out of memory. Tried to allocate 2.00 GiB",
        "DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"}) {
    expect(translated<MemoryError, c10::Error>([&] { TORCH_CHECK(false, text); }));
    expect(translated<MemoryError, std::runtime_error>([&] { throw std::runtime_error(text); }));
  }
  expect(translated<MemoryError, cv::Exception>([] { CV_Error(cv::Error::StsNoMem, "1 TB"); }));
  const auto none = std::make_error_code(std::errc::not_enough_memory);
  expect(translated<MemoryError, std::system_error>([&] { throw std::system_error(none); }));
  expect(translated<MemoryError, std::system_error>(
      [&] { throw std::filesystem::filesystem_error("list", "folder", none); }));
}

TEST_CASE("no memory even for the message") {
  std::string code;
  bool type = false;
  g_no_memory = true;
  try {
    boundary([] { throw std::bad_alloc(); });
  } catch (const MemoryError& e) {
    g_no_memory = false;
    type = true;
    code = e.code();
  } catch (...) {
    g_no_memory = false;
  }
  CHECK(type);
  CHECK(code == "train.out_of_memory");
}

TEST_CASE("exceptions of OpenCV") {
  const auto error = translated<ImageError, cv::Exception>([] { check_cv(4); });
  CHECK(error.code == "image.failed");
  // The numbers that were compared stand on lines of their own.
  CHECK(error.message.find("channels of a picture") != std::string::npos);
  CHECK(error.message.find("is 4") != std::string::npos);
  CHECK(error.message.find("boundary_test") == std::string::npos);
}

TEST_CASE("exceptions of the file system and of the system") {
  TempDir dir;
  auto error = translated<IoError, std::filesystem::filesystem_error>(
      [&] { return std::filesystem::file_size(dir / "none"); });
  CHECK(error.code == "io.failed");
  CHECK(error.message == fmt::format("'{}': No such file or directory", (dir / "none").string()));

  error = translated<Error, std::system_error>([] {
    throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again),
                            "thread");
  });
  CHECK(error.code == "core.system");
  CHECK(error.message.find("Resource temporarily unavailable") != std::string::npos);
}

TEST_CASE("exceptions of JSON and of fmt, and any other") {
  auto error =
      translated<FormatError, nlohmann::json::exception>([] { return nlohmann::json::parse("{"); });
  CHECK(error.code == "io.json");
  error = translated<FormatError, nlohmann::json::exception>(
      [] { return nlohmann::json("\xff").dump(); });
  CHECK(error.code == "io.json");

  error = translated<Error, fmt::format_error>([] { throw fmt::format_error("bad format"); });
  CHECK(error.code == "core.unexpected");
  CHECK(error.message == "an unexpected exception: bad format");
  CHECK(translated<Error, std::out_of_range>([] { return std::string("a").at(3); }).code ==
        "core.unexpected");
  CHECK(translated<Error, std::runtime_error>([] {
          throw std::runtime_error("\n\n  late\nmore");
        }).message == "an unexpected exception: late");
  CHECK(translated<Error, int>([] { throw 5; }).code == "core.unexpected");
}

#if !defined(__SANITIZE_THREAD__)
TEST_CASE("a cancelled thread passes the boundary") {
  // A boundary that held it up would end the process.
  pthread_t thread{};
  REQUIRE(::pthread_create(
              &thread, nullptr,
              [](void*) -> void* {
                boundary([] {
                  while (true) ::usleep(1000);
                });
                return nullptr;
              },
              nullptr) == 0);
  ::pthread_cancel(thread);
  void* result = nullptr;
  REQUIRE(::pthread_join(thread, &result) == 0);
  CHECK(result == PTHREAD_CANCELED);
}
#endif
