#include "fastcpp/io/hub.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <system_error>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"
#include "fastcpp/io/checksum.hpp"
#include "fastcpp/io/config.hpp"
#include "io/net/url_parts.hpp"

namespace fastcpp::inline v0 {
namespace {

Path torch_home() {
  if (const char* home = std::getenv("TORCH_HOME"); home && *home) return expand_user(home);
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache && *cache) {
    return expand_user(cache) / "torch";
  }
  return expand_user("~/.cache/torch");
}

// Something has the name already: is it what the name says?
void check_content(const Path& file, const std::string& digits) {
  std::error_code ec;
  if (!std::filesystem::is_regular_file(file, ec)) {
    throw IoError("io.cannot_read",
                  fmt::format("cannot read '{}': not a regular file; remove it and run this again",
                              file.string()));
  }
  if (digits.empty()) return;
  const std::string found = sha256_file(file);
  if (found.starts_with(digits)) return;
  throw DownloadError(
      "download.checksum",
      fmt::format("the weights file '{}' is cut short or another one: its SHA-256 should begin "
                  "with {}, found {}; delete "
                  "it and run this again, and it is downloaded anew",
                  file.string(), digits, found.substr(0, std::max<std::size_t>(digits.size(), 8))));
}

Path weights(const std::string& file_name, const HubOptions& options) {
  const bool odd = file_name.empty() || file_name == "." || file_name == ".." ||
                   file_name.find('/') != std::string::npos ||
                   file_name.find('\0') != std::string::npos;
  if (odd) {
    throw ValueError("value.weights_file",
                     fmt::format("'{}' is not the name of a weights file; expected one like "
                                 "resnet34-b627a593.pth",
                                 file_name));
  }
  DownloadUrlOptions download = options.download;
  if (download.sha256_prefix.empty())
    download.sha256_prefix = WeightsFile{file_name}.sha256_prefix();
  const Path file = hub_dir() / file_name;
  std::error_code ec;
  if (std::filesystem::exists(file, ec)) {
    check_content(file, download.sha256_prefix);
    return file;
  }
  std::string url = options.base_url;
  if (!url.ends_with('/')) url += '/';
  url += file_name;
  log_info(fmt::format("Downloading: \"{}\" to {}", shown_url(url), file.string()));
  download_url(url, file, download);
  return file;
}

}  // namespace

std::string WeightsFile::sha256_prefix() const {
  return boundary([&]() -> std::string {
    const auto dot = file_name.find('.', file_name.rfind('-') + 1);
    const auto dash = file_name.rfind('-');
    if (dash == std::string::npos || dot == std::string::npos) return {};
    const std::string digits = file_name.substr(dash + 1, dot - dash - 1);
    const bool hex = digits.find_first_not_of("0123456789abcdef") == std::string::npos;
    // Fewer digits are a number in a name, such as `vgg-16.pth`.
    return hex && digits.size() >= 8 && digits.size() <= 64 ? digits : std::string();
  });
}

Path hub_dir() {
  return boundary([] { return torch_home() / "hub" / "checkpoints"; });
}

Path hub_weights(const std::string& file_name, const HubOptions& options) {
  return boundary([&] { return weights(file_name, options); });
}

}  // namespace fastcpp
