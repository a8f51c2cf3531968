/// \file
/// Where data sets and models are kept (fastai: `Config`).
#pragma once

#include <map>
#include <optional>
#include <string>

#include "fastcpp/core/path.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// Arguments of `Config::get`.
struct ConfigOptions {
  bool create_missing = true;  ///< write the file, and its folder, when it is not there
};

/// The folder of fastai and its `config.yml` (fastai: `fastai.datasets.Config`).
///
/// The home folder is `$FASTAI_HOME`, else `~/.fastai`. `config.yml` there has the keys
/// `data_path`, `data_archive_path` and `model_path`; it is made with the defaults when it is
/// missing and never overwritten. The file and the environment are read anew at every call, so that
/// a change is seen at once. A leading `~` in a value stands for the user's folder. Nothing is kept between calls; each
/// may come from any thread, as long as none changes the environment.
///
/// What `get` throws, all that read a key throw as well.
class FASTCPP_API Config {
 public:
  /// `$FASTAI_HOME`, else `~/.fastai`.
  static Path home();
  /// `config.yml` in the home folder.
  static Path default_file();

  /// All keys of a configuration file, the defaults filled in where they are missing.
  ///
  /// The reader understands `key: value` lines, quotes and `#` comments; nested YAML of foreign keys is skipped.
  /// \param fpath a file that ends in `.yml`; default `default_file()`
  /// \throws ValueError `value.config_file` on another ending
  /// \throws IoError `io.cannot_read` when the file is missing and shall not be made; `io.cannot_write`,
  ///   `io.cannot_create`
  /// \throws FormatError `config.malformed` on a line that is not `key: value`
  static std::map<std::string, std::string> get(const std::optional<Path>& fpath = std::nullopt,
                                                const ConfigOptions& options = {});
  /// Writes the defaults to a file that does not exist yet; does nothing when it does.
  /// \throws ValueError `value.config_file` on an ending other than `.yml`
  /// \throws IoError `io.cannot_write`, `io.cannot_create`
  static void create(const Path& fpath);

  /// One value of the default file, as written there.
  /// \throws ValueError `value.config_key` when neither the file nor the defaults have it
  static std::string get_key(const std::string& key);
  /// One value of the default file as a path, `~` expanded.
  /// \throws ValueError `value.config_key`
  static Path get_path(const std::string& key);

  /// Folder of extracted data sets (key `data_path`, default `<home>/data`).
  static Path data_path();
  /// Folder of downloaded archives (key `data_archive_path`, default `<home>/data`).
  static Path data_archive_path();
  /// Folder of downloaded models (key `model_path`, default `<home>/models`).
  static Path model_path();
};

/// Replaces a leading `~` or `~/` by the user's folder (Python: `expanduser`, without `~name`).
FASTCPP_API Path expand_user(const Path& path);

}  // namespace fastcpp
