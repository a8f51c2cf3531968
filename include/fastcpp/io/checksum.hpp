/// \file
/// Digests of files: fastai checks its archives by size and MD5, PyTorch its weights by SHA-256.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "fastcpp/core/path.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// What fastai knows of an archive: its length and a digest of its beginning (fastai:
/// `_check_file`).
struct FileCheck {
  std::int64_t size = 0;  ///< length of the whole file in bytes
  std::string md5;        ///< MD5 of the first MiB (1048576 bytes), 32 lower-case hex digits

  bool operator==(const FileCheck&) const = default;
};

/// Measures a file. Thread-safe, like all of these.
/// \throws IoError `io.cannot_read`, `io.no_digest` where OpenSSL forbids MD5
FASTCPP_API FileCheck file_check(const Path& file);

/// MD5 of the first MiB of a file, or of the whole when it is shorter: 32 lower-case hex digits.
/// \throws IoError `io.cannot_read`, `io.no_digest` where OpenSSL forbids MD5
FASTCPP_API std::string md5_first_mib(const Path& file);

/// SHA-256 of bytes in memory: 64 lower-case hex digits.
FASTCPP_API std::string sha256_bytes(std::string_view bytes);

/// SHA-256 of a whole file: 64 lower-case hex digits.
/// \throws IoError `io.cannot_read`
FASTCPP_API std::string sha256_file(const Path& file);

}  // namespace fastcpp
