#include "fastcpp/vision/data_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <system_error>
#include <unordered_map>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/data/files.hpp"
#include "fastcpp/data/label_list.hpp"
#include "fastcpp/io/pack.hpp"
#include "fastcpp/vision/image_data_bunch.hpp"
#include "vision/compare_pictures.hpp"
#include "vision/work_through.hpp"

namespace fastcpp::inline v0 {
namespace fs = std::filesystem;
namespace {

using detail::PictureFile;
using detail::ReadPicture;
using Files = std::vector<const PictureFile*>;

struct Item {
  Path file;
  std::string label;
};

// The items of one set, sorted by path, each file once.
std::vector<Item> items_of(const LabelledPictures& set, const char* name) {
  const bool labelled = !set.labels.empty();
  if (labelled && set.labels.size() != set.files.size()) {
    throw DataError("data.length", fmt::format("the {} set has {} files and {} labels", name,
                                               set.files.size(), set.labels.size()));
  }
  std::vector<Item> items(set.files.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    items[i] = {set.files[i], labelled ? set.labels[i] : std::string()};
  }
  std::stable_sort(items.begin(), items.end(),
                   [](const Item& a, const Item& b) { return a.file < b.file; });
  const auto same = [](const Item& a, const Item& b) { return a.file == b.file; };
  items.erase(std::unique(items.begin(), items.end(), same), items.end());
  return items;
}

std::vector<std::string> split(const std::string& label, const std::optional<std::string>& delim) {
  if (!delim || delim->empty()) return {label};
  std::vector<std::string> parts;
  for (std::size_t from = 0; from <= label.size();) {
    const auto end = std::min(label.find(*delim, from), label.size());
    if (end > from) parts.push_back(label.substr(from, end - from));
    from = end + delim->size();
  }
  return parts;
}

std::string small_letters(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

void count_classes(const LabelledPictures& train, const LabelledPictures& valid,
                   const std::optional<std::string>& delim, DataReport& report) {
  std::map<std::string, ClassCount> counts;
  const auto count = [&](const LabelledPictures& set, std::size_t ClassCount::*member) {
    for (const std::string& label : set.labels) {
      for (const std::string& name : split(label, delim)) ++(counts[name].*member);
    }
  };
  count(train, &ClassCount::train);
  count(valid, &ClassCount::valid);
  std::map<std::string, std::vector<std::string>> by_letters;
  const bool both = !train.labels.empty() && !valid.labels.empty();
  for (auto& [name, c] : counts) {
    c.name = name;
    report.classes.push_back(c);
    if (both && c.train == 0) report.missing_in_train.push_back(name);
    if (both && c.valid == 0) report.missing_in_valid.push_back(name);
    if (c.train == 1) report.single_picture.push_back(name);
    by_letters[small_letters(name)].push_back(name);
  }
  for (auto& [letters, names] : by_letters) {
    if (names.size() > 1) report.similar_names.push_back(std::move(names));
  }
}

// What is wrong with one file, whatever the others are. True when it is a picture that can be read.
bool judge(const PictureFile& file, std::int64_t huge_pixels, DataReport& report) {
  if (file.fault) {
    const ImageFault& fault = *file.fault;
    // Whatever else went wrong, its bytes have not been seen.
    const bool read = fault.code.starts_with("image.");
    if (fault.code == "image.too_large") {
      report.huge.push_back(fault);
    } else if (read && file.size == 0) {
      report.empty_files.push_back(
          {file.path, fault.code, fmt::format("'{}': it is empty", file.path.string())});
    } else if (read && file.info.format == ImageFileFormat::kUnknown) {
      report.not_pictures.push_back(
          {file.path, fault.code,
           fmt::format("'{}': its content is no picture", file.path.string())});
    } else {
      report.unreadable.push_back(fault);
    }
    return false;
  }
  const auto& info = file.info;
  const auto say = [&](std::vector<ImageFault>& to, const char* code, const std::string& what) {
    to.push_back({file.path, code, fmt::format("'{}': {}", file.path.string(), what)});
  };
  // In a pack pictures keep their names, whatever they are written as.
  const bool named = !split_pack(file.path.native());
  if (named && image_format_named(file.path) != info.format &&
      info.format != ImageFileFormat::kUnknown) {
    say(report.wrong_suffix, "image.wrong_suffix",
        fmt::format("its content is {}", image_format_name(info.format)));
  }
  const auto size = fmt::format("{} x {} pixels", info.rows, info.cols);
  if (info.rows * info.cols > huge_pixels) say(report.huge, "image.huge", size);
  if (info.rows == 1 || info.cols == 1) say(report.one_pixel, "image.one_pixel", size);
  return true;
}

// After all pictures are known: which of them do not fit to the others.
void judge_sizes(const Files& good, const DataReport& found, DataReport& report) {
  constexpr std::int64_t kOdd = 4;
  if (good.empty()) return;
  Files sorted = good;
  const auto pixels = [](const PictureFile* f) { return f->info.rows * f->info.cols; };
  std::stable_sort(sorted.begin(), sorted.end(),
                   [&](const auto* a, const auto* b) { return pixels(a) < pixels(b); });
  const auto size = [](const PictureFile* f) {
    return Resolution{static_cast<int>(f->info.rows), static_cast<int>(f->info.cols)};
  };
  const PictureFile* median = sorted[(sorted.size() - 1) / 2];
  report.sizes = {size(sorted.front()), size(median), size(sorted.back()), 0};
  std::set<std::pair<std::int64_t, std::int64_t>> different;
  std::set<Path> told;
  for (const auto* list : {&found.huge, &found.one_pixel}) {
    for (const ImageFault& fault : *list) told.insert(fault.file);
  }
  const auto usual = std::min(median->info.rows, median->info.cols);
  for (const PictureFile* file : good) {
    const auto [low, high] = std::minmax(file->info.rows, file->info.cols);
    different.emplace(file->info.rows, file->info.cols);
    if (told.contains(file->path) || (low * kOdd > usual && high < kOdd * low)) continue;
    report.odd_sizes.push_back({file->path, "image.odd_size",
                                fmt::format("'{}': {} x {} pixels", file->path.string(),
                                            file->info.rows, file->info.cols)});
  }
  report.sizes.different = different.size();
}

using LabelByPath = std::unordered_map<std::string, std::string>;

void find_conflicts(const Files& files, const LabelByPath& labels, DataReport& report) {
  for (const DuplicateGroup& group : detail::equal_groups(files)) {
    LabelConflict conflict{group.files, {}};
    std::set<std::string> different;
    for (const Path& file : group.files) {
      conflict.labels.push_back(labels.at(file.native()));
      different.insert(conflict.labels.back());
    }
    if (different.size() > 1) report.conflicts.push_back(std::move(conflict));
  }
}

void find_duplicates_within(const Files& files, const std::optional<int>& most,
                            const LabelByPath& labels, DataReport& report) {
  for (DuplicateGroup& group : detail::equal_groups(files)) {
    const std::string& first = labels.at(group.files.front().native());
    const bool one_label =
        std::all_of(group.files.begin(), group.files.end(),
                    [&](const Path& file) { return labels.at(file.native()) == first; });
    if (one_label) report.exact_duplicates.push_back(std::move(group));
  }
  if (!most) return;
  for (DuplicateGroup& group : detail::near_groups(files, *most)) {
    report.near_duplicates.push_back(std::move(group));
  }
}

void find_leaks(const Files& train, const Files& valid, const std::optional<int>& most,
                DataReport& report) {
  std::unordered_map<std::string_view, const PictureFile*> by_content;
  for (const PictureFile* file : train) by_content.emplace(file->content, file);
  const detail::Looks looks(train);
  for (const PictureFile* file : valid) {
    if (const auto at = by_content.find(file->content); at != by_content.end()) {
      report.leaks.push_back({at->second->path, file->path, true, 0});
      continue;
    }
    if (!most || !file->look) continue;
    const auto alike = looks.like(*file->look, *most);
    if (alike.empty()) continue;
    const auto best =
        *std::min_element(alike.begin(), alike.end(),
                          [](const auto& a, const auto& b) { return a.distance < b.distance; });
    report.leaks.push_back({train[best.index]->path, file->path, false, best.distance});
  }
}

void check(const CheckPicturesOptions& options) {
  detail::check_workers(options.max_workers);
  detail::check_distance(options.max_distance);
  if (options.huge_pixels > 0) return;
  throw ValueError("value.check_pictures",
                   fmt::format("huge_pixels must be > 0, found {}", options.huge_pixels));
}

// \param others files that no set holds, because of their suffixes; those that are pictures are told
DataReport look_through(const LabelledPictures& train, const LabelledPictures& valid,
                        const std::vector<Path>& others, const CheckPicturesOptions& options) {
  DataReport report;
  report.train = train.files.size();
  report.valid = valid.files.size();
  count_classes(train, valid, options.label_delim, report);

  const auto train_items = items_of(train, "training"), valid_items = items_of(valid, "validation");
  std::map<Path, std::size_t> places;
  for (const auto* items : {&train_items, &valid_items}) {
    for (const Item& item : *items) places.emplace(item.file, 0);
  }
  std::vector<PictureFile> all(places.size() + others.size());
  std::size_t next = 0;
  for (auto& [file, at] : places) {
    at = next;
    all[next++].path = file;
  }
  for (const Path& file : others) all[next++].path = file;
  detail::work_through_all(
      all.size(), {options.max_workers, options.show_progress, "check_pictures", options.stop},
      [&](std::size_t i) { detail::read_picture(all[i], ReadPicture::kLook); });

  Files good;
  std::vector<bool> is_good(places.size());
  for (std::size_t i = 0; i < places.size(); ++i) {
    is_good[i] = judge(all[i], options.huge_pixels, report);
    if (is_good[i]) good.push_back(&all[i]);
  }
  for (std::size_t i = places.size(); i < all.size(); ++i) {
    const auto format = all[i].info.format;
    if (format == ImageFileFormat::kUnknown || all[i].fault) {
      report.other_files.push_back(all[i].path);
    } else {
      report.wrong_suffix.push_back({all[i].path, "image.wrong_suffix",
                                     fmt::format("'{}': its content is {}, and it is left out",
                                                 all[i].path.string(), image_format_name(format))});
    }
  }
  std::sort(report.wrong_suffix.begin(), report.wrong_suffix.end(),
            [](const auto& a, const auto& b) { return a.file < b.file; });
  judge_sizes(good, report, report);

  LabelByPath labels;
  const auto readable = [&](const std::vector<Item>& items) {
    Files files;
    for (const Item& item : items) {
      const auto at = places.at(item.file);
      if (is_good[at]) files.push_back(&all[at]);
      labels.emplace(item.file.native(), item.label);
    }
    return files;
  };
  const Files train_files = readable(train_items), valid_files = readable(valid_items);
  find_conflicts(good, labels, report);
  find_duplicates_within(train_files, options.max_distance, labels, report);
  find_duplicates_within(valid_files, options.max_distance, labels, report);
  find_leaks(train_files, valid_files, options.max_distance, report);
  return report;
}

bool is_folder(const Path& path) {
  std::error_code ec;
  return fs::is_directory(path, ec);
}

// What lies below a folder, by whether its suffix is that of a picture.
struct Listing {
  std::vector<Path> pictures, others;
};

Listing list(const Path& folder, const std::vector<std::string>& exclude) {
  Listing listing;
  const auto& known = image_extensions();
  for (Path& file : get_files(folder, {.recurse = true})) {
    // Not by `exclude`, which would bring hidden folders in.
    const auto top = file.lexically_relative(folder).begin()->string();
    if (file.parent_path() != folder &&
        std::find(exclude.begin(), exclude.end(), top) != exclude.end()) {
      continue;
    }
    const auto suffix = small_letters(file.extension().string());
    const bool picture = std::find(known.begin(), known.end(), suffix) != known.end();
    if (picture) {
      listing.pictures.push_back(std::move(file));
    } else if (file.parent_path() != folder) {  // beside the classes are tables and the like
      listing.others.push_back(std::move(file));
    }
  }
  return listing;
}

// Class folders without a file, unless the class has pictures elsewhere.
std::vector<Path> empty_folders(const Path& folder, const std::vector<std::string>& exclude,
                                const std::vector<ClassCount>& classes) {
  std::vector<Path> empty;
  for (const Path& below : ls(folder)) {
    const std::string name = below.filename().string();
    const bool left_out = name.starts_with('.') || !is_folder(below) ||
                          std::find(exclude.begin(), exclude.end(), name) != exclude.end();
    const bool known = std::any_of(classes.begin(), classes.end(),
                                   [&](const ClassCount& c) { return c.name == name; });
    if (!left_out && !known && get_files(below, {.recurse = true}).empty()) empty.push_back(below);
  }
  return empty;
}

}  // namespace

DataReport check_pictures(const LabelledPictures& train, const LabelledPictures& valid,
                          const CheckPicturesOptions& options) {
  return boundary([&] {
    check(options);
    return look_through(train, valid, {}, options);
  });
}

DataReport check_pictures(const Path& path, const CheckPicturesOptions& options) {
  return boundary([&] {
    check(options);
    const Path folder = path.has_filename() ? path : path.parent_path();  // without a / at the end
    const Path train = folder / options.train, valid = folder / options.valid;
    const bool is_split = is_folder(train);
    const std::vector<std::string> exclude =
        is_split ? std::vector<std::string>{} : std::vector<std::string>{"models"};
    Listing first = list(is_split ? train : folder, exclude), second;
    if (is_split && is_folder(valid)) second = list(valid, exclude);
    if (first.pictures.empty() && second.pictures.empty()) {
      throw DataError("data.empty",
                      fmt::format("there is no picture below '{}'; pictures have one of the "
                                  "endings that image_extensions() tells",
                                  folder.string()));
    }
    const bool flat =
        !is_split && std::all_of(first.pictures.begin(), first.pictures.end(),
                                 [&](const Path& file) { return file.parent_path() == folder; });
    const auto labelled = [&](const std::vector<Path>& files) {
      return LabelledPictures{files, flat ? std::vector<std::string>{} : label_from_folder(files)};
    };
    first.others.insert(first.others.end(), second.others.begin(), second.others.end());
    CheckPicturesOptions plain = options;
    plain.label_delim.reset();  // of lists only: a folder is one class
    DataReport report =
        look_through(labelled(first.pictures), labelled(second.pictures), first.others, plain);
    report.folder = folder;
    if (is_split) {
      report.empty_folders = empty_folders(train, exclude, report.classes);
      if (is_folder(valid)) {
        for (Path& below : empty_folders(valid, exclude, report.classes)) {
          report.empty_folders.push_back(std::move(below));
        }
      }
    } else {
      report.empty_folders = empty_folders(folder, exclude, report.classes);
    }
    return report;
  });
}

DataReport ImageDataBunch::report() const {
  return report(CheckPicturesOptions{});
}

DataReport ImageDataBunch::report(const CheckPicturesOptions& options) const {
  return boundary([&] {
    const auto kind = labels()->kind();
    const auto pictures = [&](const LabelList& list) {
      LabelledPictures result{.files = list.items.to_vector(), .labels = {}};
      const bool classes = kind == LabelKind::kCategory || kind == LabelKind::kMultiCategory;
      for (std::int64_t i = 0; classes && i < list.size(); ++i) {
        result.labels.push_back(list.label(i));
      }
      return result;
    };
    auto settings = options;
    // What joins the classes of an item in words.
    if (kind == LabelKind::kMultiCategory) settings.label_delim = ";";
    auto found = check_pictures(
        pictures(ds(DatasetType::Train).list()),
        empty_val() ? LabelledPictures{} : pictures(ds(DatasetType::Valid).list()), settings);
    found.folder = path();
    return found;
  });
}

}  // namespace fastcpp
