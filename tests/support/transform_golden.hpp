// Walks the cases of transforms.json: the reduced set of the project or the full one.
#pragma once

#include <filesystem>

namespace fastcpp::test {

// `folder` holds transforms.json, transforms.bin and images/. Returns the number of cases compared.
int check_transform_cases(const std::filesystem::path& folder);
int check_transform_lists(const std::filesystem::path& folder);

}  // namespace fastcpp::test
