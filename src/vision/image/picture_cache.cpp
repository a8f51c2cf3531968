#include "fastcpp/vision/image/picture_cache.hpp"

#include <new>

#include "fastcpp/core/boundary.hpp"

namespace fastcpp::inline v0 {

cv::Mat PictureCache::find(const Path& file, int least_side) const {
  return boundary([&] {
    const std::scoped_lock lock(mutex_);
    const auto found = pictures_.find({file.native(), least_side});
    return found == pictures_.end() ? cv::Mat() : found->second;
  });
}

void PictureCache::add(const Path& file, const cv::Mat& rgb8, int least_side) {
  boundary([&] {
    const auto bytes = rgb8.total() * rgb8.elemSize();
    const std::scoped_lock lock(mutex_);
    if (bytes > budget_ - held_) return;
    try {
      if (pictures_.try_emplace({file.native(), least_side}, rgb8).second) held_ += bytes;
    } catch (const std::bad_alloc&) {
    }
  });
}

std::size_t PictureCache::bytes() const {
  const std::scoped_lock lock(mutex_);
  return held_;
}

std::size_t PictureCache::size() const {
  const std::scoped_lock lock(mutex_);
  return pictures_.size();
}

}  // namespace fastcpp
