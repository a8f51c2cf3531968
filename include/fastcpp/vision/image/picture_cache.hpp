/// \file
/// Decoded pictures kept in memory.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <opencv2/core/mat.hpp>
#include <string>
#include <utility>

#include "fastcpp/core/path.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// Decoded pictures by file and by how small they were decoded, up to a number of bytes. Thread-safe; not copied, but
/// shared by a `std::shared_ptr`.
///
/// What is held stays: an epoch walks over all files in turn, and then throwing the oldest out would throw out exactly
/// those that come next. A file that changes later is not read again.
class FASTCPP_API PictureCache {
 public:
  /// \param bytes budget for pixels: 3 bytes each
  explicit PictureCache(std::size_t bytes) : budget_(bytes) {}

  /// The picture of a file. Not to be changed.
  /// \param least_side what `decode_image` was given: pictures decoded small for one set are not served to another
  /// \return H x W x 3 RGB; an empty matrix when it is not held
  cv::Mat find(const Path& file, int least_side = 0) const;
  /// Holds a picture if there is room for it; without memory for its entry nothing is held. The matrix must not be
  /// changed any more.
  /// \param least_side what `decode_image` was given
  void add(const Path& file, const cv::Mat& rgb8, int least_side = 0);

  /// Bytes of pixels held.
  std::size_t bytes() const;
  /// Number of pictures held.
  std::size_t size() const;

 private:
  mutable std::mutex mutex_;
  std::size_t budget_, held_ = 0;
  std::map<std::pair<std::string, int>, cv::Mat> pictures_;
};

}  // namespace fastcpp
