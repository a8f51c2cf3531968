// What an address says about the files it stands for.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "fastcpp/core/path.hpp"

namespace fastcpp::inline v0 {

// The path of a `file://` address; nothing for other addresses. Throws ValueError value.url on
// another host.
std::optional<Path> local_file(std::string_view url);

// The address without user name and password, for messages.
std::string shown_url(std::string_view url);

// An address of a data set, taken apart.
struct ArchiveUrl {
  std::string address;        // with the archive's extension
  std::string name;           // of the folder
  std::string ext;            // with the dot
  std::optional<Path> local;  // the archive itself, for file://
};

// Throws ValueError value.url.
ArchiveUrl archive_url(const std::string& url, const std::string& default_ext);

}  // namespace fastcpp
