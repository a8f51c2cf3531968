#include "fastcpp/vision/image/picture_cache.hpp"

namespace fastcpp {

cv::Mat PictureCache::find(const Path& file) const {
  const std::scoped_lock lock(mutex_);
  const auto found = pictures_.find(file.native());
  return found == pictures_.end() ? cv::Mat() : found->second;
}

void PictureCache::add(const Path& file, const cv::Mat& rgb8) {
  const auto bytes = rgb8.total() * rgb8.elemSize();
  const std::scoped_lock lock(mutex_);
  if (bytes > budget_ - held_) return;
  if (pictures_.emplace(file.native(), rgb8).second) held_ += bytes;
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
