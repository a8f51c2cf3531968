// Files that grow by a row an epoch, in a training that goes on from a checkpoint.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <filesystem>
#include <system_error>

#include "fastcpp/core/error.hpp"
#include "fastcpp/core/path.hpp"
#include "fastcpp/io/value.hpp"

namespace fastcpp::inline v0 {

// How long the file is, for a checkpoint.
inline Value log_size(const Path& file) {
  std::error_code ec;
  const auto size = std::filesystem::file_size(file, ec);
  return Value::dict({{"size", ec ? std::int64_t{0} : static_cast<std::int64_t>(size)}});
}

// Takes back what was written after the checkpoint; false where the file is shorter, or gone. Throws IoError
// `io.cannot_write`.
inline bool cut_log(const Path& file, const Value& state) {
  const auto size = static_cast<std::uintmax_t>(state.at("size").as_int());
  std::error_code ec;
  const auto now = std::filesystem::file_size(file, ec);
  if (ec || now < size) return false;
  if (now > size) std::filesystem::resize_file(file, size, ec);
  if (!ec) return true;
  throw IoError("io.cannot_write",
                fmt::format("'{}' cannot be shortened to the rows of the checkpoint: {}",
                            file.string(), ec.message()));
}

}  // namespace fastcpp
