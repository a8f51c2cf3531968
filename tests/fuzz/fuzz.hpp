// What the fuzz targets share. A target gives some bytes to a reader of files and checks what comes out.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>

#include "fastcpp/core/error.hpp"
#include "fastcpp/core/path.hpp"

// FASTCPP_FUZZ_TARGET(zip)(std::string_view input) { ... } is the one function of a program of libFuzzer, or one of many
// in test_fuzz_replay.
#ifdef FASTCPP_FUZZ
#define FASTCPP_FUZZ_TARGET(name)                                                     \
  static void run_target(std::string_view input);                                     \
  extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) { \
    run_target({reinterpret_cast<const char*>(data), size});                          \
    return 0;                                                                         \
  }                                                                                   \
  static void run_target
#else
#define FASTCPP_FUZZ_TARGET(name)             \
  namespace fastcpp::fuzz {                   \
  void target_##name(std::string_view input); \
  }                                           \
  void fastcpp::fuzz::target_##name
#endif

namespace fastcpp::fuzz {

// Something that should not be. Nobody catches it: libFuzzer ends and keeps the input, the replay fails.
struct Find : std::logic_error {
  using std::logic_error::logic_error;
};

inline void require(bool good, const std::string& what) {
  if (!good) throw Find(what);
}

// Runs a reader and tells whether it took the input. It may refuse by errors of its own only: these codes are what
// boundary() makes of exceptions that nobody expected; the want of memory that no small file should ask for; and what
// FileReader says to who reads beyond the end of a file.
template <typename F>
bool accepted(F&& read) {
  try {
    read();
    return true;
  } catch (const Error& e) {
    for (const char* code :
         {"core.unexpected", "core.system", "train.failed", "image.failed", "io.json", "io.failed",
          "train.out_of_memory", "io.out_of_memory", "io.cannot_read"}) {
      require(e.code() != code, "refused with " + e.code() + ": " + e.what());
    }
    return false;
  }
}

// The input as a file, in memory.
class InputFile {
 public:
  explicit InputFile(std::string_view content) : fd_(::memfd_create("fuzz", MFD_CLOEXEC)) {
    require(fd_ >= 0 && ::write(fd_, content.data(), content.size()) ==
                            static_cast<ssize_t>(content.size()),
            "no file in memory");
  }
  ~InputFile() { ::close(fd_); }
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  Path path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_;
};

// A folder for what a target writes, in memory where there is such a place.
class Folder {
 public:
  Folder() {
    std::error_code ec;
    const bool shm = std::filesystem::is_directory("/dev/shm", ec);
    auto name =
        ((shm ? Path("/dev/shm") : std::filesystem::temp_directory_path()) / "fastcpp-fuzz-XXXXXX")
            .string();
    require(::mkdtemp(name.data()) != nullptr, "no folder");
    path_ = name;
  }
  ~Folder() {
    std::error_code ec;
    std::filesystem::remove_all(path_, ec);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const Path& path() const { return path_; }

 private:
  Path path_;
};

}  // namespace fastcpp::fuzz
