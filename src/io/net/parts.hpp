// Small things that several files of this room need.
#pragma once

#include <filesystem>
#include <string_view>

#include "fastcpp/core/path.hpp"
#include "fastcpp/io/untar.hpp"

namespace fastcpp::inline v0::io {

// `extract_archive` for a folder that may be there: it stays until the new one is complete, and goes in one step.
void replace_by_archive(const Path& archive, const Path& dest,
                        const ExtractArchiveOptions& options);

// Whether a file or folder has this name; what cannot be looked up is not there.
inline bool is_there(const Path& path) {
  std::error_code ec;
  return std::filesystem::exists(path, ec);
}

// Without blanks at both ends.
inline std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const auto first = text.find_first_not_of(kBlank);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

}  // namespace fastcpp::io
