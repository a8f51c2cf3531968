#include "fastcpp/core/boundary.hpp"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <filesystem>
#include <new>
#include <nlohmann/json.hpp>
#include <opencv2/core.hpp>
#include <stdexcept>
#include <string_view>
#include <system_error>

#if defined(__GLIBCXX__)
#include <cxxabi.h>
#endif

#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0 {
namespace {

// LibTorch has a type for it on CUDA only, and not in every version.
bool tells_of_memory(std::string_view message) {
  for (const std::string_view words :
       {"out of memory", "can't allocate memory", "not enough memory", "Failed to allocate",
        "ALLOC_FAILED", "Storage size calculation overflowed"}) {
    if (message.find(words) != std::string_view::npos) return true;
  }
  return false;
}

bool tells_of_memory(const std::error_code& code) {
  return code == std::errc::not_enough_memory;
}

MemoryError memory_error() {
  return {"train.out_of_memory",
          "there is not enough memory for this operation: use smaller batches or pictures, or free "
          "memory elsewhere"};
}

// Made beforehand: when memory is out there may be none for a message either.
const std::exception_ptr& last_memory_error() {
  static const std::exception_ptr error = std::make_exception_ptr(memory_error());
  return error;
}
[[maybe_unused]] const bool kMadeAtStart = last_memory_error() != nullptr;

[[noreturn]] void throw_memory_error() {
  std::throw_with_nested(memory_error());
}

// The first line that says something. What LibTorch's exceptions carry below it is a stack, also in
// exceptions that were made from their text.
std::string first_line(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \n\r"), text.size()));
  text = text.substr(0, text.find('\n'));
  return std::string(text.substr(0, text.find(" Exception raised from ")));
}

// OpenCV's checks write the values that they compare on lines of their own, each after "> ".
std::string one_line(std::string_view text) {
  std::string line;
  bool blank = true;
  for (const char c : text) {
    const bool gap = c == ' ' || c == '\n' || (blank && c == '>');
    if (!gap && blank && !line.empty()) line += ' ';
    if (!gap) line += c;
    blank = gap;
  }
  return line;
}

std::string files_of(const std::filesystem::filesystem_error& e) {
  std::string files;
  for (const auto& path : {e.path1(), e.path2()}) {
    if (!path.empty()) files += fmt::format("{}'{}'", files.empty() ? "" : ", ", path.string());
  }
  return files.empty() ? "the file system" : files;
}

// The cancellation of a thread carries no object; a reference to it is what the sanitizer of undefined behaviour minds.
[[noreturn]]
#if defined(__GNUC__)
__attribute__((no_sanitize("null")))
#endif
void rethrow_translated() {
  try {
    throw;
  } catch (const Error&) {
    throw;
#if defined(__GLIBCXX__)
  } catch (const abi::__forced_unwind&) {
    throw;  // a thread that is being cancelled; the process ends when it is held up
#endif
  } catch (const c10::Error& e) {
    const auto message = plain_message(e);
    if (tells_of_memory(message)) throw_memory_error();
    std::throw_with_nested(
        TrainError("train.failed", fmt::format("LibTorch refused an operation: {}", message)));
  } catch (const cv::Exception& e) {
    if (e.code == cv::Error::StsNoMem) throw_memory_error();
    std::throw_with_nested(ImageError(
        "image.failed", fmt::format("OpenCV refused an operation: {}", plain_message(e))));
  } catch (const std::filesystem::filesystem_error& e) {
    if (tells_of_memory(e.code())) throw_memory_error();
    std::throw_with_nested(
        IoError("io.failed", fmt::format("{}: {}", files_of(e), e.code().message())));
  } catch (const std::system_error& e) {
    if (tells_of_memory(e.code())) throw_memory_error();
    std::throw_with_nested(
        Error("core.system", fmt::format("the system refused a request: {}", plain_message(e))));
  } catch (const nlohmann::json::exception& e) {
    std::throw_with_nested(
        FormatError("io.json", fmt::format("JSON that cannot be used: {}", plain_message(e))));
  } catch (const std::bad_alloc&) {
    throw_memory_error();
  } catch (const std::length_error&) {
    throw_memory_error();  // a size beyond every memory
  } catch (const std::exception& e) {
    const auto message = plain_message(e);
    if (tells_of_memory(message)) throw_memory_error();
    std::throw_with_nested(
        Error("core.unexpected", fmt::format("an unexpected exception: {}", message)));
  } catch (...) {
    std::throw_with_nested(
        Error("core.unexpected", "an exception of an unknown type; the original is nested"));
  }
}

}  // namespace

std::string plain_message(const std::exception& e) {
  if (const auto* torch = dynamic_cast<const c10::Error*>(&e))
    return first_line(torch->what_without_backtrace());
  if (const auto* opencv = dynamic_cast<const cv::Exception*>(&e)) return one_line(opencv->err);
  return first_line(e.what());
}

MemoryError no_memory_for_batch(std::int64_t batch_size) {
  return {"train.out_of_memory",
          fmt::format("there is not enough memory for batches of {}: make the data with a smaller "
                      "batch size (bs = {}), with smaller items or fewer workers",
                      batch_size, std::max<std::int64_t>(1, batch_size / 2))};
}

void rethrow_as_error() {
  try {
    rethrow_translated();
  } catch (const std::bad_alloc&) {
    std::rethrow_exception(last_memory_error());
  }
}

}  // namespace fastcpp
