#include "io/net/url_parts.hpp"

#include <fmt/format.h>

#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0 {
namespace {

constexpr std::string_view kFile = "file://";
constexpr std::string_view kArchives[] = {".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".tar", ".zip"};

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool coded = text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 &&
                       hex_digit(text[i + 2]) >= 0;
    if (coded) {
      out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

[[noreturn]] void bad_url(std::string_view url, std::string_view why) {
  throw ValueError("value.url", fmt::format("the address '{}' {}", shown_url(url), why));
}

}  // namespace

std::optional<Path> local_file(std::string_view url) {
  if (!url.starts_with(kFile)) return std::nullopt;
  std::string_view rest = url.substr(kFile.size());
  if (rest.starts_with("localhost/")) rest.remove_prefix(9);
  if (!rest.starts_with('/')) bad_url(url, "must be like file:///folder/name, with three slashes");
  const std::string path = percent_decoded(rest);
  // To the system the name would end there.
  if (path.find('\0') != std::string::npos) bad_url(url, "must not hold %00");
  return Path(path);
}

std::string shown_url(std::string_view url) {
  const auto host = url.find("://");
  if (host == url.npos) return std::string(url);
  const auto path = url.find_first_of("/?#", host + 3);
  const auto at = url.substr(0, path).rfind('@');
  if (at == url.npos || at < host) return std::string(url);
  return fmt::format("{}{}", url.substr(0, host + 3), url.substr(at + 1));
}

ArchiveUrl archive_url(const std::string& url, const std::string& default_ext) {
  const bool file = url.starts_with(kFile);
  const auto cut = file ? url.npos : url.find_first_of("?#");
  const std::string path = url.substr(0, cut);
  const std::string query = cut == url.npos ? "" : url.substr(cut);

  const auto authority = path.find("://");
  const auto slash = path.rfind('/');
  if (authority == path.npos || slash < authority + 3) {
    bad_url(url, "must be like https://host/folder/name");
  }
  ArchiveUrl parts{
      .address = url, .name = percent_decoded(path.substr(slash + 1)), .ext = "", .local = {}};
  for (const std::string_view ext : kArchives) {
    if (parts.ext.empty() && parts.name.ends_with(ext)) parts.ext = ext;
  }
  if (parts.ext.empty()) {
    parts.ext = default_ext;
    parts.address = path + default_ext + query;
  } else {
    parts.name.resize(parts.name.size() - parts.ext.size());
  }
  const bool odd = parts.name.empty() || parts.name == "." || parts.name == ".." ||
                   parts.name.find('/') != std::string::npos ||
                   parts.name.find('\0') != std::string::npos;
  if (odd) bad_url(url, "does not end in the name of a data set");
  parts.local = local_file(parts.address);
  return parts;
}

}  // namespace fastcpp
