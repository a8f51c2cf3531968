#include "fastcpp/data/files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"

namespace fastcpp::inline v0 {
namespace fs = std::filesystem;
namespace {

// ASCII only, whatever the locale: a Turkish one makes no i of I.
std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

bool contains(const std::vector<std::string>& list, const std::string& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

class Walk {
 public:
  explicit Walk(const GetFilesOptions& options) : options_(options) {
    for (const auto& extension : options.extensions) extensions_.push_back(lower(extension));
  }

  std::vector<Path> run(const Path& top) {
    folder(top, true);
    if (unreadable_ > 0) {
      log_warning(
          fmt::format("{} folder{} below '{}' could not be listed and {} left out, the first "
                      "of them '{}'",
                      unreadable_, unreadable_ == 1 ? "" : "s", top.string(),
                      unreadable_ == 1 ? "was" : "were", first_unreadable_.string()));
    }
    return std::move(files_);
  }

 private:
  void folder(const Path& path, bool top) {
    above_.push_back(path);
    list(path, top);
    above_.pop_back();
  }

  void list(const Path& path, bool top) {
    std::error_code ec;
    for (fs::directory_iterator it(path, ec), end; !ec && it != end; it.increment(ec)) {
      const std::string name = it->path().filename().string();
      std::error_code ignored;
      if (it->is_directory(ignored)) {
        if (!options_.recurse || !wanted_folder(name, top)) continue;
        if (it->is_symlink(ignored) && (!options_.followlinks || leads_back(it->path()))) continue;
        folder(it->path(), false);
      } else if (wanted_file(name) && it->is_regular_file(ignored)) {
        files_.push_back(it->path());
      }
    }
    if (ec && !top) {
      if (unreadable_++ == 0) first_unreadable_ = path;
    } else if (ec) {
      throw DataError("data.not_a_folder",
                      fmt::format("cannot list the folder '{}': {}", path.string(), ec.message()));
    }
  }

  // Two links to a folder above would double what is listed at every level, and never end.
  bool leads_back(const Path& link) const {
    return std::any_of(above_.begin(), above_.end(), [&](const Path& folder) {
      std::error_code ec;
      return fs::equivalent(link, folder, ec);
    });
  }

  bool wanted_folder(const std::string& name, bool top) const {
    if (top && !options_.include.empty()) return contains(options_.include, name);
    // As in fastai: where folders are named that are left out, all others count, hidden ones too.
    if (top && !options_.exclude.empty()) return !contains(options_.exclude, name);
    return name.front() != '.';
  }

  bool wanted_file(const std::string& name) const {
    if (name.front() == '.') return false;
    if (extensions_.empty()) return true;
    const auto dot = name.rfind('.');
    return dot != std::string::npos && contains(extensions_, lower(name.substr(dot)));
  }

  const GetFilesOptions& options_;
  std::vector<std::string> extensions_;
  std::vector<Path> files_;
  std::vector<Path> above_;  // the folders being listed, from the top down
  std::int64_t unreadable_ = 0;
  Path first_unreadable_;
};

std::string presort_key(const Path& path) {
  std::string text = path.string();
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '/' || c == '\\'; }, '.');
  return text;
}

}  // namespace

namespace {

std::vector<Path> sorted_files(const Path& path, const GetFilesOptions& options) {
  std::error_code ec;
  if (!fs::is_directory(path, ec)) {
    throw DataError("data.not_a_folder",
                    fmt::format("expected a folder of files at '{}', found {}", path.string(),
                                fs::exists(path, ec) ? "a file" : "nothing"));
  }
  auto files = Walk(options).run(path);
  // Compared as text: comparing paths component by component is several times slower.
  std::vector<std::pair<std::string, std::size_t>> keys(files.size());
  for (std::size_t i = 0; i < files.size(); ++i) {
    keys[i] = {options.presort ? presort_key(files[i]) : files[i].string(), i};
  }
  std::sort(keys.begin(), keys.end());
  std::vector<Path> sorted;
  sorted.reserve(files.size());
  for (const auto& key : keys) sorted.push_back(std::move(files[key.second]));
  return sorted;
}

}  // namespace

std::vector<Path> get_files(const Path& path, const GetFilesOptions& options) {
  return boundary([&] { return sorted_files(path, options); });
}

std::vector<Path> get_image_files(const Path& folder, const GetImageFilesOptions& options) {
  GetFilesOptions walk{.recurse = options.recurse, .followlinks = options.followlinks};
  if (options.check_ext) walk.extensions = image_extensions();
  return get_files(folder, walk);
}

const std::vector<std::string>& image_extensions() {
  static const std::vector<std::string> extensions{".bmp", ".gif", ".jpe",  ".jpeg", ".jpg",
                                                   ".pbm", ".pgm", ".png",  ".pnm",  ".ppm",
                                                   ".ras", ".tif", ".tiff", ".webp"};
  return extensions;
}

std::vector<std::string> find_classes(const Path& folder) {
  std::vector<std::string> classes;
  for (const auto& entry : ls(folder)) {
    const auto name = entry.filename().string();
    std::error_code ec;
    if (fs::is_directory(entry, ec) && name.front() != '.') classes.push_back(name);
  }
  if (classes.empty()) {
    throw DataError("data.no_classes", fmt::format("expected one folder per class in '{}', found "
                                                   "no folder",
                                                   folder.string()));
  }
  return classes;
}

namespace {

bool lies_in(const Path& item, const Path& folder) {
  const auto plain = item.lexically_normal();
  return std::mismatch(folder.begin(), folder.end(), plain.begin(), plain.end()).first ==
         folder.end();
}

// The folder itself, however relative or linked the path to it is.
Path real_folder(const Path& folder) {
  std::error_code ec;
  const auto full = fs::absolute(folder / ".", ec);
  auto real = ec ? Path() : fs::weakly_canonical(full, ec);
  return ec ? folder.lexically_normal() : real;
}

}  // namespace

std::string relative_below(const Path& file, const Path& folder) {
  return boundary([&] {
    // Two slashes would become one.
    if (is_web_address(file.native())) return file.native();
    const auto plain = file.lexically_normal();
    const auto below = plain.lexically_relative((folder / "").lexically_normal().parent_path());
    const bool inside = !below.empty() && *below.begin() != ".." && below != ".";
    return (inside ? below : plain).generic_string();
  });
}

SubFolder::SubFolder(const Path& top, const Path& folder) {
  boundary([&] {
    path_ = ((folder.is_absolute() ? folder : top / folder) / "").lexically_normal().parent_path();
    real_ = real_folder(path_);
  });
}

bool SubFolder::holds_as_written(const Path& file) const {
  return boundary([&] { return lies_in(file.parent_path(), path_); });
}

bool SubFolder::holds(const Path& file) {
  return boundary([&] {
    const auto parent = file.parent_path();
    const auto [at, fresh] = known_.try_emplace(parent.string(), false);
    if (fresh) at->second = lies_in(parent, path_) || lies_in(real_folder(parent), real_);
    return at->second;
  });
}

}  // namespace fastcpp
