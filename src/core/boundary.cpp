#include "fastcpp/core/boundary.hpp"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <filesystem>
#include <new>
#include <nlohmann/json.hpp>
#include <opencv2/core.hpp>
#include <stdexcept>
#include <string_view>
#include <system_error>

#include "fastcpp/core/error.hpp"

namespace fastcpp {
namespace {

// LibTorch has a type for it on CUDA only, and not in every version.
bool tells_of_memory(std::string_view message) {
  for (const std::string_view words :
       {"out of memory", "can't allocate memory", "not enough memory", "Failed to allocate"}) {
    if (message.find(words) != std::string_view::npos) return true;
  }
  return false;
}

[[noreturn]] void throw_memory_error() {
  std::throw_with_nested(
      MemoryError("train.out_of_memory",
                  "there is not enough memory for this operation: use smaller batches or pictures, "
                  "or free memory elsewhere"));
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

std::string files_of(const std::filesystem::filesystem_error& e) {
  std::string files;
  for (const auto& path : {e.path1(), e.path2()}) {
    if (!path.empty()) files += (files.empty() ? "" : ", ") + path.string();
  }
  return files.empty() ? "the file system" : files;
}

}  // namespace

std::string plain_message(const std::exception& e) {
  if (const auto* torch = dynamic_cast<const c10::Error*>(&e))
    return first_line(torch->what_without_backtrace());
  if (const auto* opencv = dynamic_cast<const cv::Exception*>(&e)) return first_line(opencv->err);
  const std::string text = e.what();
  // An exception that was made from one of LibTorch's may have taken its stack along.
  return first_line(text);
}

void rethrow_as_error() {
  try {
    throw;
  } catch (const Error&) {
    throw;
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
    std::throw_with_nested(
        IoError("io.failed", fmt::format("{}: {}", files_of(e), e.code().message())));
  } catch (const std::system_error& e) {
    std::throw_with_nested(
        Error("core.system", fmt::format("the system refused a request: {}", plain_message(e))));
  } catch (const nlohmann::json::exception& e) {
    std::throw_with_nested(FormatError("io.json", plain_message(e)));
  } catch (const std::bad_alloc&) {
    throw_memory_error();
  } catch (const std::length_error&) {
    throw_memory_error();  // a size beyond every memory
  } catch (const std::exception& e) {
    const auto message = plain_message(e);
    if (tells_of_memory(message)) throw_memory_error();
    std::throw_with_nested(Error("core.unexpected", message));
  } catch (...) {
    std::throw_with_nested(
        Error("core.unexpected", "an exception of an unknown type; the original is nested"));
  }
}

}  // namespace fastcpp
