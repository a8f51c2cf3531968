/// \file
/// The one place where exceptions of other libraries become fastcpp's.
#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <utility>

#include "fastcpp/core/error.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// What an exception says to a person, in one line: without the stack dump of LibTorch and the source position of
/// OpenCV.
FASTCPP_API std::string plain_message(const std::exception& e);

/// Throws the exception being handled again: an Error as it is, any other as an Error that names the cause in plain
/// words and holds the original (`std::rethrow_if_nested`). Call it in a `catch` block only. Thread-safe.
///
/// | caught | thrown |
/// | --- | --- |
/// | no memory (standard library, LibTorch, OpenCV) | MemoryError `train.out_of_memory` |
/// | other exceptions of LibTorch | TrainError `train.failed` |
/// | other exceptions of OpenCV | ImageError `image.failed` |
/// | the file system | IoError `io.failed` |
/// | other system calls, such as starting a thread | Error `core.system` |
/// | JSON that cannot be read or written | FormatError `io.json` |
/// | anything else, a user's own exceptions too | Error `core.unexpected` |
///
/// The cancellation of a thread (`pthread_cancel`) passes.
[[noreturn]] FASTCPP_API void rethrow_as_error();

/// MemoryError `train.out_of_memory` of a batch that does not fit in memory, with advice on its size.
/// \param batch_size items of the batch, >= 1
FASTCPP_API MemoryError no_memory_for_batch(std::int64_t batch_size);

/// Runs `f` and returns what it returns; nothing but an Error leaves it. Every public function that calls another
/// library goes through here.
/// \throws Error as `rethrow_as_error` does
template <typename F>
auto boundary(F&& f) -> decltype(auto) {
  try {
    return std::forward<F>(f)();
  } catch (...) {
    rethrow_as_error();
  }
}

}  // namespace fastcpp
