// The members of a tar file that is open.
#pragma once

#include <string>
#include <vector>

#include "fastcpp/io/tar.hpp"
#include "io/file_access.hpp"

namespace fastcpp::inline v0::io {

// As `tar_members`; `shown` is what messages call the file.
std::vector<TarMember> read_members(const FileReader& file, const std::string& shown);

}  // namespace fastcpp::io
