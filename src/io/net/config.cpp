#include "fastcpp/io/config.hpp"

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <string_view>
#include <vector>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "io/net/parts.hpp"

namespace fastcpp::inline v0 {
namespace {

using Keys = std::map<std::string, std::string>;

Path user_folder() {
  if (const char* home = std::getenv("HOME"); home && *home) return home;
  passwd entry{};
  passwd* found = nullptr;
  std::vector<char> buffer(16384);
  if (::getpwuid_r(::getuid(), &entry, buffer.data(), buffer.size(), &found) == 0 && found) {
    return found->pw_dir;
  }
  return "/";
}

// Written with `~` where that is true, so that the file stays good when the user's folder moves.
Keys defaults() {
  const char* moved = std::getenv("FASTAI_HOME");
  const Path home = moved && *moved ? Config::home() : Path("~/.fastai");
  return {{"data_archive_path", (home / "data").string()},
          {"data_path", (home / "data").string()},
          {"model_path", (home / "models").string()}};
}

std::string unquote(std::string_view value) {
  if (value.size() >= 2 && (value[0] == '"' || value[0] == '\'')) {
    const auto end = value.find(value[0], 1);
    if (end != value.npos) return std::string(value.substr(1, end - 1));
  }
  if (value.starts_with('#')) return {};
  if (const auto comment = value.find(" #"); comment != value.npos)
    value = value.substr(0, comment);
  return std::string(io::trim(value));
}

Keys parse(const Path& file, std::string_view text) {
  Keys keys;
  for (std::size_t line = 1; !text.empty(); ++line) {
    const auto end = text.find('\n');
    const std::string_view raw = text.substr(0, end);
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
    const std::string_view content = io::trim(raw);
    const bool nested = raw.starts_with(' ') || raw.starts_with('\t') || raw.starts_with('-');
    if (content.empty() || content[0] == '#' || nested || content == "...") continue;
    const auto colon = content.find(':');
    if (colon == content.npos || colon == 0) {
      throw FormatError("config.malformed",
                        fmt::format("'{}' line {}: expected 'key: value', found '{}'; repair the "
                                    "line, or delete the file, "
                                    "and it is made anew with the defaults",
                                    file.string(), line, content));
    }
    keys[unquote(io::trim(content.substr(0, colon)))] =
        unquote(io::trim(content.substr(colon + 1)));
  }
  return keys;
}

void check_ending(const Path& file) {
  if (file.extension() == ".yml") return;
  throw ValueError(
      "value.config_file",
      fmt::format("a configuration file must end in .yml, not '{}'; give it another name",
                  file.string()));
}

// As YAML needs it, and `unquote` undoes it.
std::string quoted(const std::string& value) {
  const bool plain = value.find('#') == std::string::npos && io::trim(value) == value &&
                     !value.starts_with('"') && !value.starts_with('\'');
  if (plain) return value;
  const char mark = value.find('"') == std::string::npos ? '"' : '\'';
  return mark + value + mark;
}

void create_file(const Path& file) {
  check_ending(file);
  std::error_code ec;
  if (std::filesystem::exists(file, ec)) return;
  std::string text;
  for (const auto& [key, value] : defaults()) {
    // What a line cannot hold is left to the defaults.
    if (value.find('\n') == std::string::npos) text += fmt::format("{}: {}\n", key, quoted(value));
  }
  try {
    write_file(file, text);
  } catch (const IoError& e) {
    std::throw_with_nested(IoError(
        e.code(),
        fmt::format(
            "{} The environment variable FASTAI_HOME names another folder for fastai's files.",
            e.what())));
  }
}

Keys read_keys(const std::optional<Path>& fpath, const ConfigOptions& options) {
  const Path file = fpath ? expand_user(*fpath) : Config::default_file();
  check_ending(file);
  if (options.create_missing) create_file(file);
  Keys keys = parse(file, read_file(file));
  for (auto& [key, value] : defaults()) {
    if (auto& found = keys[key]; found.empty()) found = value;
  }
  return keys;
}

}  // namespace

Path expand_user(const Path& path) {
  return boundary([&]() -> Path {
    const std::string text = path.string();
    if (text == "~") return user_folder();
    if (text.starts_with("~/")) return user_folder() / text.substr(2);
    return path;
  });
}

Path Config::home() {
  const char* moved = std::getenv("FASTAI_HOME");
  return boundary([&] { return expand_user(moved && *moved ? moved : "~/.fastai"); });
}

Path Config::default_file() {
  return boundary([] { return home() / "config.yml"; });
}

void Config::create(const Path& fpath) {
  boundary([&] { create_file(fpath); });
}

std::map<std::string, std::string> Config::get(const std::optional<Path>& fpath,
                                               const ConfigOptions& options) {
  return boundary([&] { return read_keys(fpath, options); });
}

std::string Config::get_key(const std::string& key) {
  return boundary([&] {
    const Keys keys = get();
    if (const auto found = keys.find(key); found != keys.end()) return found->second;
    std::string names;
    for (const auto& [name, value] : keys) names += (names.empty() ? "" : ", ") + name;
    throw ValueError("value.config_key", fmt::format("'{}' has no key '{}'; it has {}",
                                                     default_file().string(), key, names));
  });
}

Path Config::get_path(const std::string& key) {
  return boundary([&] { return expand_user(get_key(key)); });
}
Path Config::data_path() {
  return get_path("data_path");
}
Path Config::data_archive_path() {
  return get_path("data_archive_path");
}
Path Config::model_path() {
  return get_path("model_path");
}

}  // namespace fastcpp
