/// \file
/// Decoded pictures kept in memory.
#pragma once

#include <cstddef>
#include <mutex>
#include <opencv2/core/mat.hpp>
#include <string>
#include <unordered_map>

#include "fastcpp/core/path.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp {

/// Decoded pictures by file, up to a number of bytes. Safe to use from several threads.
///
/// What is held stays: an epoch walks over all files in turn, and then throwing the oldest out
/// would throw out exactly those that come next.
class FASTCPP_API PictureCache {
 public:
  /// \param bytes budget for pixels: 3 bytes each
  explicit PictureCache(std::size_t bytes) : budget_(bytes) {}

  /// The picture of a file, H x W x 3 RGB; an empty matrix when it is not held. Not to be changed.
  cv::Mat find(const Path& file) const;
  /// Holds a picture if there is room for it. The matrix must not be changed any more.
  void add(const Path& file, const cv::Mat& rgb8);

  /// Bytes of pixels held.
  std::size_t bytes() const;
  /// Number of pictures held.
  std::size_t size() const;

 private:
  mutable std::mutex mutex_;
  std::size_t budget_, held_ = 0;
  std::unordered_map<std::string, cv::Mat> pictures_;
};

}  // namespace fastcpp
