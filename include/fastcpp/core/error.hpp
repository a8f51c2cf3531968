/// \file
/// The exceptions of fastcpp. Every one carries a stable code; docs/errors.md lists them.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// Base of everything fastcpp throws.
///
/// `what()` names the file or value, what was expected, what was found and what to do; it never
/// holds a stack dump. A value: copies share nothing that changes. Threads: const calls by any number at once.
class FASTCPP_API Error : public std::runtime_error {
 public:
  /// \param code    stable identifier such as `data.empty_folder`: room or topic, a dot, the cause
  /// \param message text for a person
  Error(std::string code, const std::string& message)
      : std::runtime_error(message), code_(std::move(code)) {}

  /// The stable identifier; programs should test this and never the text.
  const std::string& code() const noexcept { return code_; }

 private:
  std::string code_;
};

/// An argument outside its documented range (`value.…`). Lifetime and threads as Error.
class FASTCPP_API ValueError : public Error {
 public:
  using Error::Error;
};

/// Items, labels or folders that cannot make a data set (`data.…`). Lifetime and threads as Error.
class FASTCPP_API DataError : public Error {
 public:
  using Error::Error;
};

/// A picture that cannot be read or transformed (`image.…`). Lifetime and threads as Error.
class FASTCPP_API ImageError : public DataError {
 public:
  using DataError::DataError;
};

/// A file of another program that is damaged or not of the promised kind (`zip.bad_entry`, `pickle.bad_call` and the like).
/// Lifetime and threads as Error.
class FASTCPP_API FormatError : public Error {
 public:
  /// \param offset byte position in the file where reading stopped, or -1 when there is none
  FormatError(std::string code, const std::string& message, std::int64_t offset = -1)
      : Error(std::move(code), message), offset_(offset) {}

  /// Byte position of the fault, -1 when unknown.
  std::int64_t offset() const noexcept { return offset_; }

 private:
  std::int64_t offset_;
};

/// Weights whose names or shapes do not fit the network (`weights.…`). Lifetime and threads as Error.
class FASTCPP_API WeightsError : public Error {
 public:
  using Error::Error;
};

/// A file or folder that cannot be read or written (`io.…`). Lifetime and threads as Error.
class FASTCPP_API IoError : public Error {
 public:
  using Error::Error;
};

/// A download that did not succeed (`download.…`). Lifetime and threads as Error.
class FASTCPP_API DownloadError : public IoError {
 public:
  using IoError::IoError;
};

/// A training that cannot start or go on (`train.…`). Lifetime and threads as Error.
class FASTCPP_API TrainError : public Error {
 public:
  using Error::Error;
};

/// Not enough memory for a batch (`train.out_of_memory`). Lifetime and threads as Error.
class FASTCPP_API MemoryError : public TrainError {
 public:
  using TrainError::TrainError;
};

/// A training in several processes that cannot begin, or that lost one of them (`distributed.lost`, for example). Lifetime
/// and threads as Error.
class FASTCPP_API DistributedError : public TrainError {
 public:
  using TrainError::TrainError;
};

}  // namespace fastcpp
