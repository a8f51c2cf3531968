#include "vision/compare_pictures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <map>
#include <opencv2/imgproc.hpp>
#include <set>
#include <string_view>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/io/checksum.hpp"
#include "fastcpp/vision/image/image.hpp"
#include "vision/item_picture.hpp"

namespace fastcpp::inline v0::detail {
namespace {

constexpr int kRows = 8, kCols = 9, kSide = 32, kMostDistance = 32;

std::optional<Look> look_at(const cv::Mat& rgb) {
  constexpr double kLeastRange = 8.0;  // levels of 255
  constexpr float kStep = 1.0f;
  cv::Mat grey, tiny, small;
  cv::cvtColor(rgb, grey, cv::COLOR_RGB2GRAY);
  grey.convertTo(grey, CV_32F);
  cv::resize(grey, tiny, cv::Size(kCols, kRows), 0, 0, cv::INTER_AREA);
  double low = 0, high = 0;
  cv::minMaxLoc(tiny, &low, &high);
  if (high - low < kLeastRange) return {};
  Look look;
  for (int y = 0; y < kRows; ++y) {
    const auto* row = tiny.ptr<float>(y);
    for (int x = 0; x + 1 < kCols; ++x) {
      look.hash = look.hash << 1 | static_cast<std::uint64_t>(row[x + 1] > row[x] + kStep);
    }
  }
  cv::resize(grey, small, cv::Size(kSide, kSide), 0, 0, cv::INTER_AREA);
  cv::normalize(small, small, 0, 255, cv::NORM_MINMAX, CV_8U);
  std::copy_n(small.ptr<std::uint8_t>(), look.levels.size(), look.levels.begin());
  return look;
}

// Whether the levels of two pictures go together, whatever their brightness and contrast. Of 6.8 million pairs of
// photographs this reports those that are one photograph, and of small drawings of digits none; the hash alone reports
// thousands of the latter.
bool correlate(const Look& a, const Look& b) {
  constexpr double kLeast = 0.98;
  std::int64_t sa = 0, sb = 0, aa = 0, bb = 0, ab = 0;
  for (std::size_t i = 0; i < a.levels.size(); ++i) {
    const std::int64_t x = a.levels[i], y = b.levels[i];
    sa += x, sb += y, aa += x * x, bb += y * y, ab += x * y;
  }
  const auto n = static_cast<std::int64_t>(a.levels.size());
  const auto of = [&](std::int64_t product, std::int64_t s, std::int64_t t) {
    return static_cast<double>(n * product - s * t);
  };
  const double together = of(ab, sa, sb);
  return together > 0 && together * together >= kLeast * kLeast * of(aa, sa, sa) * of(bb, sb, sb);
}

std::map<std::string_view, std::vector<Path>> by_content(
    const std::vector<const PictureFile*>& files) {
  std::map<std::string_view, std::vector<Path>> same;
  for (const PictureFile* file : files) {
    if (!file->content.empty()) same[file->content].push_back(file->path);
  }
  return same;
}

}  // namespace

void read_picture(PictureFile& file, ReadPicture what) {
  constexpr int kLeastSide = 64;  // a JPEG is read faster; every byte is looked at all the same
  try {
    boundary([&] {
      const bool special = FileSource::is_special(file.path);
      if (what == ReadPicture::kContent && !special) {
        check_regular(file.path);
        file.content = sha256_file(file.path);
        return;
      }
      const std::string bytes = item_bytes(file.path, nullptr);
      file.content = sha256_bytes(bytes);
      if (what == ReadPicture::kContent) return;
      file.size = bytes.size();
      file.info = image_file_info(bytes);
      file.look = look_at(decode_image_bytes(bytes, file.path.string(), kLeastSide));
    });
  } catch (const Error& e) {
    file.fault = ImageFault{file.path, e.code(), e.what()};
  }
}

void check_distance(const std::optional<int>& most) {
  if (!most || (*most >= 0 && *most <= kMostDistance)) return;
  throw ValueError("value.distance",
                   fmt::format("max_distance must be 0..{}, found {}", kMostDistance, *most));
}

Looks::Looks(const std::vector<const PictureFile*>& files) {
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (!files[i]->look) continue;
    looks_.push_back(&*files[i]->look);
    hashes_.push_back(looks_.back()->hash);
    files_.push_back(i);
  }
}

std::vector<Looks::Match> Looks::like(const Look& look, int most, std::size_t from) const {
  std::vector<Match> found;
  const auto first = std::lower_bound(files_.begin(), files_.end(), from) - files_.begin();
  for (auto i = static_cast<std::size_t>(first); i < hashes_.size(); ++i) {
    const int bits = std::popcount(hashes_[i] ^ look.hash);
    if (bits <= most && correlate(look, *looks_[i])) found.push_back({files_[i], bits});
  }
  return found;
}

std::vector<DuplicateGroup> equal_groups(const std::vector<const PictureFile*>& files) {
  std::vector<DuplicateGroup> groups;
  for (const auto& [content, same] : by_content(files)) {
    if (same.size() > 1) groups.push_back({same, 0});
  }
  std::sort(groups.begin(), groups.end(),
            [](const auto& a, const auto& b) { return a.files.front() < b.files.front(); });
  return groups;
}

std::vector<DuplicateGroup> near_groups(const std::vector<const PictureFile*>& files, int most) {
  const auto copies = by_content(files);
  // Of equal bytes one is enough.
  std::vector<const PictureFile*> different;
  std::set<std::string_view> seen;
  for (const PictureFile* file : files) {
    if (file->look && seen.insert(file->content).second) different.push_back(file);
  }
  const Looks looks(different);
  std::vector<bool> taken(different.size(), false);
  std::vector<DuplicateGroup> groups;
  for (std::size_t i = 0; i < different.size(); ++i) {
    if (taken[i]) continue;
    DuplicateGroup group;
    int members = 0;
    for (const auto& match : looks.like(*different[i]->look, most, i)) {
      if (taken[match.index]) continue;
      taken[match.index] = true;
      group.distance = std::max(group.distance, match.distance);
      const auto& same = copies.at(different[match.index]->content);
      group.files.insert(group.files.end(), same.begin(), same.end());
      ++members;
    }
    if (members < 2) continue;
    std::sort(group.files.begin(), group.files.end());
    groups.push_back(std::move(group));
  }
  return groups;
}

}  // namespace fastcpp::detail
