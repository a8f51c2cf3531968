// Files that grow by a row an epoch, in a training that goes on from a checkpoint.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <system_error>

#include "fastcpp/core/error.hpp"
#include "fastcpp/core/path.hpp"
#include "fastcpp/io/value.hpp"

namespace fastcpp::inline v0 {

// How long the file is, and was when the fit began, for a checkpoint.
inline Value log_size(const Path& file, std::uintmax_t start) {
  std::error_code ec;
  const auto size = std::filesystem::file_size(file, ec);
  return Value::dict({{"size", ec ? std::int64_t{0} : static_cast<std::int64_t>(size)},
                      {"start", static_cast<std::int64_t>(start)}});
}

// Takes back what was written after the checkpoint. Where the file is shorter, or gone, rows are lost: takes back those of
// the fit, as far as they are there, and returns false: all of them are to be written anew. Throws IoError
// `io.cannot_write`.
inline bool cut_log(const Path& file, const Value& state, std::uintmax_t& start) {
  const auto number = [&](const char* key) {
    return static_cast<std::uintmax_t>(std::max<std::int64_t>(0, state.at(key).as_int()));
  };
  std::error_code ec;
  const auto found = std::filesystem::file_size(file, ec);
  const auto now = ec ? 0 : found;
  const bool whole = !ec && now >= number("size");
  start = std::min(number("start"), now);
  const auto size = whole ? number("size") : start;
  ec.clear();
  if (now > size) std::filesystem::resize_file(file, size, ec);
  if (!ec) return whole;
  throw IoError("io.cannot_write",
                fmt::format("'{}' cannot be shortened to the rows of the checkpoint: {}",
                            file.string(), ec.message()));
}

}  // namespace fastcpp
