#include "fastcpp/vision/image/find_duplicates.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <map>
#include <numeric>
#include <opencv2/imgproc.hpp>
#include <optional>
#include <set>
#include <string_view>
#include <system_error>
#include <unordered_map>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/data/files.hpp"
#include "fastcpp/io/checksum.hpp"
#include "fastcpp/vision/image/image.hpp"
#include "vision/image/work_through.hpp"

namespace fastcpp {
namespace {

constexpr int kRows = 8, kCols = 9, kBits = kRows * (kCols - 1), kMostDistance = kBits / 2;

// What a picture looks like from far away.
struct Look {
  std::uint64_t hash = 0;
  std::array<float, kRows * kCols> grey{};  // without its mean
};

// Nothing when there is hardly anything to see.
std::optional<Look> look_at(std::string_view bytes, const std::string& name) {
  constexpr int kLeastSide = 64;
  constexpr float kLeastRange = 8.0f, kStep = 1.0f;  // levels of 255
  cv::Mat grey;
  cv::cvtColor(decode_image_bytes(bytes, name, kLeastSide), grey, cv::COLOR_RGB2GRAY);
  grey.convertTo(grey, CV_32F);
  cv::Mat tiny;
  cv::resize(grey, tiny, cv::Size(kCols, kRows), 0, 0, cv::INTER_AREA);
  Look look;
  std::copy_n(tiny.ptr<float>(), look.grey.size(), look.grey.begin());
  const auto [low, high] = std::minmax_element(look.grey.begin(), look.grey.end());
  if (*high - *low < kLeastRange) return {};
  for (std::size_t y = 0; y < kRows; ++y) {
    for (std::size_t x = 0; x + 1 < kCols; ++x) {
      const bool brighter = look.grey[y * kCols + x + 1] > look.grey[y * kCols + x] + kStep;
      look.hash = look.hash << 1 | static_cast<std::uint64_t>(brighter);
    }
  }
  const float mean = std::accumulate(look.grey.begin(), look.grey.end(), 0.0f) /
                     static_cast<float>(look.grey.size());
  for (float& level : look.grey) level -= mean;
  return look;
}

int distance(const Look& a, const Look& b) {
  return std::popcount(a.hash ^ b.hash);
}

bool alike(const Look& a, const Look& b, int most) {
  constexpr float kMostLevels = 8.0f;
  if (distance(a, b) > most) return false;
  float sum = 0.0f;
  for (std::size_t i = 0; i < a.grey.size(); ++i) sum += std::abs(a.grey[i] - b.grey[i]);
  return sum <= kMostLevels * static_cast<float>(a.grey.size());
}

struct File {
  Path path;
  std::string content;  // SHA-256; empty when it cannot be read
  std::optional<Look> look;
  std::optional<ImageFault> fault;
};

void read(File& file, bool with_look) {
  try {
    boundary([&] {
      std::error_code ec;
      const auto kind = std::filesystem::status(file.path, ec).type();
      // Opening a pipe would wait for a writer, for ever.
      if (kind != std::filesystem::file_type::regular) {
        throw IoError("io.cannot_read", fmt::format("cannot read '{}': there is no regular file",
                                                    file.path.string()));
      }
      if (!with_look) {
        file.content = sha256_file(file.path);
        return;
      }
      const std::string bytes = read_file(file.path);
      file.content = sha256_bytes(bytes);
      file.look = look_at(bytes, file.path.string());
    });
  } catch (const Error& e) {
    file.fault = ImageFault{file.path, e.code(), e.what()};
  }
}

// Finds the looks that differ from one in at most `most` bits: of `most + 1` parts of the hash at least one is equal.
class Index {
 public:
  Index(const std::vector<const File*>& files, int most)
      : parts_(static_cast<std::size_t>(most) + 1) {
    for (std::size_t i = 0; i < files.size(); ++i) {
      for (std::size_t p = 0; p < parts_.size(); ++p) {
        parts_[p][part(files[i]->look->hash, p)].push_back(i);
      }
    }
  }

  // Sorted, without doubles.
  std::vector<std::size_t> candidates(std::uint64_t hash) const {
    std::vector<std::size_t> all;
    for (std::size_t p = 0; p < parts_.size(); ++p) {
      const auto at = parts_[p].find(part(hash, p));
      if (at != parts_[p].end()) all.insert(all.end(), at->second.begin(), at->second.end());
    }
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    return all;
  }

 private:
  std::uint64_t part(std::uint64_t hash, std::size_t p) const {
    const auto first = kBits * p / parts_.size(), last = kBits * (p + 1) / parts_.size();
    const auto width = last - first;
    return width == kBits ? hash : hash >> first & ((std::uint64_t{1} << width) - 1);
  }

  std::vector<std::unordered_map<std::uint64_t, std::vector<std::size_t>>> parts_;
};

using ByContent = std::map<std::string, std::vector<Path>>;

std::vector<DuplicateGroup> near_groups(const std::vector<File>& files, const ByContent& copies,
                                        int most) {
  // Of equal bytes one is enough.
  std::vector<const File*> looks;
  std::set<std::string_view> seen;
  for (const File& file : files) {
    if (file.look && seen.insert(file.content).second) looks.push_back(&file);
  }
  const Index index(looks, most);
  std::vector<bool> taken(looks.size(), false);
  std::vector<DuplicateGroup> groups;
  for (std::size_t i = 0; i < looks.size(); ++i) {
    if (taken[i]) continue;
    const Look& first = *looks[i]->look;
    DuplicateGroup group;
    int different = 0;
    for (const std::size_t j : index.candidates(first.hash)) {
      if (taken[j] || j < i || !alike(first, *looks[j]->look, most)) continue;
      taken[j] = true;
      group.distance = std::max(group.distance, distance(first, *looks[j]->look));
      const auto& same = copies.at(looks[j]->content);
      group.files.insert(group.files.end(), same.begin(), same.end());
      ++different;
    }
    if (different < 2) continue;
    std::sort(group.files.begin(), group.files.end());
    groups.push_back(std::move(group));
  }
  return groups;
}

}  // namespace

DuplicatesReport find_duplicates(const std::vector<Path>& files,
                                 const FindDuplicatesOptions& options) {
  return boundary([&] {
    detail::check_workers(options.max_workers);
    const int most = options.max_distance.value_or(0);
    if (most < 0 || most > kMostDistance) {
      throw ValueError("value.distance",
                       fmt::format("max_distance must be 0..{}, found {}", kMostDistance, most));
    }
    std::vector<Path> paths(files);
    std::sort(paths.begin(), paths.end());
    paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
    std::vector<File> all(paths.size());
    for (std::size_t i = 0; i < paths.size(); ++i) all[i].path = paths[i];
    detail::work_through(
        all.size(), {options.max_workers, options.show_progress, "find_duplicates", options.stop},
        [&](std::size_t i) { read(all[i], options.max_distance.has_value()); });

    DuplicatesReport report;
    report.checked = all.size();
    ByContent copies;
    for (const File& file : all) {
      if (!file.content.empty()) copies[file.content].push_back(file.path);
      if (file.fault) report.unreadable.push_back(*file.fault);
    }
    for (const auto& [content, same] : copies) {
      if (same.size() > 1) report.exact.push_back({same, 0});
    }
    std::sort(report.exact.begin(), report.exact.end(),
              [](const auto& a, const auto& b) { return a.files.front() < b.files.front(); });
    if (options.max_distance) report.near = near_groups(all, copies, most);
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
