#include "core/cpu_quota.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <string>
#include <string_view>

namespace fastcpp::inline v0 {
namespace {

// The first two numbers of a text; 0 where there is none ("max").
std::pair<long long, long long> two_numbers(std::string_view text) {
  const auto number = [&] {
    long long value = 0;
    const auto word = text.substr(0, text.find_first_of(" \n"));
    std::from_chars(word.data(), word.data() + word.size(), value);
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    return value;
  };
  const auto first = number();
  return {first, number()};
}

std::string first_line_of(const Path& file) {
  std::string line;
  std::ifstream in(file);
  std::getline(in, line);
  return line;
}

std::optional<int> processors(long long quota, long long period) {
  if (quota <= 0 || period <= 0) return std::nullopt;
  return static_cast<int>(std::clamp((quota - 1) / period + 1, 1LL, 1'000'000LL));
}

// Of one group's folder, whichever version.
std::optional<int> quota_of(const Path& folder) {
  if (const auto line = first_line_of(folder / "cpu.max"); !line.empty()) {
    const auto [quota, period] = two_numbers(line);
    return processors(quota, period);
  }
  return processors(two_numbers(first_line_of(folder / "cpu.cfs_quota_us")).first,
                    two_numbers(first_line_of(folder / "cpu.cfs_period_us")).first);
}

}  // namespace

std::optional<int> cpu_quota(const Path& root) {
  std::optional<int> least;
  const auto limit_by = [&least](std::optional<int> quota) {
    if (quota) least = std::min(*quota, least.value_or(*quota));
  };
  // A line is `number:controllers:path`; version 2 has no controllers there.
  std::ifstream groups(root / "proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const auto controllers = line.substr(first + 1, second - first - 1);
    const Path group = Path(line.substr(second + 1)).relative_path().lexically_normal();
    for (const Path mount : {controllers.empty() ? "" : controllers.c_str(), "unified", "cpu"}) {
      if (mount == "cpu" && ("," + controllers + ",").find(",cpu,") == std::string::npos) continue;
      if (mount == "unified" && !controllers.empty()) continue;
      const Path base = root / "sys/fs/cgroup" / mount;
      // A group is held by the limits of those above it. Inside a container its own may be mounted as the root, so that
      // the folders of the path do not exist.
      Path folder = group;
      while (!folder.empty() && *folder.begin() != "..") {
        limit_by(quota_of(base / folder));
        folder = folder.parent_path();
      }
      limit_by(quota_of(base));
    }
  }
  return least;
}

}  // namespace fastcpp
