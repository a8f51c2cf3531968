#include "fastcpp/vision/find_duplicates.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/data/files.hpp"
#include "vision/compare_pictures.hpp"
#include "vision/work_through.hpp"

namespace fastcpp::inline v0 {

using detail::PictureFile;
using detail::ReadPicture;

DuplicatesReport find_duplicates(const std::vector<Path>& files,
                                 const FindDuplicatesOptions& options) {
  return boundary([&] {
    detail::check_workers(options.max_workers);
    detail::check_distance(options.max_distance);
    std::vector<Path> paths(files);
    std::sort(paths.begin(), paths.end());
    paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
    std::vector<PictureFile> all(paths.size());
    for (std::size_t i = 0; i < paths.size(); ++i) all[i].path = paths[i];
    const auto what = options.max_distance ? ReadPicture::kLook : ReadPicture::kContent;
    detail::work_through_all(
        all.size(), {options.max_workers, options.show_progress, "find_duplicates", options.stop},
        [&](std::size_t i) { detail::read_picture(all[i], what); });

    DuplicatesReport report;
    report.checked = all.size();
    std::vector<const PictureFile*> every;
    for (const PictureFile& file : all) {
      every.push_back(&file);
      if (file.fault) report.unreadable.push_back(*file.fault);
    }
    report.exact = detail::equal_groups(every);
    if (options.max_distance) report.near = detail::near_groups(every, *options.max_distance);
    return report;
  });
}

DuplicatesReport find_duplicates(const Path& folder, const FindDuplicatesOptions& options) {
  return boundary([&] {
    return find_duplicates(get_image_files(folder, {.recurse = options.recurse}), options);
  });
}

std::string DuplicatesReport::str() const {
  return boundary([&] {
    std::string text =
        fmt::format("{} files: {} groups of equal bytes, {} groups that look alike, {} unreadable",
                    checked, exact.size(), near.size(), unreadable.size());
    const auto list = [&](std::string_view kind, const DuplicateGroup& group) {
      text += fmt::format("\n{}:", kind);
      for (const Path& file : group.files) text += " " + file.string();
    };
    for (const DuplicateGroup& group : exact) list("equal", group);
    for (const DuplicateGroup& group : near) list("alike", group);
    for (const ImageFault& fault : unreadable) text += "\n" + fault.message;
    return text;
  });
}

}  // namespace fastcpp
